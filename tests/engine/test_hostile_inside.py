"""What guards and snooping look into, mangled: bounded, counted, and never a learned lie."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.interface import GroupTalkHeard, Limits, MacLearned, SetLimits
from l2mesh.errors import MalformedPacket
from l2mesh.switch.groups import is_for_all, is_group
from l2mesh.switch.membership import parse_group_talk
from l2mesh.switch.snooping import MAX_GROUPS, Snooper
from tests.engine.lab import BROADCAST, NETWORK, Host, carry, ethernet, make_mesh, tagged
from tests.fuzz.mutation import mutated
from tests.unit.switch.test_membership import GROUP4, GROUP6, igmp, mld, record, report

STATION = bytes.fromhex("52540000aa01")
MAC = b"\x02\0\0\0\0\x01"
ADDRESS = bytes((10, 0, 0, 9))


def arp(operation: int) -> bytes:
    return b"\0\1\x08\0\6\4\0" + bytes([operation]) + STATION + ADDRESS + bytes(6) + ADDRESS


def advertisement() -> bytes:
    message = b"\x88\0\0\0\x20\0\0\0" + GROUP6[:1] + bytes(15) + b"\2\1" + STATION
    head = b"\x60\0\0\0" + len(message).to_bytes(2, "big") + b"\x3a\xff"
    return head + b"\xfe\x80" + bytes(14) + b"\xff\2" + bytes(13) + b"\1" + message


def dhcp(source: int, target: int) -> bytes:
    udp = source.to_bytes(2, "big") + target.to_bytes(2, "big") + b"\0\x30\0\0\1" + bytes(39)
    head = b"\x45\0" + (20 + len(udp)).to_bytes(2, "big") + bytes(4) + b"\x40\x11\0\0"
    return head + bytes(4) + b"\xff" * 4 + udp


def to_group(group: bytes, packet: bytes) -> bytes:
    if len(group) == 4:
        return ethernet(b"\x01\0\x5e" + group[1:], STATION, packet, 0x0800)
    return ethernet(b"\x33\x33" + group[12:], STATION, packet, 0x86DD)


SOUND = (
    ethernet(BROADCAST, STATION, arp(1), 0x0806),
    ethernet(MAC, STATION, arp(2), 0x0806),
    ethernet(b"\x33\x33\0\0\0\1", STATION, advertisement(), 0x86DD),
    ethernet(BROADCAST, STATION, dhcp(68, 67), 0x0800),
    ethernet(MAC, STATION, dhcp(67, 68), 0x0800),
    to_group(GROUP4, igmp(b"\x16\0\0\0" + GROUP4)),
    to_group(GROUP4, igmp(report(0x22, record(4, GROUP4), record(3, GROUP4)))),
    to_group(GROUP4, igmp(b"\x11\x0a\0\0" + bytes(4))),
    to_group(GROUP6, mld(report(143, record(4, GROUP6)))),
    to_group(GROUP6, mld(b"\x84" + bytes(7) + GROUP6)),
    tagged(ethernet(BROADCAST, STATION, arp(1), 0x0806), 7),
    tagged(tagged(to_group(GROUP4, igmp(b"\x16\0\0\0" + GROUP4)), 7), 9, 0x88A8),
)


def check_learned(host: Host, frame: bytes, peer: bytes | None) -> None:
    """Nothing is believed but that the frame's source is where it came from."""
    for entry in host.engine.fdb(NETWORK, host.now):
        if not entry.static:
            assert (entry.mac, entry.peer) == (frame[6:12], peer)
    snooper = Snooper(host.mac, asks=True, bridges=False, now=host.now)
    for upcall in host.heard():
        if isinstance(upcall, MacLearned):
            assert (upcall.mac, upcall.peer) == (frame[6:12], peer)
        if isinstance(upcall, GroupTalkHeard):
            assert frame.endswith(upcall.packet) and len(upcall.packet) <= 1500
            with suppress(MalformedPacket):
                talk = parse_group_talk(upcall.packet)
                snooper.hear_port(upcall.vlan, upcall.mac, talk, host.now, is_member=False)
    groups = [group for share in snooper.shares.values() for group in share.groups]
    assert len(groups) <= MAX_GROUPS
    assert all(is_group(group) and not is_for_all(group) for group in groups)


@given(st.binary(max_size=80) | mutated(SOUND))
def test_mangled_frames_of_a_lan_leave_or_are_counted(frame: bytes) -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    sent = a.send(frame)
    assert len(sent) + sum(a.drops.values()) >= 1 and len(sent) <= 2
    assert all(one.endpoint == b.endpoint for one in sent)
    check_learned(a, frame, None)


@given(st.binary(max_size=80) | mutated(SOUND))
def test_mangled_frames_of_a_member_are_written_or_counted(frame: bytes) -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    a.do(SetLimits(NETWORK, Limits(guard="off")))
    a.engine.handle_frame(NETWORK, frame, a.now)
    carry([a, b])
    assert b.delivered in ([], [frame])
    assert b.delivered or sum(a.drops.values()) + sum(b.drops.values()) >= 1
    check_learned(b, frame, a.fingerprint)


def test_giants_and_runts_are_counted() -> None:
    a, _ = make_mesh(2, bridges=(1,))
    for frame in SOUND:
        for length in range(14):
            assert a.send(frame[:length]) == []
        assert a.send(frame + bytes(1600)) == []
    assert set(a.drops) == {"bad_frame"} and sum(a.drops.values()) == 15 * len(SOUND)
