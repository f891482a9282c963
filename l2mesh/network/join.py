"""Becoming a member: from a 16-digit network ID to an answer of its controller (section 8.1).

        +---------- forget ----------+
        v                            |
    SEEKING --controller known--> ASKING --ok--> MEMBER
        |                           | |  \\--pending--> PENDING --ok--> MEMBER
        |--two claims--> CONFLICT   | \\--denied--> DENIED --ok--> MEMBER
        \\--nobody--> ABSENT         \\--not found--> NOT_FOUND

A refusal is not for ever: the controller may push an ``ok`` later, and JOIN is repeated in every
new session and whenever the operator joins again. A member stays one while the controller is away;
only an explicit refusal ends that.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from l2mesh.address import controller_address, format_fingerprint
from l2mesh.crypto import Crypto
from l2mesh.identity import PublicIdentity, address_of

__all__ = ["JoinMachine", "JoinState", "Status"]

SEEK_RETRY_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses between rounds of WHOIS while nobody knows the controller; the last one repeats."""
MAX_CLAIMS: Final = 4
ABSENT_AFTER_S: Final = 5.0
"""A controller that no planet has named for so long counts as not found, for now."""


class Status(enum.StrEnum):
    """What ``l2mesh networks`` shows."""

    REQUESTING = "requesting"
    OK = "ok"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    ERROR = "error"


class JoinState(enum.Enum):
    """Where the join stands."""

    SEEKING = enum.auto()
    ABSENT = enum.auto()
    CONFLICT = enum.auto()
    ASKING = enum.auto()
    PENDING = enum.auto()
    MEMBER = enum.auto()
    DENIED = enum.auto()
    NOT_FOUND = enum.auto()
    FAILED = enum.auto()


STATUS: Final = {
    JoinState.SEEKING: Status.REQUESTING,
    JoinState.ABSENT: Status.NOT_FOUND,
    JoinState.CONFLICT: Status.ERROR,
    JoinState.ASKING: Status.REQUESTING,
    JoinState.PENDING: Status.REQUESTING,
    JoinState.MEMBER: Status.OK,
    JoinState.DENIED: Status.DENIED,
    JoinState.NOT_FOUND: Status.NOT_FOUND,
    JoinState.FAILED: Status.ERROR,
}
ANSWERS: Final = {
    "ok": JoinState.MEMBER,
    "pending": JoinState.PENDING,
    "denied": JoinState.DENIED,
    "not_found": JoinState.NOT_FOUND,
    "error": JoinState.FAILED,
}
"""``status`` of JOIN_REPLY -> the state that it leads to."""

_SEEKING: Final = (JoinState.SEEKING, JoinState.ABSENT, JoinState.CONFLICT)
_REFUSED: Final = (JoinState.DENIED, JoinState.NOT_FOUND, JoinState.FAILED)


@dataclass(slots=True)
class JoinMachine:
    """The join of one network. It asks for WHOIS through :meth:`poll_whois`."""

    network: int
    crypto: Crypto
    wanted: bytes | None = None
    """The controller's fingerprint, when the join named it."""
    state: JoinState = JoinState.SEEKING
    reason: str = ""
    """For people: why the state is what it is."""
    _claims: dict[bytes, PublicIdentity] = field(default_factory=dict)
    _round: int = 0
    _next_whois: float | None = 0.0
    _since: float | None = None

    @property
    def status(self) -> Status:
        """The state in the words of the command line."""
        return STATUS[self.state]

    @property
    def is_seeking(self) -> bool:
        """Whether the controller's identity is still to be found."""
        return self.state in _SEEKING

    def poll_whois(self, now: float) -> bytes | None:
        """The address to ask the directory about now, or None."""
        if not self.is_seeking or self._next_whois is None or now < self._next_whois:
            return None
        if self._since is None:
            self._since = now
        pause = SEEK_RETRY_S[min(self._round, len(SEEK_RETRY_S) - 1)]
        self._round += 1
        self._next_whois = now + pause
        if now - self._since >= ABSENT_AFTER_S and self.state is JoinState.SEEKING:
            self.state = JoinState.ABSENT
            self.reason = "no planet knows the controller of this network"
        return controller_address(self.network)

    def next_timeout(self) -> float | None:
        """When the directory is to be asked again."""
        return self._next_whois if self.is_seeking else None

    def hurry(self, now: float) -> None:
        """A planet has come up: ask it now."""
        if self.is_seeking:
            self._round = 0
            self._next_whois = now
            self._since = None

    def repeat(self, now: float) -> None:
        """The operator asks once more: an old refusal is not the answer to that."""
        if self.state in _REFUSED:
            self.state, self.reason = JoinState.ASKING, ""
        elif self.state is JoinState.ABSENT:
            self.state, self.reason = JoinState.SEEKING, ""
            self.hurry(now)

    def receive_claims(self, claims: Sequence[PublicIdentity]) -> PublicIdentity | None:
        """What a planet says about the controller's address; the controller, if that settles it.

        A claim counts only if its address matches the memory-hard hash. More than one admissible
        claim is a conflict, which only a fingerprint from the operator resolves.
        """
        if not self.is_seeking:
            return None
        address = controller_address(self.network)
        for claim in claims:
            if claim.fingerprint in self._claims or len(self._claims) >= MAX_CLAIMS:
                continue
            if address_of(claim.fingerprint, self.crypto) == address:
                self._claims[claim.fingerprint] = claim
        return self._settle()

    def controller_known(self) -> None:
        """The controller's identity is pinned; nothing more to seek."""
        if self.is_seeking:
            self.state, self.reason = JoinState.ASKING, ""

    def receive_reply(self, status: str, reason: str) -> bool:
        """JOIN_REPLY has come; True when the state changed. Unknown words count as an error."""
        state = ANSWERS.get(status, JoinState.FAILED)
        changed = state is not self.state or reason != self.reason
        self.state, self.reason = state, reason
        return changed

    def _settle(self) -> PublicIdentity | None:
        if self.wanted is not None:
            return self._claims.get(self.wanted)
        if len(self._claims) == 1:
            return next(iter(self._claims.values()))
        if self._claims:
            fingerprints = " and ".join(sorted(format_fingerprint(f) for f in self._claims))
            self.state = JoinState.CONFLICT
            self.reason = f"two controllers claim this address: {fingerprints}"
            self._next_whois = None
        return None
