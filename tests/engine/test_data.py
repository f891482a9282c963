"""Data between engines: authentication, replay, and what flags mean."""

import pytest

from l2mesh.datapath.interface import (
    DropReason,
    Engine,
    Path,
    RemoveMember,
    RemoveReceive,
    RemoveSession,
    SendControl,
    SessionConfirmed,
    SetPath,
)
from l2mesh.datapath.reference import ReferenceEngine
from l2mesh.wire.data import HEADER
from tests.engine.lab import (
    ELSEWHERE,
    NETWORK,
    SESSION,
    Host,
    allow,
    carry,
    ethernet,
    index_of,
    inside,
    introduce,
    key_of,
    make_mesh,
    sealed,
    transport_of,
)


def state_of(host: Host) -> tuple[object, ...]:
    """What can be seen of an engine besides counters."""
    engine = host.engine
    return (
        engine.fdb(NETWORK, host.now),
        [repr(engine.activity(bytes([number]) * 32)) for number in range(4)],
        engine.next_timeout(),
        windows_of(engine),
    )


def windows_of(engine: Engine) -> dict[int, tuple[int, bytes]]:
    """Replay windows; the native engine does not show them."""
    if not isinstance(engine, ReferenceEngine):
        return {}
    indices = engine._peers.indices
    return {i: (k.window.highest, bytes(k.window._seen)) for i, k in indices.items()}


# --- authentication and replay ------------------------------------------------------------------


@pytest.mark.parametrize("size", [60, 1514])
def test_frames_arrive_through_real_ciphers(size: int) -> None:
    a, b = make_mesh(2, real=True)
    frame = ethernet(b.mac, a.mac, bytes(range(250)) * 6)[:size]
    out = a.send(frame)
    assert len(out) == 1 + (size > 1448)
    assert all(bytes(60) not in one.datagram for one in out)
    assert b.receive(*[one.datagram for one in out], source=a.endpoint) == [frame]


def test_replayed_data_changes_nothing() -> None:
    a, b = make_mesh(2, real=True)
    frames = [ethernet(b.mac, a.mac, bytes([n])) for n in range(20)]
    datagrams = [one.datagram for one in a.send(*frames)]
    assert b.receive(*reversed(datagrams), source=a.endpoint) == frames[::-1]
    b.heard()
    before = state_of(b)
    assert b.receive(*datagrams, source=ELSEWHERE) == []
    assert b.drops == {DropReason.REPLAY: 20} and state_of(b) == before and not b.heard()


def test_replay_costs_no_decryption_and_forgery_moves_no_window() -> None:
    a, b = make_mesh(2)
    datagram = a.send(ethernet(b.mac, a.mac))[0].datagram
    b.receive(datagram, source=a.endpoint)
    (key,) = (key for key in inside(b.engine)._peers.indices.values() if key.network)
    transport = key.open.__self__  # type: ignore[attr-defined]
    opened = transport.opened
    b.receive(datagram, source=a.endpoint)
    assert transport.opened == opened
    forged = sealed(a, b, 0, ethernet(b.mac, a.mac), 9000)[:-1] + b"?"
    b.receive(forged, source=a.endpoint)
    assert key.window.highest == 0
    assert b.drops == {DropReason.REPLAY: 1, DropReason.FORGED: 1}


def test_forged_byte_anywhere_is_silence() -> None:
    a, b = make_mesh(2, real=True)
    datagram = a.send(ethernet(b.mac, a.mac, bytes(40)))[0].datagram
    before = state_of(b)
    for at in range(len(datagram)):
        forged = datagram[:at] + bytes([datagram[at] ^ 0x01]) + datagram[at + 1 :]
        b.receive(forged, source=ELSEWHERE)
    assert not b.delivered and not b.heard() and state_of(b) == before
    assert set(b.drops) <= {DropReason.FORGED, DropReason.UNKNOWN_INDEX}
    assert sum(b.drops.values()) == len(datagram)


