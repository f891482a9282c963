"""The Noise handshake, in the words of the Noise specification, revision 34.

`CipherState`, `SymmetricState` and `HandshakeState` are those of sections 5.1 to 5.3, with 25519,
ChaChaPoly and BLAKE2s as the only functions. A `Pattern` says which tokens each message carries;
the daemon has one, `IKPSK2`:

    <- s                        the responder's static key is known beforehand
    ...
    -> e, es, s, ss             96 bytes and the initiator's payload
    <- e, ee, se, psk           48 bytes and the responder's payload

Message 1 can be replayed and is not forward secret towards a stolen responder key; message 2 and
everything after `split` are (section 7.7). Whoever reads message 1 must therefore act on it only in
ways that a replay may repeat.

**All or nothing.** `write_message` and `read_message` work on a copy and put it in place once the
last tag has verified. A message that fails leaves the object as it was, ready for the true one: a
forger who guesses an index cannot spoil a handshake under way.

No sockets and no clock; ephemeral keys come from the `Random` given.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import blake2s
from typing import Final, Self, TypeVar

from l2mesh.crypto import KEY_BYTES, TAG_BYTES, Crypto, KeyPair, Random, hmac_blake2s
from l2mesh.errors import MalformedPacket, StateError

HASH_BYTES: Final = 32
"""HASHLEN and DHLEN are both 32; `h`, `ck`, keys and points all have this size."""
MAX_MESSAGE_BYTES: Final = 65_535
"""Section 3; no handshake of ours comes near it."""
MAX_NONCE: Final = 2**64 - 1
"""Reserved, never used to encrypt a message (section 5.1)."""

_T = TypeVar("_T")


class Role(Enum):
    """Which side of a handshake we are."""

    INITIATOR = "initiator"
    RESPONDER = "responder"


class Token(Enum):
    """One step of a message pattern (section 5.3). The DH tokens name the initiator's key first."""

    E = "e"
    S = "s"
    EE = "ee"
    ES = "es"
    SE = "se"
    SS = "ss"
    PSK = "psk"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A handshake pattern with its psk modifiers applied (sections 7 and 9)."""

    name: str
    """As in the protocol name, such as "IKpsk2"."""
    initiator_premessage: tuple[Token, ...]
    """What the responder knows of the initiator beforehand: (S,) or nothing."""
    responder_premessage: tuple[Token, ...]
    messages: tuple[tuple[Token, ...], ...]
    """The initiator sends the first, then they alternate."""

    @property
    def protocol_name(self) -> bytes:
        """What the handshake hash starts from (section 8)."""
        return b"Noise_%s_25519_ChaChaPoly_BLAKE2s" % self.name.encode()

    @property
    def has_psk(self) -> bool:
        """Whether ephemeral keys enter the chaining key too (section 9.2)."""
        return any(Token.PSK in message for message in self.messages)


IKPSK2: Final = Pattern(
    name="IKpsk2",
    initiator_premessage=(),
    responder_premessage=(Token.S,),
    messages=(
        (Token.E, Token.ES, Token.S, Token.SS),
        (Token.E, Token.EE, Token.SE, Token.PSK),
    ),
)


def hkdf(chaining_key: bytes, material: bytes, outputs: int) -> tuple[bytes, ...]:
    """HKDF of section 4.3 (RFC 5869 with empty info): 2 or 3 values of 32 bytes."""
    temporary = hmac_blake2s(chaining_key, material)
    values: list[bytes] = []
    previous = b""
    for index in range(1, outputs + 1):
        previous = hmac_blake2s(temporary, previous + bytes([index]))
        values.append(previous)
    return tuple(values)


@dataclass(slots=True)
class CipherState:
    """A key and the nonce of its next message (section 5.1); without a key, text just passes."""

    crypto: Crypto
    key: bytes | None = field(default=None, repr=False)
    nonce: int = 0

    def encrypt_with_ad(self, ad: bytes, plaintext: bytes) -> bytes:
        """Ciphertext | tag. Raises StateError when the key is used up."""
        if self.key is None:
            return plaintext
        self._require_nonce()
        ciphertext = self.crypto.handshake_seal(self.key, self.nonce, ad, plaintext)
        self.nonce += 1
        return ciphertext

    def decrypt_with_ad(self, ad: bytes, ciphertext: bytes) -> bytes:
        """The plaintext. A CryptoError leaves the nonce where it was."""
        if self.key is None:
            return ciphertext
        self._require_nonce()
        plaintext = self.crypto.handshake_open(self.key, self.nonce, ad, ciphertext)
        self.nonce += 1
        return plaintext

    def _require_nonce(self) -> None:
        if self.nonce >= MAX_NONCE:
            raise StateError("the nonces of this key are used up")


@dataclass(slots=True)
class SymmetricState:
    """The chaining key `ck`, the hash `h` of all so far, and a CipherState (section 5.2)."""

    cipher: CipherState
    ck: bytes = field(repr=False)
    h: bytes

    @classmethod
    def initialize(cls, crypto: Crypto, protocol_name: bytes) -> Self:
        """InitializeSymmetric: a short name is padded with zeros, a long one hashed."""
        if len(protocol_name) <= HASH_BYTES:
            h = protocol_name.ljust(HASH_BYTES, b"\0")
        else:
            h = blake2s(protocol_name).digest()
        return cls(CipherState(crypto), h, h)

    def copy(self) -> "SymmetricState":
        """An independent twin."""
        return SymmetricState(replace(self.cipher), self.ck, self.h)

    def mix_key(self, material: bytes) -> None:
        """MixKey: the next text is encrypted under a key that depends on `material`."""
        self.ck, key = hkdf(self.ck, material, 2)
        self.cipher = CipherState(self.cipher.crypto, key)

    def mix_hash(self, data: bytes) -> None:
        """MixHash."""
        self.h = blake2s(self.h + data).digest()

    def mix_key_and_hash(self, material: bytes) -> None:
        """MixKeyAndHash, for pre-shared keys."""
        self.ck, mixed, key = hkdf(self.ck, material, 3)
        self.mix_hash(mixed)
        self.cipher = CipherState(self.cipher.crypto, key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """EncryptAndHash."""
        ciphertext = self.cipher.encrypt_with_ad(self.h, plaintext)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        """DecryptAndHash."""
        plaintext = self.cipher.decrypt_with_ad(self.h, ciphertext)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """The keys of Split: (initiator to responder, responder to initiator)."""
        first, second = hkdf(self.ck, b"", 2)
        return first, second


@dataclass(frozen=True, slots=True)
class SplitKeys:
    """What a finished handshake yields: one 32-byte key per direction, as seen from our side.

    They seed the key schedule and encrypt nothing themselves.
    """

    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)


@dataclass(slots=True)
class _Progress:
    """Everything a message changes, so that it can be changed on a copy."""

    symmetric: SymmetricState
    remote_static: bytes | None
    ephemeral: KeyPair | None = None
    remote_ephemeral: bytes | None = None
    messages_done: int = 0

    def copy(self) -> "_Progress":
        return replace(self, symmetric=self.symmetric.copy())


def _cut(data: bytes, size: int) -> tuple[bytes, bytes]:
    """(the first `size` bytes, the rest)."""
    if len(data) < size:
        raise MalformedPacket("handshake message is too short")
    return data[:size], data[size:]


def _given(value: _T | None, what: str) -> _T:
    """`value`, or StateError where the pattern needs what nobody gave."""
    if value is None:
        raise StateError(f"this handshake needs {what}")
    return value


class HandshakeState:
    """One side of one handshake (section 5.3)."""

    def __init__(
        self,
        crypto: Crypto,
        pattern: Pattern,
        role: Role,
        *,
        random: Random,
        prologue: bytes = b"",
        static: KeyPair | None = None,
        remote_static: bytes | None = None,
        psk: bytes | None = None,
    ) -> None:
        """`remote_static` is what we know beforehand: for IK, the initiator's knowledge only.

        Raises StateError when the pattern needs a key that is not given. `psk` (32 bytes) may also
        come later, through `set_psk`.
        """
        self._crypto = crypto
        self._pattern = pattern
        self._role = role
        self._random = random
        self._static = static
        self._psk: bytes | None = None
        if psk is not None:
            self.set_psk(psk)
        symmetric = SymmetricState.initialize(crypto, pattern.protocol_name)
        symmetric.mix_hash(prologue)
        self._progress = _Progress(symmetric, remote_static)
        self._mix_premessages(symmetric)

    def _mix_premessages(self, symmetric: SymmetricState) -> None:
        is_initiator = self._role is Role.INITIATOR
        for tokens, is_ours in (
            (self._pattern.initiator_premessage, is_initiator),
            (self._pattern.responder_premessage, not is_initiator),
        ):
            if Token.S in tokens:
                known = self._our_static().public if is_ours else self._progress.remote_static
                symmetric.mix_hash(_given(known, "the peer's static key"))

    def _our_static(self) -> KeyPair:
        return _given(self._static, "our static key")

    @property
    def remote_static(self) -> bytes | None:
        """The peer's X25519 key: given, or proved by the messages read so far; else None."""
        return self._progress.remote_static

    @property
    def is_finished(self) -> bool:
        """Whether every message has passed, so that `split` may be called."""
        return self._progress.messages_done == len(self._pattern.messages)

    @property
    def handshake_hash(self) -> bytes:
        """`h`, 32 bytes: after the last message it names this session alone (section 11.2)."""
        return self._progress.symmetric.h

    def set_psk(self, psk: bytes) -> None:
        """Gives the pre-shared key. A responder learns which one from the payload of message 1."""
        if len(psk) != KEY_BYTES:
            raise StateError(f"a psk is {KEY_BYTES} bytes, not {len(psk)}")
        self._psk = psk

    def write_message(self, payload: bytes) -> bytes:
        """Our next message, with `payload` encrypted as far as the pattern has got (WriteMessage).

        Raises StateError when it is not our turn, a key is missing or the message passes 65,535
        bytes, CryptoError when the peer's static key is unusable; then nothing has changed and the
        ephemeral key drawn is forgotten.
        """
        tokens = self._tokens_of_turn(Role.INITIATOR, Role.RESPONDER)
        work = self._progress.copy()
        parts: list[bytes] = []
        for token in tokens:
            if token is Token.E:
                work.ephemeral = self._crypto.generate_x25519(self._random)
                parts.append(work.ephemeral.public)
                self._mix_ephemeral(work, work.ephemeral.public)
            elif token is Token.S:
                parts.append(work.symmetric.encrypt_and_hash(self._our_static().public))
            else:
                self._mix_secret(work, token)
        parts.append(work.symmetric.encrypt_and_hash(payload))
        message = b"".join(parts)
        if len(message) > MAX_MESSAGE_BYTES:
            raise StateError(f"a handshake message of {len(message)} bytes is too long")
        work.messages_done += 1
        self._progress = work
        return message

    def read_message(self, message: bytes) -> bytes:
        """The payload of the peer's next message (ReadMessage).

        Raises MalformedPacket for a wrong length, CryptoError for a bad tag or point, StateError
        when it is not the peer's turn or a key is missing; then nothing has changed,
        `remote_static` included.
        """
        tokens = self._tokens_of_turn(Role.RESPONDER, Role.INITIATOR)
        if len(message) > MAX_MESSAGE_BYTES:
            raise MalformedPacket(f"a handshake message of {len(message)} bytes is too long")
        work = self._progress.copy()
        rest = message
        for token in tokens:
            if token is Token.E:
                work.remote_ephemeral, rest = _cut(rest, KEY_BYTES)
                self._mix_ephemeral(work, work.remote_ephemeral)
            elif token is Token.S:
                is_sealed = work.symmetric.cipher.key is not None
                sealed, rest = _cut(rest, KEY_BYTES + (TAG_BYTES if is_sealed else 0))
                work.remote_static = work.symmetric.decrypt_and_hash(sealed)
            else:
                self._mix_secret(work, token)
        payload = work.symmetric.decrypt_and_hash(rest)
        work.messages_done += 1
        self._progress = work
        return payload

    def split(self) -> SplitKeys:
        """The session's keys, once. Afterwards only `remote_static` and `handshake_hash` are left.

        Raises StateError before the last message and the second time.
        """
        symmetric = self._progress.symmetric
        if not self.is_finished or not symmetric.ck:
            raise StateError("this handshake is not finished, or was split before")
        initiator_key, responder_key = symmetric.split()
        self._progress = replace(
            self._progress,
            symmetric=SymmetricState(CipherState(self._crypto), b"", symmetric.h),
            ephemeral=None,
        )
        self._psk = self._static = None
        if self._role is Role.INITIATOR:
            return SplitKeys(send=initiator_key, receive=responder_key)
        return SplitKeys(send=responder_key, receive=initiator_key)

    def _tokens_of_turn(self, on_even: Role, on_odd: Role) -> tuple[Token, ...]:
        """The tokens of the next message, if our role is the one that its number asks for."""
        done = self._progress.messages_done
        if self.is_finished or self._role is not (on_odd if done % 2 else on_even):
            raise StateError(f"message {done + 1} of {self._pattern.name} is not for this call")
        return self._pattern.messages[done]

    def _mix_ephemeral(self, work: _Progress, public: bytes) -> None:
        work.symmetric.mix_hash(public)
        if self._pattern.has_psk:
            work.symmetric.mix_key(public)

    def _mix_secret(self, work: _Progress, token: Token) -> None:
        """The tokens that put nothing into the message: the four DH and psk."""
        if token is Token.PSK:
            work.symmetric.mix_key_and_hash(_given(self._psk, "a psk"))
            return
        initiators, responders = token.value
        is_initiator = self._role is Role.INITIATOR
        ours, theirs = (initiators, responders) if is_initiator else (responders, initiators)
        pair = work.ephemeral if ours == "e" else self._static
        public = work.remote_ephemeral if theirs == "e" else work.remote_static
        private = _given(pair, "our key").private
        work.symmetric.mix_key(self._crypto.dh(private, _given(public, "the peer's key")))
