"""Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s by hand, and the other keyed hashes of section 3."""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import BLAKE2s
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.stranger.errors import Refused

NAME = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
AES_256_GCM, CHACHA20_POLY1305 = 1, 2
NO_PSK = bytes(32)
Aead = AESGCM | ChaCha20Poly1305


def blake2s(text: bytes, key: bytes = b"", size: int = 32) -> bytes:
    """BLAKE2s with a key and an output size."""
    return hashlib.blake2s(text, key=key, digest_size=size).digest()


def hkdf(chaining: bytes, text: bytes, count: int) -> list[bytes]:
    """Noise's HKDF."""
    secret, outputs, last = hmac.digest(chaining, text, "blake2s"), [], b""
    for number in range(1, count + 1):
        last = hmac.digest(secret, last + bytes([number]), "blake2s")
        outputs.append(last)
    return outputs


def open_sealed(aead: Aead, nonce: bytes, sealed: bytes, ad: bytes) -> bytes:
    """The plaintext; Refused if the tag is wrong."""
    try:
        return aead.decrypt(nonce, sealed, ad)
    except (InvalidTag, ValueError):
        raise Refused("forged") from None


def exchange(private: X25519PrivateKey, public: bytes) -> bytes:
    """X25519; Refused for points of low order."""
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Refused("a bad point") from None


class Transcript:
    """Noise's symmetric state, for one handshake."""

    def __init__(self, role: int, fingerprint: bytes, responder: bytes) -> None:
        """With the prologue of section 3 and the responder's static key known beforehand."""
        self.hash = self.chaining = blake2s(NAME)
        self.key, self.nonce = b"", 0
        self.mix_hash(b"l2mesh/1" + bytes([role]) + fingerprint)
        self.mix_hash(responder)

    def mix_hash(self, text: bytes) -> None:
        """MixHash."""
        self.hash = blake2s(self.hash + text)

    def mix_key(self, text: bytes) -> None:
        """MixKey."""
        self.chaining, self.key = hkdf(self.chaining, text, 2)
        self.nonce = 0

    def mix_ephemeral(self, public: bytes) -> None:
        """Token `e`, as patterns with a PSK have it."""
        self.mix_hash(public)
        self.mix_key(public)

    def mix_psk(self, psk: bytes) -> None:
        """Token `psk`."""
        self.chaining, text, self.key = hkdf(self.chaining, psk, 3)
        self.mix_hash(text)
        self.nonce = 0

    def _next_nonce(self) -> bytes:
        self.nonce += 1
        return struct.pack("<4xQ", self.nonce - 1)

    def seal(self, plaintext: bytes) -> bytes:
        """EncryptAndHash."""
        sealed = ChaCha20Poly1305(self.key).encrypt(self._next_nonce(), plaintext, self.hash)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        """DecryptAndHash."""
        aead = ChaCha20Poly1305(self.key)
        plaintext = open_sealed(aead, self._next_nonce(), sealed, self.hash)
        self.mix_hash(sealed)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """The key of the initiator and that of the responder."""
        first, second = hkdf(self.chaining, b"", 2)
        return first, second


def mac1(responder: bytes, text: bytes) -> bytes:
    """Section 3.4; `responder` is the X25519 key of whom the message goes to."""
    return blake2s(text, blake2s(b"l2mesh mac1" + responder), 16)


def index_key(direction: bytes, network: int, lane: int, index: int) -> tuple[bytes, bytes]:
    """Key and salt of a receive index: section 3.6."""
    info = b"l2mesh data" + struct.pack(">QB", network, lane) + index.to_bytes(3)
    both = HKDFExpand(algorithm=BLAKE2s(32), length=36, info=info).derive(direction)
    return both[:32], both[32:]


def aead_of(cipher: int, key: bytes) -> Aead:
    """The cipher named by its bit in the handshake's payload."""
    return AESGCM(key) if cipher == AES_256_GCM else ChaCha20Poly1305(key)


def _quarter(state: list[int], a: int, b: int, c: int, d: int) -> None:
    for target, source, mixed, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[target] = (state[target] + state[source]) & 0xFFFFFFFF
        value = state[mixed] ^ state[target]
        state[mixed] = (value << turn | value >> 32 - turn) & 0xFFFFFFFF


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """The subkey of XChaCha20 for the first 16 bytes of the nonce."""
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    for _ in range(10):
        for column in range(4):
            _quarter(state, column, 4 + column, 8 + column, 12 + column)
        for row in range(4):
            _quarter(state, row, 4 + (row + 1) % 4, 8 + (row + 2) % 4, 12 + (row + 3) % 4)
    return struct.pack("<8I", *state[:4], *state[12:])


def cookie_aead(responder: bytes, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    """XChaCha20-Poly1305 of section 3.5 as ChaCha20-Poly1305 and its nonce."""
    key = hchacha20(blake2s(b"l2mesh cookie" + responder), nonce[:16])
    return ChaCha20Poly1305(key), bytes(4) + nonce[16:]
