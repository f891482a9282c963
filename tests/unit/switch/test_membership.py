from __future__ import annotations

import pytest

from l2mesh.errors import MalformedPacket
from l2mesh.switch.ethernet import parse_header
from l2mesh.switch.membership import (
    Change,
    Query,
    Report,
    internet_checksum,
    parse_group_talk,
)
from l2mesh.switch.query import emit_query, link_local

MAC = bytes.fromhex("021122334455")
GROUP4 = bytes([239, 1, 2, 3])
GROUP6 = bytes.fromhex("ff05000000000000000000000000abcd")
SOURCE4 = bytes([10, 9, 0, 1])
SOURCE6 = link_local(MAC)


def igmp(message: bytes, *, source: bytes = SOURCE4, target: bytes = GROUP4) -> bytes:
    message = message[:2] + internet_checksum(message).to_bytes(2, "big") + message[4:]
    head = b"\x46\xc0" + (24 + len(message)).to_bytes(2, "big") + bytes(4) + b"\x01\x02\0\0"
    head += source + target + b"\x94\x04\0\0"
    return head[:10] + internet_checksum(head).to_bytes(2, "big") + head[12:] + message


def mld(message: bytes, *, source: bytes = SOURCE6, target: bytes = GROUP6) -> bytes:
    pseudo = source + target + len(message).to_bytes(4, "big") + b"\0\0\0\x3a"
    message = message[:2] + internet_checksum(pseudo + message).to_bytes(2, "big") + message[4:]
    size = (8 + len(message)).to_bytes(2, "big")
    head = b"\x60\0\0\0" + size + b"\0\x01" + source + target
    return head + bytes.fromhex("3a00050200000100") + message


