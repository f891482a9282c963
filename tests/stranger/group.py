"""The plaintext of GROUP (section 4.1): a broadcast that somebody else has signed."""

from dataclasses import dataclass

from tests.stranger.errors import require
from tests.stranger.identity import Public, signature_input, verify

HEAD = 112


@dataclass(frozen=True)
class Group:
    """One broadcast."""

    assignment: int
    source: bytes
    generation: int
    counter: int
    signature: bytes
    frame: bytes

    @classmethod
    def parse(cls, plaintext: bytes) -> "Group":
        """Refused where no frame for several is inside."""
        frame = plaintext[HEAD:]
        require(len(frame) >= 14 and frame[0] & 1, "bad_group")
        return cls(
            int.from_bytes(plaintext[:4]),
            plaintext[4:36],
            int.from_bytes(plaintext[36:44]),
            int.from_bytes(plaintext[44:48]),
            plaintext[48:HEAD],
            frame,
        )

    def check(self, network: int, signer: Public) -> None:
        """Refused unless it is what its source signed."""
        require(signer.fingerprint == self.source, "not_a_member")
        numbers = self.generation.to_bytes(8) + self.counter.to_bytes(4)
        text = signature_input("frame", network, numbers + self.frame)
        verify(signer.signing, self.signature, text)