def test_truncated_data_is_silence() -> None:
    a, b = make_mesh(2, real=True)
    datagram = a.send(ethernet(b.mac, a.mac, bytes(40)))[0].datagram
    before = state_of(b)
    for size in range(len(datagram)):
        b.receive(datagram[:size], source=ELSEWHERE)
    assert not b.delivered and not b.heard() and state_of(b) == before
    assert b.drops == {DropReason.MALFORMED: 24, DropReason.FORGED: len(datagram) - 24}


def test_removed_index_meets_silence() -> None:
    a, b = make_mesh(2)
    b.do(RemoveReceive(index_of(a, b, NETWORK, SESSION)), RemoveReceive(12345))
    a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac), a.now)
    carry([a, b])
    assert b.drops == {DropReason.UNKNOWN_INDEX: 1}


def test_removed_session_erases_both_directions() -> None:
    a, b = make_mesh(2)
    datagram = a.send(ethernet(b.mac, a.mac))[0].datagram
    b.do(RemoveSession(a.fingerprint, SESSION), RemoveSession(b"?" * 32, 1))
    assert b.receive(datagram, source=a.endpoint) == []
    assert b.send(ethernet(a.mac, b.mac)) == []
    b.do(SendControl(a.fingerprint, SESSION, b"", Path(a.endpoint)))
    assert b.outputs() == [] and b.drops == {DropReason.UNKNOWN_INDEX: 1}
    b.do(SetPath(a.fingerprint, None), RemoveMember(NETWORK, a.fingerprint))
    assert inside(b.engine)._peers.table == {} and inside(b.engine)._peers.indices == {}


def test_new_session_takes_over_while_the_old_one_still_receives() -> None:
    a, b = make_mesh(2)
    late = a.send(ethernet(b.mac, a.mac, b"old"))[0].datagram
    allow(a, b, session=SESSION + 1)
    assert b.receive(late, source=a.endpoint) == [ethernet(b.mac, a.mac, b"old")]
    fresh = a.send(ethernet(b.mac, a.mac, b"new"))[0].datagram
    assert fresh[1:4] != late[1:4]
    b.receive(fresh, source=a.endpoint)
    b.do(RemoveSession(a.fingerprint, SESSION))
    a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac, b"newer"), a.now)
    carry([a, b])
    assert len(b.delivered) == 3


# --- flags --------------------------------------------------------------------------------------


def test_only_listed_flags_have_a_meaning() -> None:
    a, b = make_mesh(2)
    frame, good = ethernet(b.mac, a.mac, bytes(40)), set()
    for flags in range(128):
        before = b.drops.get(DropReason.BAD_FLAGS, 0)
        b.receive(sealed(a, b, flags, frame, flags), source=a.endpoint)
        if b.drops.get(DropReason.BAD_FLAGS, 0) == before:
            good.add(flags)
    assert good == {0x00, 0x02, 0x20, 0x22} | {0x04, 0x08, 0x0C, 0x10, 0x14, 0x18, 0x1C}


def test_control_index_takes_only_control() -> None:
    a, b = make_mesh(2)
    index, key = index_of(a, b, 0, SESSION), key_of(a, b, 0, SESSION)
    for counter, flags in enumerate([0, 2, 3, 5, 0x41]):
        header = HEADER.pack((0x80 | flags) << 24 | index, counter)
        datagram = header + transport_of(key).seal(counter, header, b"")
        b.receive(datagram, source=a.endpoint)
    assert b.drops == {DropReason.BAD_FLAGS: 5}
    assert b.heard() == [SessionConfirmed(a.fingerprint, SESSION)]


