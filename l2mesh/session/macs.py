"""mac1, mac2 and cookies: what a stranger must show before we do any Diffie-Hellman.

mac1 proves that the sender knows whom it talks to, mac2 that it receives what is sent to its source
address (protocol sections 3.4 and 3.5; the scheme is WireGuard's). The functions here are pure and
take keys computed beforehand, because the guard in an engine calls them for every INIT:

    key = mac1_key(our X25519 public key)                 once
    has_mac1(key, datagram)                               one keyed hash for each INIT or RESPONSE
    secret.accepts(datagram, path, now)                   under load: is mac2 right?
    cookie_datagram(datagram, ...)                        under load: the COOKIE that answers

Layouts are in `l2mesh.wire.handshake`; here only the tail of a datagram counts:

    INIT      ... | mac1 16 | mac2 16        mac1 covers [:-32], mac2 covers [:-16]
    RESPONSE  ... | mac1 16                  mac1 covers [:-16]
"""

from hashlib import blake2s
from hmac import compare_digest
from typing import Final

from l2mesh.crypto import KEY_BYTES, XNONCE_BYTES, Crypto, Random
from l2mesh.datapath.interface import Path
from l2mesh.wire.datagram import DatagramType
from l2mesh.wire.endpoint import encode_endpoint
from l2mesh.wire.handshake import HEAD_BYTES, MAC_BYTES, Cookie

COOKIE_SECRET_PERIOD_S: Final = 120.0
"""A cookie secret is used for making cookies that long, and for one period more to check them."""
NO_MAC: Final = bytes(MAC_BYTES)
"""mac2 of an INIT whose sender holds no cookie."""

_SHORTEST: Final = HEAD_BYTES + 2 * MAC_BYTES
_HANDSHAKE: Final = slice(4, HEAD_BYTES)


def mac1_key(public: bytes) -> bytes:
    """The mac1 key (32 bytes) of everything sent to the owner of an X25519 public key."""
    return blake2s(b"l2mesh mac1" + public).digest()


def cookie_key(public: bytes) -> bytes:
    """The key (32 bytes) that seals the COOKIEs of a responder, from its X25519 public key."""
    return blake2s(b"l2mesh cookie" + public).digest()


def mac1(key: bytes, text: bytes) -> bytes:
    """mac1 over all bytes before it; `key` is that of `mac1_key`."""
    return blake2s(text, key=key, digest_size=MAC_BYTES).digest()


def mac2(cookie: bytes, text: bytes) -> bytes:
    """mac2 over all bytes before it, mac1 included."""
    return blake2s(text, key=cookie, digest_size=MAC_BYTES).digest()


def has_mac1(key: bytes, datagram: bytes) -> bool:
    """Whether `datagram` is an INIT or RESPONSE with the right mac1, whatever bytes it is."""
    if len(datagram) < _SHORTEST:
        return False
    if datagram[0] == DatagramType.INIT:
        return compare_digest(init_mac1(datagram), mac1(key, datagram[: -2 * MAC_BYTES]))
    if datagram[0] == DatagramType.RESPONSE:
        return compare_digest(datagram[-MAC_BYTES:], mac1(key, datagram[:-MAC_BYTES]))
    return False


def init_mac1(datagram: bytes) -> bytes:
    """The mac1 that an INIT of at least 32 bytes carries."""
    return datagram[-2 * MAC_BYTES : -MAC_BYTES]


def has_mac2(cookie: bytes, datagram: bytes) -> bool:
    """Whether an INIT of at least 32 bytes shows this cookie."""
    return compare_digest(datagram[-MAC_BYTES:], mac2(cookie, datagram[:-MAC_BYTES]))


def cookie_of(secret: bytes, path: Path) -> bytes:
    """The cookie (16 bytes) for whoever receives at `path`; `secret` is 32 bytes.

    Raises ConfigError when `path` names no numeric address; paths from an engine always do.
    """
    where = encode_endpoint(path.endpoint) + path.relay.to_bytes(8, "big")
    return blake2s(where, key=secret, digest_size=MAC_BYTES).digest()


def seal_cookie(crypto: Crypto, key: bytes, *, nonce: bytes, mac1: bytes, cookie: bytes) -> bytes:
    """`cookie` as COOKIE carries it, 32 bytes, bound to the INIT whose `mac1` it was.

    `key` is `cookie_key` of the responder, `nonce` 24 random bytes.
    """
    return crypto.xseal(key, nonce, mac1, cookie)


def open_cookie(crypto: Crypto, key: bytes, *, nonce: bytes, mac1: bytes, sealed: bytes) -> bytes:
    """Undoes `seal_cookie`. CryptoError when the sealer had not seen our INIT."""
    return crypto.xopen(key, nonce, mac1, sealed)


def cookie_datagram(
    init: bytes, *, cookie: bytes, key: bytes, crypto: Crypto, random: Random
) -> bytes:
    """The COOKIE (64 bytes) that answers an INIT of right shape; `key` is our `cookie_key`."""
    nonce = random(XNONCE_BYTES)
    sealed = seal_cookie(crypto, key, nonce=nonce, mac1=init_mac1(init), cookie=cookie)
    return Cookie(int.from_bytes(init[_HANDSHAKE], "big"), nonce, sealed).encode()


class CookieSecret:
    """The secret behind our cookies: a new one each 120 s, the one before still accepted.

    Secret number n = BLAKE2s-256(key = seed, "l2mesh cookie secret" | n u64) with n = now / 120 s
    rounded down, so that both engines derive the same ones and no timer is needed.
    """

    __slots__ = ("_current", "_number", "_previous", "_seed")

    def __init__(self, seed: bytes) -> None:
        """`seed` is 32 random bytes, drawn anew by each process."""
        if len(seed) != KEY_BYTES:
            raise ValueError(f"a cookie seed is {KEY_BYTES} bytes, not {len(seed)}")
        self._seed = seed
        self._number = -1
        self._current = self._previous = b""

    def __repr__(self) -> str:
        return "<CookieSecret>"

    def cookie(self, path: Path, now: float) -> bytes:
        """The cookie to hand out now; good for at least 120 s."""
        self._turn(now)
        return cookie_of(self._current, path)

    def accepts(self, init: bytes, path: Path, now: float) -> bool:
        """Whether an INIT from `path` shows the cookie of this period or of the one before."""
        if init[-MAC_BYTES:] == NO_MAC:
            return False
        self._turn(now)
        return has_mac2(cookie_of(self._current, path), init) or has_mac2(
            cookie_of(self._previous, path), init
        )

    def _turn(self, now: float) -> None:
        number = int(now // COOKIE_SECRET_PERIOD_S)
        if number != self._number:
            self._number = number
            self._current = self._secret(number)
            self._previous = self._secret(number - 1)

    def _secret(self, number: int) -> bytes:
        text = b"l2mesh cookie secret" + (number & (2**64 - 1)).to_bytes(8, "big")
        return blake2s(text, key=self._seed).digest()