def record(kind: int, group: bytes, *sources: bytes, more: bytes = b"") -> bytes:
    head = bytes([kind, len(more) // 4]) + len(sources).to_bytes(2, "big")
    return head + group + b"".join(sources) + more


def report(kind: int, *records: bytes) -> bytes:
    return bytes([kind]) + bytes(5) + len(records).to_bytes(2, "big") + b"".join(records)


def test_reports_and_leaves_of_old() -> None:
    for kind, wanted in ((0x12, True), (0x16, True), (0x17, False)):
        said = parse_group_talk(igmp(bytes([kind, 0, 0, 0]) + GROUP4))
        assert said == Report(4, (Change(GROUP4, wanted),))
    for kind, wanted in ((131, True), (132, False)):
        said = parse_group_talk(mld(bytes([kind]) + bytes(7) + GROUP6))
        assert said == Report(6, (Change(GROUP6, wanted),))


@pytest.mark.parametrize(
    ("kind", "sources", "wanted"),
    [
        (1, 0, [False]),
        (1, 2, [True]),
        (2, 0, [True]),
        (3, 0, [False]),
        (3, 1, [True]),
        (4, 0, [True]),
        (4, 3, [True]),
        (5, 1, [True]),
        (5, 0, []),
        (6, 2, []),
        (7, 0, []),
    ],
)
def test_records(kind: int, sources: int, wanted: list[bool]) -> None:
    four = record(kind, GROUP4, *[SOURCE4] * sources, more=bytes(8))
    six = record(kind, GROUP6, *[SOURCE6] * sources)
    said = parse_group_talk(igmp(report(0x22, four, four)))
    assert said == Report(4, tuple(Change(GROUP4, one) for one in wanted * 2))
    said = parse_group_talk(mld(report(143, six)))
    assert said == Report(6, tuple(Change(GROUP6, one) for one in wanted))


def test_what_all_hear_is_not_reported() -> None:
    for group in ("e0000001", "e00000fb", "0a090001"):
        said = parse_group_talk(igmp(report(0x22, record(4, bytes.fromhex(group)))))
        assert said == Report(4, ())
    for group in ("ff02" + "00" * 13 + "01", "ff01" + "00" * 13 + "05", "fe80" + "00" * 14):
        said = parse_group_talk(mld(report(143, record(4, bytes.fromhex(group)))))
        assert said == Report(6, ())


@pytest.mark.parametrize(
    ("code", "wait_s"), [(0, 10.0), (1, 0.1), (100, 10.0), (0x80, 12.8), (0xFF, 3174.4)]
)
def test_times_of_igmp(code: int, wait_s: float) -> None:
    said = parse_group_talk(igmp(bytes([0x11, code, 0, 0]) + bytes(4) + bytes(4)))
    assert isinstance(said, Query) and (said.source, said.group) == (SOURCE4, b"")
    assert said.wait_s == pytest.approx(wait_s)


@pytest.mark.parametrize(("code", "wait_s"), [(0, 0.0), (10_000, 10.0), (0x8000, 32.768)])
def test_times_of_mld(code: int, wait_s: float) -> None:
    message = bytes([130, 0, 0, 0]) + code.to_bytes(2, "big") + bytes(2) + bytes(16)
    said = parse_group_talk(mld(message))
    assert isinstance(said, Query) and (said.source, said.group) == (SOURCE6, b"")
    assert said.wait_s == pytest.approx(wait_s)


def test_a_query_may_forbid_to_lower_timers() -> None:
    said = parse_group_talk(igmp(b"\x11\x0a\0\0" + GROUP4 + b"\x0a\x7d\0\0"))
    assert said == Query(4, SOURCE4, GROUP4, 1.0, suppresses=True)


@pytest.mark.parametrize("vlan", [0, 7])
@pytest.mark.parametrize("group", [b"", GROUP4, GROUP6])
def test_our_queries_are_read_by_everybody(vlan: int, group: bytes) -> None:
    for source in (bytes(4), SOURCE6):
        if group and (len(group) == 4) != (len(source) == 4):
            continue
        frame = emit_query(MAC, vlan, source, wait_s=1.0, group=group)
        header = parse_header(frame)
        assert header is not None and header.vlan == vlan and frame[6:12] == MAC
        said = parse_group_talk(frame[header.payload :])
        assert said == Query(4 if len(source) == 4 else 6, source, group, 1.0)
        target = group or (bytes([224, 0, 0, 1]) if len(source) == 4 else b"\xff\x02\0\1")
        assert frame[0] & 1 and frame[5] == target[-1] and len(frame) >= 60


def test_link_local_address_of_a_mac() -> None:
    assert link_local(MAC).hex() == "fe80000000000000001122fffe334455"


def broken() -> list[bytes]:
    good4, good6 = igmp(bytes([0x16, 0, 0, 0]) + GROUP4), mld(bytes([131]) + bytes(7) + GROUP6)
    global_address = bytes.fromhex("2001") + bytes(14)
    return [
        b"",
        b"\x00" * 40,
        good4[:-1],
        good4[:19],
        good4[:9] + b"\x11" + good4[10:],  # UDP
        good4[:-1] + b"\xff",  # checksum
        good4[:6] + b"\x20" + good4[7:],  # a fragment
        good6[:-1],
        good6[:7] + b"\xff" + good6[8:],  # from beyond the link
        good6[:42] + bytes(6) + good6[48:],  # no router alert
        mld(bytes([132]) + bytes(7) + GROUP6, source=bytes(16)),
        mld(bytes([131]) + bytes(7) + GROUP6, source=global_address),
        igmp(b"\x13\0\0\0" + GROUP4),
        igmp(b"\x11\x0a\0\0" + SOURCE4),
        igmp(report(0x22, record(4, GROUP4))[:-2]),
        igmp(report(0x22, record(4, GROUP4)[:2] + b"\0\x09" + GROUP4)),
        igmp(b"\x22" + bytes(5) + b"\xff\xff"),
        mld(bytes([130]) + bytes(7) + GROUP6[:8]),
    ]


@pytest.mark.parametrize("packet", broken(), ids=range(len(broken())))
def test_what_hosts_ignore_is_refused(packet: bytes) -> None:
    with pytest.raises(MalformedPacket):
        parse_group_talk(packet)


def test_a_report_may_come_from_nobody_yet() -> None:
    said = parse_group_talk(mld(report(143, record(4, GROUP6)), source=bytes(16)))
    assert said == Report(6, (Change(GROUP6, is_wanted=True),))
