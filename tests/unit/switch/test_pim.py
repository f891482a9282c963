"""PIM hellos: which count, and for how long they make a port one of routers."""

import pytest

from l2mesh.errors import MalformedPacket
from l2mesh.switch.groups import Segment
from l2mesh.switch.membership import internet_checksum
from l2mesh.switch.pim import DEFAULT_HOLD_S, Hello, is_pim, parse_hello
from l2mesh.switch.query import link_local
from tests.unit.switch.test_membership import igmp
from tests.unit.switch.test_snooping import FOUR, HOST, MAC, Bench

ALL_ROUTERS4 = bytes([224, 0, 0, 13])
ALL_ROUTERS6 = bytes.fromhex("ff02") + bytes(13) + b"\x0d"
HOLD_30 = b"\0\1\0\2\0\x1e"
OTHER_OPTION = b"\0\x14\0\4abcd"


def hello4(
    options: bytes, *, kind: int = 0x20, target: bytes = ALL_ROUTERS4, fragment: int = 0
) -> bytes:
    message = bytes([kind, 0, 0, 0]) + options
    message = message[:2] + internet_checksum(message).to_bytes(2, "big") + message[4:]
    head = b"\x45\xc0" + (20 + len(message)).to_bytes(2, "big") + b"\0\0"
    head += fragment.to_bytes(2, "big") + b"\x01\x67\0\0" + bytes([10, 0, 0, 1]) + target
    return head[:10] + internet_checksum(head).to_bytes(2, "big") + head[12:] + message


def hello6(
    options: bytes, *, source: bytes = link_local(MAC), target: bytes = ALL_ROUTERS6
) -> bytes:
    message = b"\x20\0\0\0" + options
    pseudo = source + target + len(message).to_bytes(4, "big") + b"\0\0\0\x67"
    message = message[:2] + internet_checksum(pseudo + message).to_bytes(2, "big") + message[4:]
    return b"\x60\0\0\0" + len(message).to_bytes(2, "big") + b"\x67\x01" + source + target + message


@pytest.mark.parametrize(
    ("options", "hold_s"),
    [
        (b"", DEFAULT_HOLD_S),
        (OTHER_OPTION, DEFAULT_HOLD_S),
        (OTHER_OPTION + HOLD_30, 30.0),
        (b"\0\1\0\2\xff\xff", 65535.0),
        (b"\0\1\0\2\0\0", 0.0),
    ],
)
def test_a_hello_says_how_long_it_counts(options: bytes, hold_s: float) -> None:
    assert parse_hello(hello4(options)) == Hello(4, hold_s)
    assert parse_hello(hello4(options) + b"padding") == Hello(4, hold_s)
    assert parse_hello(hello6(options)) == Hello(6, hold_s)
    assert is_pim(hello4(options)) and is_pim(hello6(options))
    assert not is_pim(igmp(b"\x16\0\0\0" + bytes(4)))


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x50" + bytes(60),
        hello4(HOLD_30)[:-1],
        hello4(HOLD_30)[:20],
        hello4(HOLD_30, kind=0x21),
        hello4(HOLD_30, kind=0x10),
        hello4(HOLD_30, target=bytes([224, 0, 0, 1])),
        hello4(HOLD_30, fragment=0x2000),
        hello4(HOLD_30[:-1]),
        hello4(HOLD_30[:3]),
        hello4(b"\0\1\0\3abc"),
        hello4(HOLD_30)[:-1] + b"\x1f",
        hello6(HOLD_30)[:-1],
        hello6(HOLD_30)[:30],
        hello6(HOLD_30, source=bytes.fromhex("fd") + bytes(15)),
        hello6(HOLD_30, target=bytes.fromhex("ff02") + bytes(13) + b"\1"),
        hello6(HOLD_30)[:-1] + b"\x1f",
    ],
)
def test_what_no_router_would_take_counts_for_nothing(packet: bytes) -> None:
    with pytest.raises(MalformedPacket):
        parse_hello(packet)


def test_a_port_with_a_router_behind_it_wants_every_group_for_as_long() -> None:
    bench = Bench()
    bench.wait(10)
    listed = bench.snooper.wanted().listed
    assert FOUR in listed
    bench.snooper.hear_port(0, HOST, Hello(4, 105.0), bench.now, is_member=False)
    assert bench.snooper.is_router(FOUR) and FOUR not in bench.snooper.wanted().listed
    assert Segment(0, 6) in bench.snooper.wanted().listed, "of the other version nothing is said"
    bench.wait(104)
    assert FOUR not in bench.snooper.wanted().listed
    bench.wait(2)
    assert FOUR in bench.snooper.wanted().listed


def test_a_goodbye_does_not_undo_what_others_say() -> None:
    bench = Bench()
    bench.wait(10)
    bench.snooper.hear_port(0, HOST, Hello(4, 0.0), bench.now, is_member=False)
    assert FOUR in bench.snooper.wanted().listed
    bench.snooper.hear_port(0, HOST, Hello(4, 600.0), bench.now, is_member=False)
    bench.query(bytes([10, 0, 0, 1]))
    bench.snooper.hear_port(0, HOST, Hello(4, 0.0), bench.now, is_member=False)
    bench.wait(500)
    assert FOUR not in bench.snooper.wanted().listed
    bench.wait(101)
    assert not bench.snooper.is_router(FOUR)


def test_a_member_on_the_same_lan_is_no_router_of_it() -> None:
    bench = Bench()
    bench.wait(10)
    bench.snooper.hear_port(0, HOST, Hello(4, 105.0), bench.now, is_member=True)
    assert not bench.snooper.is_router(FOUR)


def test_our_querier_asks_on_beside_it() -> None:
    bench = Bench()
    bench.snooper.hear_port(0, HOST, Hello(4, 105.0), bench.now, is_member=False)
    bench.wait(10)
    assert any(query.version == 4 for _, _, query in bench.asked)
