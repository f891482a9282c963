"""Identities, fingerprints, addresses, network IDs and MACs: section 1 of the document."""

import base64
import hashlib
import os
from dataclasses import dataclass
from functools import cached_property

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.stranger.errors import Refused, require


def signature_input(kind: str, network: int, body: bytes) -> bytes:
    """What is signed: section 9.1."""
    return b"l2mesh/1/" + kind.encode() + b"\0" + network.to_bytes(8) + body


def verify(key: bytes, signature: bytes, text: bytes) -> None:
    """Refused unless the Ed25519 signature is good."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
    except (InvalidSignature, ValueError):
        raise Refused("the signature does not verify") from None


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """The reverse."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise Refused("not base64url") from None


@dataclass(frozen=True)
class Public:
    """A public identity of 128 bytes whose binding verifies."""

    raw: bytes

    def __post_init__(self) -> None:
        require(len(self.raw) == 128, "not 128 bytes")
        verify(self.signing, self.raw[64:], signature_input("identity", 0, self.exchange))

    @property
    def exchange(self) -> bytes:
        """The X25519 public key."""
        return self.raw[:32]

    @property
    def signing(self) -> bytes:
        """The Ed25519 public key."""
        return self.raw[32:64]

    @property
    def text(self) -> str:
        """The `public` of commands."""
        return b64(self.raw)

    @cached_property
    def fingerprint(self) -> bytes:
        """The name under which every table knows it."""
        return hashlib.blake2b(self.raw[:64], digest_size=32).digest()

    @property
    def fingerprint_text(self) -> str:
        """The fingerprint in base32."""
        return base64.b32encode(self.fingerprint).decode().rstrip("=").lower()

    @cached_property
    def hash(self) -> bytes:
        """Argon2id over the fingerprint."""
        return hash_secret_raw(
            self.fingerprint, b"l2mesh address 1", 1, 2048, 1, 32, Type.ID, version=0x13
        )

    @property
    def address(self) -> bytes | None:
        """The five bytes, None if the identity is not admissible."""
        address = self.hash[1:6]
        return address if self.hash[0] < 0x10 and is_address(address) else None


class Identity:
    """Both private keys."""

    def __init__(self, exchange: bytes, seed: bytes) -> None:
        """From 32 bytes each."""
        self.exchange = X25519PrivateKey.from_private_bytes(exchange)
        self.signing = Ed25519PrivateKey.from_private_bytes(seed)
        public = self.exchange.public_key().public_bytes_raw()
        binding = self.signing.sign(signature_input("identity", 0, public))
        self.public = Public(public + self.signing.public_key().public_bytes_raw() + binding)

    @classmethod
    def new(cls) -> "Identity":
        """Drawn until admissible."""
        while (drawn := cls(os.urandom(32), os.urandom(32))).public.address is None:
            pass
        return drawn


def is_address(address: bytes) -> bool:
    """Neither all zero nor beginning with 0xff."""
    return any(address) and address[0] != 0xFF


def network_id(text: str) -> int:
    """A network ID from its sixteen digits."""
    require(len(text) == 16 and set(text) <= set("0123456789abcdef"), "not 16 hex digits")
    require(is_address(bytes.fromhex(text[:10])), "the controller's address is none")
    require(int(text[10:], 16), "number 0 is not a network")
    return int(text, 16)


def derived_mac(network: int, address: bytes, salt: int) -> bytes:
    """The MAC that a controller gives first."""
    text = b"l2mesh mac" + network.to_bytes(8) + address + bytes([salt])
    mac = bytearray(hashlib.blake2b(text, digest_size=6).digest())
    mac[0] = mac[0] & 0xFC | 0x02
    return bytes(mac)
