"""mac1, mac2, cookies and their secret."""

import pytest

from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.errors import CryptoError
from l2mesh.session import macs
from l2mesh.wire.handshake import Cookie, Init, Response

CRYPTO = SodiumCrypto()
KEY = macs.mac1_key(b"\x11" * 32)
HERE = Path(Endpoint("192.0.2.1", 9993))


def init(cookie: bytes | None = None) -> bytes:
    body = Init(0x01020304, b"n" * 400).encode()[:-32]
    body += macs.mac1(KEY, body)
    return body + (macs.NO_MAC if cookie is None else macs.mac2(cookie, body))


def response() -> bytes:
    body = Response(7, b"n" * 200).encode()[:-16]
    return body + macs.mac1(KEY, body)


@pytest.mark.parametrize("datagram", [init(), response()])
def test_mac1_covers_every_byte_before_it(datagram: bytes) -> None:
    assert macs.has_mac1(KEY, datagram)
    covered = len(datagram) - (16 if datagram[0] == 1 else 0)
    for position in range(covered):
        changed = bytearray(datagram)
        changed[position] ^= 1
        assert not macs.has_mac1(KEY, bytes(changed))


def test_mac1_is_for_one_receiver() -> None:
    assert not macs.has_mac1(macs.mac1_key(b"\x12" * 32), init())


def test_short_and_foreign_datagrams_have_no_mac1() -> None:
    assert not any(macs.has_mac1(KEY, init()[:size]) for size in range(len(init())))
    assert not any(macs.has_mac1(KEY, bytes([first]) * 100) for first in range(256))


def test_mac2_shows_the_cookie_and_covers_mac1() -> None:
    cookie = b"c" * 16
    datagram = init(cookie)
    assert macs.has_mac2(cookie, datagram)
    assert not macs.has_mac2(b"d" * 16, datagram)
    assert not macs.has_mac2(cookie, datagram[:-20] + b"\0" + datagram[-19:])


def test_cookie_names_address_port_and_relay() -> None:
    secret = b"s" * 32
    paths = [
        HERE,
        Path(Endpoint("192.0.2.2", 9993)),
        Path(Endpoint("192.0.2.1", 9994)),
        Path(Endpoint("2001:db8::1", 9993)),
        Path(HERE.endpoint, relay=5),
    ]
    assert len({macs.cookie_of(secret, path) for path in paths}) == len(paths)
    mapped = Path(Endpoint("::ffff:192.0.2.1", 9993))
    assert macs.cookie_of(secret, mapped) == macs.cookie_of(secret, HERE)


def test_sealed_cookie_opens_only_with_the_mac1_of_its_init() -> None:
    key = macs.cookie_key(b"\x11" * 32)
    cookie = b"c" * 16
    datagram = macs.cookie_datagram(
        init(), cookie=cookie, key=key, crypto=CRYPTO, random=lambda size: b"r" * size
    )
    assert len(datagram) == 64
    parsed = Cookie.decode(datagram)
    assert parsed.handshake == 0x01020304
    nonce, sealed = parsed.nonce, parsed.sealed
    mac1 = macs.init_mac1(init())
    assert macs.open_cookie(CRYPTO, key, nonce=nonce, mac1=mac1, sealed=sealed) == cookie
    with pytest.raises(CryptoError):
        macs.open_cookie(CRYPTO, key, nonce=nonce, mac1=b"m" * 16, sealed=sealed)


def test_cookie_is_good_for_its_period_and_the_next() -> None:
    secret = macs.CookieSecret(b"s" * 32)
    datagram = init(secret.cookie(HERE, 239.0))
    assert secret.accepts(datagram, HERE, 239.0)
    assert secret.accepts(datagram, HERE, 359.9)
    assert not secret.accepts(datagram, HERE, 360.0)
    assert not secret.accepts(datagram, Path(Endpoint("192.0.2.9", 9993)), 239.0)


def test_init_without_mac2_shows_no_cookie() -> None:
    assert not macs.CookieSecret(b"s" * 32).accepts(init(), HERE, 0.0)


def test_cookie_seed_has_32_bytes_and_stays_hidden() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        macs.CookieSecret(b"s" * 16)
    assert "7373" not in repr(macs.CookieSecret(b"s" * 32))
