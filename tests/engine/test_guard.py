from hashlib import blake2s

import pytest

from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import (
    AddRelayLeg,
    DropReason,
    Endpoint,
    HandshakeReceived,
    Path,
    SendDatagram,
    SetGuard,
    Transmit,
)
from l2mesh.datapath.reference import Bounds
from l2mesh.session.macs import cookie_key, mac1_key, open_cookie
from l2mesh.wire.handshake import Cookie
from l2mesh.wire.relay import frame_relay
from tests.engine.lab import Host

PUBLIC = bytes(range(32))
RELAY = 77
PLANET = Endpoint("203.0.113.1", 9993)


def keyed(key: bytes, text: bytes) -> bytes:
    return blake2s(text, key=key, digest_size=16).digest()


def make_init(number: int = 1, *, size: int = 384, cookie: bytes = b"") -> bytes:
    body = b"\x01\x01\0\0" + number.to_bytes(4, "big")
    body = body.ljust(size - 32, b"n")
    body += keyed(mac1_key(PUBLIC), body)
    return body + (keyed(cookie, body) if cookie else bytes(16))


def make_response(size: int = 205) -> bytes:
    body = (b"\x02\x01\0\0" + bytes(4)).ljust(size - 16, b"n")
    return body + keyed(mac1_key(PUBLIC), body)


def source(number: int) -> Endpoint:
    return Endpoint(f"198.51.{number >> 8}.{number & 255}", 1000)


def guarded(**bounds: int) -> Host:
    host = Host(1, bounds=Bounds(**bounds))
    host.do(SetGuard(PUBLIC, b"s" * 32))
    return host


def give(host: Host, datagram: bytes, origin: Endpoint) -> None:
    host.engine.handle_datagram(datagram, origin, host.now)


def load(host: Host) -> None:
    """Put a host under load; its answers and upcalls are thrown away."""
    for number in range(21):
        give(host, make_init(number), source(number))
    host.outputs()
    host.heard()


@pytest.mark.parametrize("datagram", [make_init(), make_init(size=1200), make_response()])
def test_good_handshakes_go_up(datagram: bytes) -> None:
    host = guarded()
    give(host, datagram, source(1))
    assert host.heard() == [HandshakeReceived(datagram, Path(source(1)))]
    assert not host.drops and not host.outputs()


def test_cookie_goes_up() -> None:
    host, datagram = guarded(), Cookie(1, bytes(24), bytes(32)).encode()
    give(host, datagram, source(1))
    assert host.heard() == [HandshakeReceived(datagram, Path(source(1)))]


def test_everything_is_silence_before_the_guard_is_set() -> None:
    host = Host(1)
    for datagram in (make_init(), make_response(), Cookie(1, bytes(24), bytes(32)).encode()):
        give(host, datagram, source(1))
    assert host.drops == {DropReason.BAD_MAC1: 3} and not host.heard()


def test_wrong_shapes_are_malformed() -> None:
    host = guarded()
    init = make_init(size=1200)
    shapes = [init[:size] for size in range(1, 384)]
    shapes += [init + b"x", make_response()[:204], Cookie(1, bytes(24), bytes(32)).encode()[:63]]
    shapes += [init[:1] + bytes([2]) + init[2:], init[:2] + b"\1\0" + init[4:]]
    for datagram in shapes:
        give(host, datagram, source(1))
    assert host.drops == {DropReason.MALFORMED: len(shapes)}
    assert not host.heard() and not host.outputs()


@pytest.mark.parametrize("first", [0, 5, 6, 0x7F])
def test_unknown_types_are_silence(first: int) -> None:
    host = guarded()
    give(host, bytes([first]) * 100, source(1))
    assert host.drops == {DropReason.UNKNOWN_TYPE: 1}


def test_empty_datagram_is_malformed() -> None:
    host = guarded()
    give(host, b"", source(1))
    assert host.drops == {DropReason.MALFORMED: 1}


def test_flood_of_wrong_mac1_makes_no_load_and_displaces_nothing() -> None:
    host = guarded()
    good = make_init()
    for number in range(5000):
        at = number % 368 + (8 if number % 368 < 8 else 0)
        forged = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        give(host, forged, source(number))
    assert host.drops == {DropReason.BAD_MAC1: 5000}
    give(host, good, source(1))
    assert host.heard() == [HandshakeReceived(good, Path(source(1)))] and not host.outputs()


def test_load_begins_above_20_a_second_and_lasts_one_second() -> None:
    host = guarded()
    for number in range(20):
        give(host, make_init(number), source(number))
    assert len(host.heard()) == 20 and not host.outputs()
    give(host, make_init(20), source(20))
    assert host.heard() == [] and len(host.outputs()) == 1
    host.now += 0.99
    give(host, make_init(21), source(21))
    assert host.heard() == []
    host.now += 1.0
    give(host, make_init(22), source(22))
    assert len(host.heard()) == 1


