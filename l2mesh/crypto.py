"""The one door to cryptographic primitives.

Everything here is stateless and takes its randomness as an argument, so that the same protocol code
runs in a daemon with `SodiumCrypto` and in a simulator with a cheap `Crypto` of its own. No other
module imports PyNaCl. BLAKE2 comes from `hashlib`, constant-time comparison from `hmac`.

Any bytes from outside either work or raise `CryptoError`: lengths are checked before a pointer
reaches libsodium, which does not check them.
"""

import hmac
from collections.abc import Callable
from enum import IntEnum
from hashlib import blake2s
from struct import Struct
from typing import Any, Final, NamedTuple, Protocol

import nacl.bindings as sodium  # initialises libsodium, which _sodium alone does not
from nacl._sodium import ffi as _ffi  # type: ignore[import-not-found]
from nacl._sodium import lib as _lib
from nacl.exceptions import CryptoError as SodiumError

from l2mesh.errors import CryptoError

Random = Callable[[int], bytes]
"""Gives so many unpredictable bytes: `os.urandom` in a daemon, something seeded in a test."""

KEY_BYTES: Final = 32
"""Every symmetric key, X25519 key, Ed25519 seed and Ed25519 public key."""
SIGN_SECRET_BYTES: Final = 64
"""An Ed25519 secret as libsodium keeps it: seed | public key."""
SIGNATURE_BYTES: Final = 64
TAG_BYTES: Final = 16
"""What every AEAD here adds to its plaintext."""
RUN_AAD_BYTES: Final = 8
"""Of each datagram in a run."""
SALT_BYTES: Final = 4
"""The fixed front of a transport nonce."""
XNONCE_BYTES: Final = 24

ADDRESS_SALT: Final = b"l2mesh address 1"
ADDRESS_OPSLIMIT: Final = 1
ADDRESS_MEMLIMIT_BYTES: Final = 2 * 1024 * 1024

X25519_PRIME: Final = 2**255 - 19


class Cipher(IntEnum):
    """The transport AEAD of a session, with its number on the wire. There is no null cipher."""

    AES_256_GCM = 1
    CHACHA20_POLY1305 = 2


class KeyPair(NamedTuple):
    """An X25519 key pair, 32 bytes each. The private half never shows in a `repr`."""

    private: bytes
    public: bytes

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public.hex()})"


