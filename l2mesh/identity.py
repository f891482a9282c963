"""Who a node is: a public identity of 128 bytes, and the secret one that its owner keeps.

     0  32  X25519 public key ("exchange"): handshakes
    32  32  Ed25519 public key ("signing"): signed objects
    64  64  binding: an Ed25519 signature over the X25519 key (section 9.1, type `identity`)

The fingerprint, BLAKE2b-256 over the two keys, is the name by which every table knows an identity.
The binding shows that one owner has both keys; an identity whose binding does not verify is never
built. The 40-bit address comes from a memory-hard hash of the fingerprint, exists for one
fingerprint in sixteen, and is only a hint (section 1).
"""

import base64
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Self

from l2mesh.address import ADDRESS_BYTES, FINGERPRINT_BYTES, is_address
from l2mesh.crypto import KEY_BYTES, SIGNATURE_BYTES, Crypto, Random
from l2mesh.errors import ConfigError, CryptoError, MalformedPacket

__all__ = [
    "PUBLIC_IDENTITY_BYTES",
    "Identity",
    "PublicIdentity",
    "address_of",
    "fingerprint_of",
    "signature_input",
]

PUBLIC_IDENTITY_BYTES: Final = 2 * KEY_BYTES + SIGNATURE_BYTES
PUBLIC_IDENTITY_CHARACTERS: Final = 171

ADMISSIBLE_BELOW: Final = 0x10
"""The first byte of the address hash: 16 draws on average, 25 ms, and as dear for a forger."""
MAX_DRAWS: Final = 4096
"""A random source that needs more is broken: the chance is 10^-115."""

_SECRET_MAGIC: Final = b"l2mesh identity\x01"
"""Front of the secret form; the last byte is its version."""
_SECRET_BYTES: Final = len(_SECRET_MAGIC) + 2 * KEY_BYTES + FINGERPRINT_BYTES


def signature_input(kind: str, network: int, body: bytes) -> bytes:
    """What every Ed25519 signature of ours covers (section 9.1): type | 0 | network u64 | body."""
    return b"l2mesh/1/" + kind.encode("ascii") + b"\0" + network.to_bytes(8, "big") + body


def fingerprint_of(exchange: bytes, signing: bytes) -> bytes:
    """The 32-byte fingerprint of two public keys."""
    return blake2b(exchange + signing, digest_size=FINGERPRINT_BYTES).digest()


def address_of(fingerprint: bytes, crypto: Crypto) -> bytes | None:
    """The 5-byte address that belongs to a fingerprint, None when it is not admissible.

    Costs milliseconds and 2 MiB: remember the answer by fingerprint.
    """
    digest = crypto.address_hash(fingerprint)
    address = digest[1 : 1 + ADDRESS_BYTES]
    return address if digest[0] < ADMISSIBLE_BELOW and is_address(address) else None


@dataclass(frozen=True, slots=True)
class PublicIdentity:
    """What everybody may know of a node. From outside it is only built by `decode` and `from_text`.

    `exchange` (X25519) and `signing` (Ed25519) are public keys of 32 bytes, `binding` is the
    signature of 64. `fingerprint` (32 bytes) is computed once.
    """

    exchange: bytes
    signing: bytes
    binding: bytes = field(repr=False)
    fingerprint: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", fingerprint_of(self.exchange, self.signing))

    def encode(self) -> bytes:
        """The 128 bytes of the wire."""
        return self.exchange + self.signing + self.binding

    @classmethod
    def decode(cls, data: bytes, crypto: Crypto) -> Self:
        """Reads 128 bytes and verifies the binding.

        Raises MalformedPacket for another length, CryptoError for a binding that does not verify.
        """
        if len(data) != PUBLIC_IDENTITY_BYTES:
            raise MalformedPacket(f"a public identity has 128 bytes, not {len(data)}")
        exchange, signing, binding = data[:32], data[32:64], data[64:]
        crypto.verify(signing, signature_input("identity", 0, exchange), binding)
        return cls(exchange, signing, binding)

    def text(self) -> str:
        """One line, safe in a URL: base64url without padding, 171 characters."""
        return base64.urlsafe_b64encode(self.encode()).decode("ascii").rstrip("=")

    @classmethod
    def from_text(cls, text: str, crypto: Crypto) -> Self:
        """Undoes `text`; ConfigError when that is not the text of a true identity."""
        if len(text) != PUBLIC_IDENTITY_CHARACTERS:
            raise _unreadable(f"it has {len(text)} characters, not {PUBLIC_IDENTITY_CHARACTERS}")
        try:
            identity = cls.decode(base64.b64decode(text + "=", b"-_", validate=True), crypto)
        except (ValueError, CryptoError):
            raise _unreadable("it is damaged") from None
        if identity.text() != text:
            raise _unreadable("it is damaged")
        return identity