def test_continued_super_frames_are_delivered_singly() -> None:
    a, b = make_mesh(2)
    frames = [ethernet(b.mac, a.mac, bytes([n]) * 50) for n in range(3)]
    datagrams = [sealed(a, b, 4 if n else 0, frame, n) for n, frame in enumerate(frames)]
    assert b.receive(*datagrams, source=a.endpoint) == frames


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("transport", ["TCP", "UDP"])
@pytest.mark.parametrize("vlans", [(), (3,), (3, 4)])
@pytest.mark.parametrize("length", [0, 1, 500])
def test_open_checksum_is_completed(
    version: int, transport: str, vlans: tuple[int, ...], length: int
) -> None:
    from scapy.layers import inet, inet6
    from scapy.layers.l2 import Dot1Q, Ether

    a, b = make_mesh(2)
    layer = Ether(dst=b.mac.hex(":"), src=a.mac.hex(":"))
    for vlan in vlans:
        layer /= Dot1Q(vlan=vlan)
    layer /= inet.IP(dst="10.0.0.1", src="10.0.0.2") if version == 4 else inet6.IPv6(dst="::1")
    payload = (bytes(range(250)) * 2)[:length]
    whole = bytes(layer / getattr(inet, transport)(sport=1, dport=2) / payload)
    field = len(whole) - length - (4 if transport == "TCP" else 2)
    header, protocol = (20, 6) if transport == "TCP" else (8, 17)
    seed = pseudo_sum(whole, version, len(vlans), header + length, protocol)
    opened = whole[:field] + seed.to_bytes(2, "big") + whole[field + 2 :]
    padded = opened + bytes(6)
    assert b.receive(sealed(a, b, 8, padded, 0), source=a.endpoint) == [whole + bytes(6)]


def pseudo_sum(frame: bytes, version: int, tags: int, length: int, protocol: int) -> int:
    ip = 14 + 4 * tags
    addresses = frame[ip + 12 : ip + 20] if version == 4 else frame[ip + 8 : ip + 40]
    words = [int.from_bytes(addresses[at : at + 2], "big") for at in range(0, len(addresses), 2)]
    total = sum(words) + length + protocol
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_open_checksum_where_there_is_none_is_refused() -> None:
    from scapy.layers.inet import ICMP, IP, TCP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop
    from scapy.layers.l2 import ARP

    a, b = make_mesh(2)
    tcp = bytes(IP() / TCP())
    payloads = [
        (bytes(ARP()), 0x0806),
        (bytes(IP() / ICMP()), 0x0800),
        (bytes(IP(flags="MF") / TCP()), 0x0800),
        (bytes(IP(frag=3) / TCP()), 0x0800),
        (bytes(IPv6() / IPv6ExtHdrHopByHop() / TCP()), 0x86DD),
        (tcp[:30], 0x0800),
        (tcp[:10], 0x0800),
        (b"\x44" + tcp[1:], 0x0800),
        (b"\x65" + tcp[1:], 0x0800),
        (bytes(IPv6() / TCP())[:39], 0x86DD),
        (bytes(tcp), 0x86DD),
        (b"", 0x0800),
    ]
    for counter, (payload, kind) in enumerate(payloads):
        frame = ethernet(b.mac, a.mac, payload, kind)
        b.receive(sealed(a, b, 8, frame, counter), source=a.endpoint)
    assert b.drops == {DropReason.BAD_OFFLOAD: len(payloads)} and not b.delivered


def test_elided_header_is_put_back() -> None:
    a, b = Host(1), Host(2)
    for host in (a, b):
        host.open()
    introduce([a, b])
    allow(a, b, elided=b.mac + a.mac)
    packets = {0x0800: b"\x45" + bytes(30), 0x86DD: b"\x60" + bytes(5) + b"\x06" + bytes(44)}
    for counter, (kind, packet) in enumerate(packets.items()):
        expected = [ethernet(b.mac, a.mac, packet, kind)]
        assert b.receive(sealed(a, b, 0x10, packet, counter), source=a.endpoint) == expected
    for counter, packet in enumerate([b"", b"\x50", b"\x00" * 40], start=10):
        b.receive(sealed(a, b, 0x10, packet, counter), source=a.endpoint)
    assert b.drops == {DropReason.BAD_OFFLOAD: 3}
    allow(a, b)
    b.receive(sealed(a, b, 0x10, packets[0x0800], 20), source=a.endpoint)
    assert b.drops == {DropReason.BAD_OFFLOAD: 4}
