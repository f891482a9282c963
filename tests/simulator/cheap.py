"""Cryptography that costs next to nothing and protects nothing, for thousands of nodes at once.

It keeps what the protocol relies on to *work*: Diffie-Hellman agrees on both sides, a wrong key, a
changed byte or a changed header fails to authenticate, a signature fits one key and one message.
It hides nothing: private keys follow from public ones, and ciphertext is plaintext with a tag. It
lives under ``tests/`` alone; no shipped package can import it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from l2mesh.crypto import KEY_BYTES, TAG_BYTES, X25519_PRIME, Cipher, KeyPair, Random, Transport
from l2mesh.errors import CryptoError

__all__ = ["CheapCrypto", "CheapTransport"]

_BASE: Final = 9
_REFUSED: Final = "authentication failed"


class CheapCrypto:
    """A :class:`l2mesh.crypto.Crypto` of integer multiplications and one hash.

    ``addresses`` forces the address of a fingerprint, so that two identities can share one; every
    other fingerprint is admissible at the first draw.
    """

    def __init__(self, *, aes: bool = True) -> None:
        self.aes = aes
        self.addresses: dict[bytes, bytes] = {}

    def generate_x25519(self, random: Random) -> KeyPair:
        private = random(KEY_BYTES)
        return KeyPair(private, self.x25519_public(private))

    def x25519_public(self, private: bytes) -> bytes:
        return _encode(_scalar(private) * _BASE)

    def dh(self, private: bytes, public: bytes) -> bytes:
        _require(len(public) == KEY_BYTES)
        point = int.from_bytes(public, "little")
        if not 0 < point < X25519_PRIME:
            raise CryptoError("not a cheap public key")
        return _encode(_scalar(private) * point)

    def ed25519_from_seed(self, seed: bytes) -> tuple[bytes, bytes]:
        public = blake2b(seed, digest_size=KEY_BYTES, person=b"cheap signer").digest()
        return seed + public, public

    def sign(self, secret: bytes, message: bytes) -> bytes:
        return _signature(secret[KEY_BYTES:], message)

    def verify(self, public: bytes, message: bytes, signature: bytes) -> None:
        if _signature(public, message) != signature:
            raise CryptoError("signature does not verify")

    def handshake_seal(self, key: bytes, nonce: int, ad: bytes, text: bytes) -> bytes:
        return text + _tag(key, nonce.to_bytes(8, "little"), ad, text)

    def handshake_open(self, key: bytes, nonce: int, ad: bytes, text: bytes) -> bytes:
        return _open(key, nonce.to_bytes(8, "little"), ad, text)

    def transport(self, cipher: Cipher, key: bytes, salt: bytes) -> Transport:
        if cipher is Cipher.AES_256_GCM and not self.aes:
            raise CryptoError("this CPU has no AES-256-GCM")
        return CheapTransport(key, salt + bytes([cipher]))

    def xseal(self, key: bytes, nonce: bytes, ad: bytes, text: bytes) -> bytes:
        return text + _tag(key, nonce, ad, text)

    def xopen(self, key: bytes, nonce: bytes, ad: bytes, text: bytes) -> bytes:
        return _open(key, nonce, ad, text)

    def has_aes(self) -> bool:
        return self.aes

    def address_hash(self, fingerprint: bytes) -> bytes:
        digest = blake2b(fingerprint, digest_size=32, person=b"cheap address").digest()
        address = self.addresses.get(fingerprint, b"\x5a" + digest[2:6])
        return b"\0" + address + digest[6:]


class CheapTransport(Transport):
    """One direction of one index: plaintext and a keyed tag over counter, header and text."""

    __slots__ = ("_key", "_salt")

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._key = key
        self._salt = salt

    def seal(self, counter: int, aad: bytes, plaintext: bytes) -> bytes:
        return plaintext + _tag(self._key, self._salt + counter.to_bytes(8, "big"), aad, plaintext)

    def open(self, counter: int, aad: bytes, ciphertext: bytes) -> bytes:
        return _open(self._key, self._salt + counter.to_bytes(8, "big"), aad, ciphertext)


def _require(holds: bool) -> None:  # noqa: FBT001 - its only argument
    if not holds:
        raise CryptoError("wrong length")


def _scalar(private: bytes) -> int:
    _require(len(private) == KEY_BYTES)
    return int.from_bytes(private, "little") | 1


def _encode(point: int) -> bytes:
    return (point % X25519_PRIME).to_bytes(KEY_BYTES, "little")


def _signature(public: bytes, message: bytes) -> bytes:
    return blake2b(message, digest_size=64, key=public, person=b"cheap signature").digest()


def _tag(key: bytes, nonce: bytes, ad: bytes, text: bytes) -> bytes:
    head = nonce + len(ad).to_bytes(4, "big") + ad
    return blake2b(head + text, digest_size=TAG_BYTES, key=key).digest()


def _open(key: bytes, nonce: bytes, ad: bytes, text: bytes) -> bytes:
    plain, tag = text[:-TAG_BYTES], text[-TAG_BYTES:]
    if len(text) < TAG_BYTES or _tag(key, nonce, ad, plain) != tag:
        raise CryptoError(_REFUSED)
    return plain