class Transport(Protocol):
    """One AEAD key at work on one index, in one direction.

    Not thread-safe: an instance belongs to the thread that pumps its engine. It counts nothing;
    that no `counter` is sealed twice is the caller's promise.
    """

    def seal(self, counter: int, aad: bytes, plaintext: bytes) -> bytes:
        """Ciphertext | tag, 16 bytes longer than `plaintext`; `counter` is a u64."""
        ...

    def open(self, counter: int, aad: bytes, ciphertext: bytes) -> bytes:
        """The plaintext, or CryptoError when the tag does not verify."""
        ...

    def seal_run(self, counter: int, run: bytes, stride: int, skip: int) -> bytes:
        """`run` with its datagrams sealed, as `seal` does each; their counters count up.

        They are `stride` bytes long, the last one perhaps shorter: `skip` bytes that stay as they
        are | 8 bytes of AAD | plaintext | 16 bytes in whose place the tag comes.
        """
        text_at = skip + RUN_AAD_BYTES
        sealed: list[bytes] = []
        for number, at in enumerate(range(0, len(run), stride), counter):
            head, text = run[at : at + text_at], run[at + text_at : at + stride]
            sealed += head, self.seal(number, head[skip:], text[:-TAG_BYTES])
        return b"".join(sealed)

    def open_run(self, counter: int, run: bytes, stride: int, skip: int) -> tuple[bytes, int]:
        """`run` with its datagrams opened, and how many: all before one whose tag is wrong.

        The plaintexts lie where the ciphertexts lay; what lies behind them means nothing.
        """
        text_at, opened = skip + RUN_AAD_BYTES, bytearray(run)
        for number, at in enumerate(range(0, len(run), stride)):
            head, text = run[at : at + text_at], run[at + text_at : at + stride]
            try:
                plaintext = self.open(counter + number, head[skip:], text)
            except CryptoError:
                return bytes(opened), number
            opened[at + text_at : at + text_at + len(plaintext)] = plaintext
        return bytes(opened), -(-len(run) // stride)


class Crypto(Protocol):
    """The primitives that l2mesh is built from; docs of the real ones are at `SodiumCrypto`."""

    def generate_x25519(self, random: Random) -> KeyPair: ...
    def x25519_public(self, private: bytes) -> bytes: ...
    def dh(self, private: bytes, public: bytes) -> bytes: ...
    def ed25519_from_seed(self, seed: bytes) -> tuple[bytes, bytes]: ...
    def sign(self, secret: bytes, message: bytes) -> bytes: ...
    def verify(self, public: bytes, message: bytes, signature: bytes) -> None: ...
    def handshake_seal(self, key: bytes, nonce: int, ad: bytes, text: bytes) -> bytes: ...
    def handshake_open(self, key: bytes, nonce: int, ad: bytes, text: bytes) -> bytes: ...
    def transport(self, cipher: Cipher, key: bytes, salt: bytes) -> Transport: ...
    def xseal(self, key: bytes, nonce: bytes, ad: bytes, text: bytes) -> bytes: ...
    def xopen(self, key: bytes, nonce: bytes, ad: bytes, text: bytes) -> bytes: ...
    def has_aes(self) -> bool: ...
    def address_hash(self, fingerprint: bytes) -> bytes: ...


_NULL: Final[Any] = _ffi.NULL
_pack_noise_nonce = Struct("<4xQ").pack
_pack_counter = Struct(">Q").pack


def _require(what: str, value: bytes, size: int) -> None:
    """CryptoError unless `value` is exactly `size` bytes."""
    if len(value) != size:
        raise CryptoError(f"{what} must be {size} bytes, not {len(value)}")


class SodiumCrypto:
    """The primitives of libsodium, through PyNaCl. It has no state; any number may share one."""

    __slots__ = ()

    def generate_x25519(self, random: Random) -> KeyPair:
        """A key pair from one draw of 32 bytes."""
        private = random(KEY_BYTES)
        return KeyPair(private, self.x25519_public(private))

    def x25519_public(self, private: bytes) -> bytes:
        """The public key of `private`, which libsodium clamps (RFC 7748 section 5)."""
        _require("an X25519 private key", private, KEY_BYTES)
        return sodium.crypto_scalarmult_base(private)

    def dh(self, private: bytes, public: bytes) -> bytes:
        """X25519 (RFC 7748), 32 bytes.

        Raises CryptoError for a point of low order, whose result would be all zero whatever our
        key, and for an encoding of 2^255 - 19 or more. RFC 7748 would reduce the latter; we refuse
        them so that a key has one encoding and an identity one fingerprint.
        """
        _require("an X25519 private key", private, KEY_BYTES)
        _require("an X25519 public key", public, KEY_BYTES)
        if int.from_bytes(public, "little") >= X25519_PRIME:
            raise CryptoError("X25519 public key is not canonical")
        try:
            return sodium.crypto_scalarmult(private, public)
        except SodiumError:
            raise CryptoError("X25519 public key has low order") from None

    def ed25519_from_seed(self, seed: bytes) -> tuple[bytes, bytes]:
        """(secret of 64 bytes, public key of 32) from a seed of 32 (RFC 8032 section 5.1.5)."""
        _require("an Ed25519 seed", seed, KEY_BYTES)
        public, secret = sodium.crypto_sign_seed_keypair(seed)
        return secret, public

    def sign(self, secret: bytes, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature, deterministic; `secret` is that of `ed25519_from_seed`."""
        _require("an Ed25519 secret", secret, SIGN_SECRET_BYTES)
        return sodium.crypto_sign(message, secret)[:SIGNATURE_BYTES]

    def verify(self, public: bytes, message: bytes, signature: bytes) -> None:
        """Raises CryptoError unless `signature` is good.

        Strict: S below the group order, a canonical public key, neither it nor R of small order. So
        nobody but the signer can turn one valid signature into another.
        """
        _require("an Ed25519 public key", public, KEY_BYTES)
        _require("an Ed25519 signature", signature, SIGNATURE_BYTES)
        try:
            sodium.crypto_sign_open(signature + message, public)
        except SodiumError:
            raise CryptoError("signature does not verify") from None

    def handshake_seal(self, key: bytes, nonce: int, ad: bytes, text: bytes) -> bytes:
        """ChaCha20-Poly1305; its nonce is 0 u32 | `nonce` u64 little-endian (Noise 12.3)."""
        _require("a handshake key", key, KEY_BYTES)
        return sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
            text, ad, _pack_noise_nonce(nonce), key
        )

    def handshake_open(self, key: bytes, nonce: int, ad: bytes, text: bytes) -> bytes:
        """Undoes `handshake_seal`; CryptoError when the tag does not verify."""
        _require("a handshake key", key, KEY_BYTES)
        return _open(
            sodium.crypto_aead_chacha20poly1305_ietf_decrypt,
            text,
            ad,
            _pack_noise_nonce(nonce),
            key,
        )

    def transport(self, cipher: Cipher, key: bytes, salt: bytes) -> Transport:
        """The AEAD for one index; CryptoError for AES-256-GCM without AES hardware."""
        return SodiumTransport(cipher, key, salt)

    def xseal(self, key: bytes, nonce: bytes, ad: bytes, text: bytes) -> bytes:
        """XChaCha20-Poly1305, for nonces of 24 bytes drawn at random."""
        _require("an XChaCha20 key", key, KEY_BYTES)
        _require("an XChaCha20 nonce", nonce, XNONCE_BYTES)
        return sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(text, ad, nonce, key)

    def xopen(self, key: bytes, nonce: bytes, ad: bytes, text: bytes) -> bytes:
        """Undoes `xseal`; CryptoError when the tag does not verify."""
        _require("an XChaCha20 key", key, KEY_BYTES)
        _require("an XChaCha20 nonce", nonce, XNONCE_BYTES)
        return _open(sodium.crypto_aead_xchacha20poly1305_ietf_decrypt, text, ad, nonce, key)

    def has_aes(self) -> bool:
        """Whether this CPU runs AES-256-GCM in hardware, the only way libsodium offers it."""
        return bool(_lib.crypto_aead_aes256gcm_is_available())

    def address_hash(self, fingerprint: bytes) -> bytes:
        """Argon2id of a fingerprint: one pass over 2 MiB, 32 bytes out; milliseconds of work.

        Salt and parameters are part of the protocol: they make a forced 40-bit collision dear.
        """
        _require("a fingerprint", fingerprint, 32)
        return sodium.crypto_pwhash_alg(
            32,
            fingerprint,
            ADDRESS_SALT,
            ADDRESS_OPSLIMIT,
            ADDRESS_MEMLIMIT_BYTES,
            sodium.crypto_pwhash_ALG_ARGON2ID13,
        )


def _open(
    decrypt: Callable[[bytes, bytes, bytes, bytes], bytes],
    text: bytes,
    ad: bytes,
    nonce: bytes,
    key: bytes,
) -> bytes:
    """Calls PyNaCl's `decrypt`, which would not survive a text shorter than its tag."""
    if len(text) < TAG_BYTES:
        raise CryptoError("ciphertext is shorter than its tag")
    try:
        return decrypt(text, ad, nonce, key)
    except SodiumError:
        raise CryptoError("authentication failed") from None


_FIRST_SCRATCH_BYTES = 2048
"""Holds any datagram of an ordinary underlay; larger ones make the scratch grow."""


class SodiumTransport:
    """A `Transport` that hands libsodium our own buffers.

    PyNaCl's functions check types, allocate and clear two objects and copy for each call: 6.5 us
    for a 1,414-byte packet. Calling the C function on a scratch buffer that stays takes 1.5 us with
    AES-256-GCM and 3.0 us with ChaCha20-Poly1305, of which 0.9 and 2.1 are libsodium's own
    (`tools/benchmark/primitives.py`). libsodium can expand an AES key once for all packets, but
    PyNaCl binds no such call. In a run, where a loop does nothing but call it, a packet takes 1.1
    us: pointers into the scratch are kept for as long as runs have the same shape.

    Memory: 2 KiB, or the largest packet or run so far. The scratch holds the last text until the
    next call; keys are forgotten with the instance.
    """

    __slots__ = (
        "_decrypt",
        "_encrypt",
        "_key",
        "_places",
        "_salt",
        "_scratch",
        "_shape",
        "_size",
        "_view",
    )

    _encrypt: Any
    _decrypt: Any
    _scratch: Any
    _view: Any

    def __init__(self, cipher: Cipher, key: bytes, salt: bytes) -> None:
        _require("a transport key", key, KEY_BYTES)
        _require("a transport salt", salt, SALT_BYTES)
        if cipher is Cipher.AES_256_GCM:
            if not _lib.crypto_aead_aes256gcm_is_available():
                raise CryptoError("this CPU has no AES-256-GCM")
            self._encrypt = _lib.crypto_aead_aes256gcm_encrypt
            self._decrypt = _lib.crypto_aead_aes256gcm_decrypt
        else:
            self._encrypt = _lib.crypto_aead_chacha20poly1305_ietf_encrypt
            self._decrypt = _lib.crypto_aead_chacha20poly1305_ietf_decrypt
        self._key = key
        self._salt = salt
        self._resize(_FIRST_SCRATCH_BYTES)

    def __repr__(self) -> str:
        return "<SodiumTransport>"

    def _resize(self, size: int) -> None:
        self._size = size
        self._scratch = _ffi.new("unsigned char[]", size)
        self._view = _ffi.buffer(self._scratch)
        self._shape = (0, 0)
        self._places: list[tuple[Any, Any]] = []

    def seal(self, counter: int, aad: bytes, plaintext: bytes) -> bytes:
        length = len(plaintext)
        size = length + TAG_BYTES
        if size > self._size:
            self._resize(size)
        out, nonce, key = self._scratch, self._salt + _pack_counter(counter), self._key
        if self._encrypt(out, _NULL, plaintext, length, aad, len(aad), _NULL, nonce, key):
            raise CryptoError("sealing failed")
        sealed: bytes = self._view[:size]
        return sealed

    def open(self, counter: int, aad: bytes, ciphertext: bytes) -> bytes:
        length = len(ciphertext)
        if length > self._size:
            self._resize(length)
        out, nonce, key = self._scratch, self._salt + _pack_counter(counter), self._key
        if self._decrypt(out, _NULL, _NULL, ciphertext, length, aad, len(aad), nonce, key):
            raise CryptoError("authentication failed")
        opened: bytes = self._view[: length - TAG_BYTES]
        return opened

    def seal_run(self, counter: int, run: bytes, stride: int, skip: int) -> bytes:
        encrypt, salt, key = self._encrypt, self._salt, self._key
        lengths = self._lay_out(run, stride, skip)
        for (aad, text), length in zip(self._places, lengths, strict=False):
            nonce = salt + _pack_counter(counter)
            if encrypt(text, _NULL, text, length, aad, RUN_AAD_BYTES, _NULL, nonce, key):
                raise CryptoError("sealing failed")
            counter += 1
        sealed: bytes = self._view[: len(run)]
        return sealed

    def open_run(self, counter: int, run: bytes, stride: int, skip: int) -> tuple[bytes, int]:
        decrypt, salt, key, first = self._decrypt, self._salt, self._key, counter
        lengths = self._lay_out(run, stride, skip)
        for (aad, text), length in zip(self._places, lengths, strict=False):
            size, nonce = length + TAG_BYTES, salt + _pack_counter(counter)
            if decrypt(text, _NULL, _NULL, text, size, aad, RUN_AAD_BYTES, nonce, key):
                break
            counter += 1
        return self._view[: len(run)], counter - first

    def _lay_out(self, run: bytes, stride: int, skip: int) -> list[int]:
        """Copies a run into the scratch; the lengths of its texts, which `_places` point to."""
        size, least = len(run), skip + RUN_AAD_BYTES + TAG_BYTES
        if min(size, stride) < least or (size - 1) % stride + 1 < least:
            raise CryptoError("a run has a datagram that is shorter than its tag")
        count, last = (size - 1) // stride + 1, (size - 1) % stride + 1
        if size > self._size:
            self._resize(size)
        if self._shape != (stride, skip):
            self._shape, self._places = (stride, skip), []
        for at in range(len(self._places) * stride + skip, size, stride):
            aad = self._scratch + at
            self._places.append((aad, aad + RUN_AAD_BYTES))
        self._view[:size] = run
        return [*[stride - least] * (count - 1), last - least]


def hmac_blake2s(key: bytes, data: bytes) -> bytes:
    """HMAC (RFC 2104) over BLAKE2s, 32 bytes.

    Given the constructor, `hmac` goes straight to work; given the name it would first ask OpenSSL,
    which has no BLAKE2s for it, and take 1.7 times as long.
    """
    return hmac.digest(key, data, blake2s)