def _unreadable(reason: str) -> ConfigError:
    return ConfigError(
        f"not a public identity: {reason}",
        hint="copy the whole line that `identity -o json` shows as `public`",
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's own identity. No secret shows in its `repr`.

    `exchange_private` is an X25519 key of 32 bytes; `signing_secret` an Ed25519 one of 64, seed and
    public key.
    """

    public: PublicIdentity
    exchange_private: bytes = field(repr=False)
    signing_secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> bytes:
        """The 32 bytes by which every table knows us."""
        return self.public.fingerprint

    @classmethod
    def generate(cls, crypto: Crypto, random: Random) -> Self:
        """Draws both keys anew until they are admissible: 16 draws on average (section 1)."""
        for _ in range(MAX_DRAWS):
            exchange = crypto.generate_x25519(random)
            seed = random(KEY_BYTES)
            _, signing = crypto.ed25519_from_seed(seed)
            if address_of(fingerprint_of(exchange.public, signing), crypto) is not None:
                return cls.from_keys(exchange.private, seed, crypto)
        raise CryptoError(f"{MAX_DRAWS} draws gave no identity: the random source repeats itself")

    @classmethod
    def from_keys(cls, exchange_private: bytes, seed: bytes, crypto: Crypto) -> Self:
        """The identity of an X25519 private key and an Ed25519 seed, 32 bytes each."""
        secret, signing = crypto.ed25519_from_seed(seed)
        exchange = crypto.x25519_public(exchange_private)
        binding = crypto.sign(secret, signature_input("identity", 0, exchange))
        return cls(PublicIdentity(exchange, signing, binding), exchange_private, secret)

    def sign(self, kind: str, network: int, body: bytes, crypto: Crypto) -> bytes:
        """Our 64-byte signature over a body (section 9.1)."""
        return crypto.sign(self.signing_secret, signature_input(kind, network, body))

    def encode_secret(self) -> bytes:
        """The secret as a file holds it, 112 bytes: what is in `l2mesh.identity` alone.

         0  16  "l2mesh identity" and the version, 1
        16  32  X25519 private key
        48  32  Ed25519 seed
        80  32  fingerprint, so that a damaged file never makes another identity
        """
        seed = self.signing_secret[:KEY_BYTES]
        return _SECRET_MAGIC + self.exchange_private + seed + self.fingerprint

    @classmethod
    def decode_secret(cls, data: bytes, crypto: Crypto) -> Self:
        """Undoes `encode_secret`; ConfigError, which shows nothing of `data`, if it is damaged."""
        if len(data) != _SECRET_BYTES or not data.startswith(_SECRET_MAGIC):
            raise _damaged("it is not an identity of version 1")
        keys = data[len(_SECRET_MAGIC) :]
        identity = cls.from_keys(keys[:32], keys[32:64], crypto)
        if identity.fingerprint != keys[64:]:
            raise _damaged("keys and fingerprint do not agree")
        return identity


def _damaged(reason: str) -> ConfigError:
    return ConfigError(
        f"secret identity: {reason}",
        hint="restore it from a backup, or move it away to begin with a new identity",
    )