def test_cookie_is_answered_and_lets_in_its_owner_only() -> None:
    host = guarded()
    load(host)
    init = make_init(99)
    give(host, init, source(5))
    (answer,) = host.outputs()
    assert answer.endpoint == source(5) and len(answer.datagram) <= len(init)
    got = Cookie.decode(answer.datagram)
    assert got.handshake == 99
    crypto, key = SodiumCrypto(), cookie_key(PUBLIC)
    cookie = open_cookie(crypto, key, nonce=got.nonce, mac1=init[-32:-16], sealed=got.sealed)
    again = make_init(100, cookie=cookie)
    give(host, again, source(6))  # another address
    give(host, again, Endpoint(source(5).host, 1001))  # another port
    assert host.heard() == []
    give(host, again, source(5))
    assert host.heard() == [HandshakeReceived(again, Path(source(5)))]
    for seconds, passes in ((119.0, True), (125.0, False)):
        host.now += seconds
        load(host)
        give(host, again, source(5))
        assert bool(host.heard()) is passes
    assert set(host.drops) == {DropReason.COOKIE_REQUIRED}


def cookie_for(host: Host, origin: Endpoint) -> bytes:
    init = make_init()
    give(host, init, origin)
    got = Cookie.decode(host.outputs()[-1].datagram)
    return open_cookie(
        SodiumCrypto(),
        cookie_key(PUBLIC),
        nonce=got.nonce,
        mac1=init[-32:-16],
        sealed=got.sealed,
    )


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (Endpoint("192.0.2.7", 5), Endpoint("192.0.2.7", 6), True),
        (Endpoint("192.0.2.7", 5), Endpoint("192.0.2.8", 5), False),
        (Endpoint("2001:db8::1", 5), Endpoint("2001:db8::ffff:1", 5), True),
        (Endpoint("2001:db8::1", 5), Endpoint("2001:db8:0:1::1", 5), False),
        (Endpoint("::ffff:192.0.2.7", 5), Endpoint("192.0.2.7", 5), True),
    ],
)
def test_prefix_gets_no_more_than_its_share(
    one: Endpoint, other: Endpoint, *, shared: bool
) -> None:
    host = guarded()
    load(host)
    cookies = {origin: cookie_for(host, origin) for origin in (one, other)}
    for _ in range(8):
        give(host, make_init(cookie=cookies[one]), one)
    assert len(host.heard()) == 5
    assert host.drops[DropReason.HANDSHAKE_RATE] == 3
    give(host, make_init(cookie=cookies[other]), other)
    assert bool(host.heard()) is not shared
    host.now += 0.1
    give(host, make_init(cookie=cookies[one]), one)
    assert len(host.heard()) == 1


def test_prefixes_are_bounded() -> None:
    host = guarded(guard_prefixes=3)
    load(host)
    origins = [source(300 + number) for number in range(4)]
    cookies = [cookie_for(host, origin) for origin in origins]
    for origin, cookie in zip(origins, cookies, strict=True):
        give(host, make_init(cookie=cookie), origin)
    assert len(host.heard()) == 3 and host.drops[DropReason.HANDSHAKE_RATE] == 1
    host.now += 0.5
    for _ in range(21):
        give(host, make_init(), source(1))
    give(host, make_init(cookie=cookies[3]), origins[3])
    assert len(host.heard()) == 1


def test_handshake_by_relay_is_answered_by_relay() -> None:
    host = guarded()
    host.do(AddRelayLeg(RELAY, PLANET))
    give(host, frame_relay(RELAY, make_init()), PLANET)
    assert host.heard() == [HandshakeReceived(make_init(), Path(PLANET, RELAY))]
    load(host)
    give(host, frame_relay(RELAY, make_init(1)), PLANET)
    (answer,) = host.outputs()
    assert answer.endpoint == PLANET
    assert answer.datagram[:8] == frame_relay(RELAY, b"") and answer.datagram[8] == 3


def test_datagrams_of_the_core_leave_as_they_are() -> None:
    host = guarded()
    host.do(SendDatagram(b"abc", Path(source(1))), SendDatagram(b"abc", Path(PLANET, RELAY)))
    assert host.outputs() == [
        Transmit(b"abc", source(1)),
        Transmit(frame_relay(RELAY, b"abc"), PLANET),
    ]


def test_port_zero_can_be_answered_by_nobody_and_meets_silence() -> None:
    host = guarded()
    load(host)
    before = dict(host.drops)
    give(host, make_init(99), Endpoint("198.51.100.1", 0))
    assert host.outputs() == [] and host.heard() == []
    assert host.drops[DropReason.MALFORMED] == before.get(DropReason.MALFORMED, 0) + 1
