import pytest

from l2mesh.datapath.interface import (
    Activity,
    ControlReceived,
    DropReason,
    Endpoint,
    Engine,
    InstallSend,
    KeySpent,
    NeedSession,
    Path,
    RemoveMember,
    RemoveReceive,
    RemoveSend,
    RemoveSession,
    SendControl,
    SessionConfirmed,
    SetMember,
    SetPath,
    SourceSeen,
)
from l2mesh.datapath.reference import Bounds, ReferenceEngine
from l2mesh.wire.data import HEADER, PIECE_HEAD
from tests.engine.lab import (
    BROADCAST,
    CIPHER,
    NETWORK,
    SESSION,
    Host,
    allow,
    carry,
    ethernet,
    index_of,
    inside,
    introduce,
    join,
    key_of,
    make_mesh,
    transport_of,
)

ELSEWHERE = Endpoint("198.51.100.7", 4242)


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


def sealed(sender: Host, receiver: Host, flags: int, text: bytes, counter: int) -> bytes:
    """DATA that a well-behaved engine would not send; cheap crypto only."""
    index = index_of(sender, receiver, NETWORK, SESSION)
    header = HEADER.pack((0x80 | flags) << 24 | index, counter)
    key = key_of(sender, receiver, NETWORK, SESSION)
    return header + transport_of(key).seal(counter, header, text)


def piece(number: int, offset: int, total: int, data: bytes) -> bytes:
    return PIECE_HEAD.pack(number, offset, total) + data


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


# --- fragments ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1472, 1452, 1464, 548, 300])
def test_frames_of_every_size_make_the_round_trip(size: int) -> None:
    a, b = make_mesh(2, mtu=9004, size=size)
    text = bytes(range(251)) * 36
    step = 1 if size == 1472 else 37
    for length in range(15, 9019, step):
        frame = ethernet(b.mac, a.mac, text)[:length]
        out = a.send(frame)
        assert all(len(one.datagram) <= size for one in out)
        assert all(len(one.datagram) == size for one in out[:-1])
        assert b.receive(*[one.datagram for one in out], source=a.endpoint) == [frame]
    assert not a.drops and not b.drops and b.engine.next_timeout() is not None
    b.wait(2)
    assert b.engine.next_timeout() is None


def test_pieces_may_come_in_any_order() -> None:
    from itertools import permutations

    a, b = make_mesh(2, mtu=9000)
    frame = ethernet(b.mac, a.mac, bytes(range(250)) * 20)
    for order in permutations(range(4)):
        out = [one.datagram for one in a.send(frame)]
        assert len(out) == 4
        assert b.receive(*[out[place] for place in order], source=a.endpoint) == [frame]
    assert not b.drops


def test_interleaved_frames_are_told_apart() -> None:
    a, b = make_mesh(2)
    frames = [ethernet(b.mac, a.mac, bytes([n]) * 1490) for n in range(8)]
    pieces = [[one.datagram for one in a.send(frame)] for frame in frames]
    for first, _ in pieces:
        b.receive(first, source=a.endpoint)
    assert b.receive(*[last for _, last in pieces], source=a.endpoint) == frames


def test_frame_with_a_lost_piece_is_given_up_after_a_second() -> None:
    a, b = make_mesh(2)
    first, last = (one.datagram for one in a.send(ethernet(b.mac, a.mac, bytes(1490))))
    b.receive(first, source=a.endpoint)
    b.wait(0.9)
    assert not b.drops
    b.wait(0.2)
    assert b.drops == {DropReason.FRAGMENT_LOST: 1} and b.engine.next_timeout() is None
    b.receive(last, source=a.endpoint)
    assert not b.delivered


def test_each_unfinished_frame_has_its_own_second() -> None:
    a, b = make_mesh(2)
    for number in range(3):
        b.receive(sealed(a, b, 2, piece(number, 0, 100, b"x"), number), source=a.endpoint)
        b.wait(0.4)
    assert b.drops == {DropReason.FRAGMENT_LOST: 1}
    b.wait(0.4)
    assert b.drops == {DropReason.FRAGMENT_LOST: 2}
    b.wait(0.4)
    assert b.drops == {DropReason.FRAGMENT_LOST: 3} and b.engine.next_timeout() is None


def test_late_piece_begins_anew_even_when_nobody_swept() -> None:
    a, b = make_mesh(2)
    first, last = (one.datagram for one in a.send(ethernet(b.mac, a.mac, bytes(1490))))
    b.receive(first, source=a.endpoint)
    b.now += 1.0
    assert b.receive(last, source=a.endpoint) == []
    assert b.drops == {DropReason.FRAGMENT_LOST: 1}


def test_pieces_that_lie_are_dropped_alone() -> None:
    a, b = make_mesh(2)
    frame = ethernet(b.mac, a.mac, bytes(range(86)))
    assert len(frame) == 100
    lies = [
        piece(7, 0, 14, b"x" * 14),  # total too small
        piece(7, 90, 100, b"x" * 11),  # beyond the end
        piece(7, 50, 100, b""),
        piece(7, 0, 100, b"")[:7],
        piece(7, 10, 100, b"x" * 10),  # inside what is there
        piece(7, 0, 100, b"x" * 40),  # the same again, longer
        piece(7, 39, 100, b"x"),
        piece(7, 50, 100, b"x" * 20),  # into the piece behind
        piece(7, 40, 101, b"x" * 5),  # another total
    ]
    texts = [
        piece(7, 60, 100, frame[60:70]),
        piece(7, 0, 100, frame[:40]),
        *lies,
        piece(7, 70, 100, frame[70:]),
        piece(7, 40, 100, frame[40:60]),
    ]
    datagrams = [sealed(a, b, 2, text, counter) for counter, text in enumerate(texts)]
    assert b.receive(*datagrams, source=a.endpoint) == [frame]
    assert b.drops == {DropReason.BAD_FRAGMENT: len(lies)}


def test_whole_frame_in_one_piece_is_a_frame() -> None:
    a, b = make_mesh(2)
    frame = ethernet(b.mac, a.mac)
    text = piece(1, 0, len(frame), frame)
    assert b.receive(sealed(a, b, 2, text, 0), source=a.endpoint) == [frame]


def test_unfinished_frames_are_bounded_in_number() -> None:
    a, b = make_mesh(2)
    for number in range(20):
        b.receive(sealed(a, b, 2, piece(number, 0, 100, b"x"), number), source=a.endpoint)
    assert b.drops == {DropReason.FRAGMENT_LOST: 4}
    assert len(inside(b.engine)._peers.table[a.fingerprint].assemblies) == 16


def test_unfinished_frames_are_bounded_in_bytes() -> None:
    a, b = make_mesh(2)
    for number in range(8):
        text = piece(number // 2, 32_000 * (number % 2), 65_535, bytes(32_000))
        b.receive(sealed(a, b, 2, text, number), source=a.endpoint)
    assert not b.drops
    b.receive(sealed(a, b, 2, piece(9, 0, 65_535, bytes(10_000)), 9), source=a.endpoint)
    assert b.drops == {DropReason.FRAGMENT_LOST: 1}
    peer = inside(b.engine)._peers.table[a.fingerprint]
    held = sum(one.received for one in peer.assemblies.values())
    assert held == peer.assembly_bytes <= 256 * 1024


def test_pieces_of_a_frame_are_bounded_in_number() -> None:
    a, b = make_mesh(2)
    for at in range(100):
        b.receive(sealed(a, b, 2, piece(1, at, 200, b"x"), at), source=a.endpoint)
    assert b.drops == {DropReason.BAD_FRAGMENT: 36}
    b.do(SetPath(a.fingerprint, Path(a.endpoint), 40))
    assert b.send(ethernet(a.mac, b.mac, bytes(1000))) == []
    assert b.drops[DropReason.BAD_FRAME] == 1


# --- held frames --------------------------------------------------------------------------------


def strangers() -> tuple[Host, Host]:
    """Two members without keys and paths."""
    a, b = Host(1), Host(2)
    for host in (a, b):
        host.open()
    introduce([a, b])
    return a, b


def test_frame_waits_for_session_and_path_in_either_order() -> None:
    for path_first in (False, True):
        a, b = strangers()
        frames = [ethernet(b.mac, a.mac), ethernet(BROADCAST, a.mac)]
        assert a.send(*frames) == []
        assert a.heard() == [NeedSession(b.fingerprint, NETWORK)]
        path = SetPath(b.fingerprint, Path(b.endpoint))
        if path_first:
            a.do(path)
        allow(a, b)
        if not path_first:
            assert a.outputs() == []
            a.do(path)
        out = a.outputs()
        assert b.receive(*[one.datagram for one in out], source=a.endpoint) == frames


def test_losing_the_path_holds_frames_again() -> None:
    a, b = make_mesh(2)
    a.do(SetPath(b.fingerprint, None))
    assert a.send(ethernet(b.mac, a.mac)) == []
    assert a.heard() == [NeedSession(b.fingerprint, NETWORK)]
    a.do(SetPath(b.fingerprint, Path(ELSEWHERE)))
    assert [one.endpoint for one in a.outputs()] == [ELSEWHERE]


def test_session_is_asked_for_once_a_second() -> None:
    a, b = strangers()
    for _ in range(25):
        a.send(ethernet(b.mac, a.mac))
        a.wait(0.125)
    assert a.heard() == [NeedSession(b.fingerprint, NETWORK)] * 4


def test_held_frames_are_given_up_after_3_s() -> None:
    a, b = strangers()
    a.send(ethernet(b.mac, a.mac))
    a.wait(2.9)
    assert not a.drops
    a.wait(0.2)
    assert a.drops == {DropReason.HELD_TOO_LONG: 1} and a.engine.next_timeout() is None


def test_each_held_frame_has_its_own_time() -> None:
    a, b = strangers()
    for _ in range(3):
        a.send(ethernet(b.mac, a.mac))
        a.wait(1.25)
    assert a.drops == {DropReason.HELD_TOO_LONG: 1}
    a.wait(1.25)
    assert a.drops == {DropReason.HELD_TOO_LONG: 2}


def test_held_frames_too_old_do_not_leave_even_when_nobody_swept() -> None:
    a, b = strangers()
    a.do(SetPath(b.fingerprint, Path(b.endpoint)))
    a.send(ethernet(b.mac, a.mac))
    a.now += 3.0
    allow(a, b)
    assert a.outputs() == [] and a.drops == {DropReason.HELD_TOO_LONG: 1}


@pytest.mark.parametrize(("size", "kept"), [(100, 32), (1500, 32), (9000, 7)])
def test_held_frames_are_bounded_and_the_oldest_goes(size: int, kept: int) -> None:
    a, b = strangers()
    a.open(mtu=9000)
    frames = [ethernet(b.mac, a.mac, bytes([n]) * size) for n in range(40)]
    a.send(*frames)
    assert a.drops == {DropReason.HELD_OVERFLOW: 40 - kept}
    a.do(SetPath(b.fingerprint, Path(b.endpoint), 20_000))
    allow(a, b)
    opened = transport_of(key_of(a, b, NETWORK, SESSION)).open
    out = [one.datagram for one in a.outputs()]
    texts = [opened(n, data[:8], data[8:]) for n, data in enumerate(out)]
    assert texts == frames[-kept:]


def test_held_frames_go_with_what_they_wait_for() -> None:
    for command, reason in (
        (RemoveSend, DropReason.HELD_TOO_LONG),
        (RemoveMember, DropReason.NOT_A_MEMBER),
    ):
        a, b = strangers()
        a.send(ethernet(b.mac, a.mac))
        if command is RemoveSend:
            a.do(RemoveSend(b.fingerprint, NETWORK), RemoveSend(b"?" * 32, NETWORK))
        else:
            a.do(RemoveMember(NETWORK, b.fingerprint))
        assert a.drops == {reason: 1}
        a.do(SetPath(b.fingerprint, Path(b.endpoint)))
        allow(a, b)
        assert a.outputs() == []


# --- sessions, paths, counters ------------------------------------------------------------------


def test_session_is_confirmed_once_and_before_what_it_carried() -> None:
    a, b = make_mesh(2)
    a.do(SendControl(b.fingerprint, SESSION, b"one", Path(b.endpoint)))
    a.do(SendControl(b.fingerprint, SESSION, b"two", Path(b.endpoint)))
    a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac), a.now)
    carry([a, b])
    path = Path(a.endpoint)
    assert b.heard() == [
        SessionConfirmed(a.fingerprint, SESSION),
        ControlReceived(a.fingerprint, SESSION, b"one", path),
        ControlReceived(a.fingerprint, SESSION, b"two", path),
    ]


def test_control_of_each_session_has_its_own_key() -> None:
    a, b = make_mesh(2)
    allow(a, b, network=0, session=9)
    for session in (9, SESSION, 77):
        a.do(SendControl(b.fingerprint, session, b"x", Path(b.endpoint)))
    carry([a, b])
    heard = [one.session for one in b.heard() if isinstance(one, ControlReceived)]
    assert heard == [9, SESSION]


def test_new_source_is_told_for_the_newest_packet_only() -> None:
    a, b = make_mesh(2)
    first, second, third = (one.datagram for one in a.send(*[ethernet(b.mac, a.mac)] * 3))
    b.receive(second, source=a.endpoint)
    b.heard()
    b.receive(first, source=ELSEWHERE)
    assert b.heard() == []
    b.receive(third, source=ELSEWHERE)
    assert b.heard() == [SourceSeen(a.fingerprint, SESSION, Path(ELSEWHERE))]


def test_new_source_is_told_once_a_second() -> None:
    a, b = make_mesh(2)
    for _ in range(20):
        b.receive(a.send(ethernet(b.mac, a.mac))[0].datagram, source=ELSEWHERE)
        b.wait(0.25)
    assert len([one for one in b.heard() if isinstance(one, SourceSeen)]) == 5


def test_new_sources_are_bounded() -> None:
    a, b = make_mesh(2)
    for first in (1, 1001):
        for port in range(first, first + 100):
            datagram = a.send(ethernet(b.mac, a.mac))[0].datagram
            b.receive(datagram, source=Endpoint("198.51.100.7", port))
        b.wait(5)
    assert len([one for one in b.heard() if isinstance(one, SourceSeen)]) == 32


def test_counter_is_reported_when_half_spent_and_refused_near_its_end() -> None:
    a, b = make_mesh(2, bounds=Bounds(rekey_counter=10, refuse_counter=100))
    frame = ethernet(b.mac, a.mac)
    assert len(a.send(*[frame] * 10)) == 10 and a.heard() == []
    assert len(a.send(*[frame] * 5)) == 5
    assert a.heard() == [KeySpent(b.fingerprint, SESSION)]
    assert len(a.send(*[frame] * 200)) == 85
    assert a.heard() == [] and a.drops == {DropReason.COUNTER_SPENT: 115}
    big = ethernet(b.mac, a.mac, bytes(1490))
    allow(a, b, session=6)
    a.send(*[frame] * 98)
    assert len(a.send(big, big)) == 2
    assert a.drops == {DropReason.COUNTER_SPENT: 116}


def test_spent_key_is_told_again_until_somebody_hears() -> None:
    a, b = make_mesh(2, bounds=Bounds(rekey_counter=1, event_upcalls=0))
    a.send(*[ethernet(b.mac, a.mac)] * 4)
    assert a.drops == {DropReason.UPCALL_OVERFLOW: 3}


def test_control_counter_is_guarded_too() -> None:
    a, b = make_mesh(2, bounds=Bounds(rekey_counter=10, refuse_counter=100))
    for _ in range(120):
        a.do(SendControl(b.fingerprint, SESSION, b"", Path(b.endpoint)))
    assert len(a.outputs()) == 100
    assert a.heard() == [KeySpent(b.fingerprint, SESSION)]


def test_counter_near_its_end_is_not_accepted() -> None:
    a, b = make_mesh(2)
    frame = ethernet(b.mac, a.mac)
    end = 2**32 - 2**16
    b.receive(sealed(a, b, 0, frame, end - 1), sealed(a, b, 0, frame, end), source=a.endpoint)
    assert b.delivered == [frame] and b.drops == {DropReason.COUNTER_SPENT: 1}


def test_no_counter_is_ever_sealed_twice() -> None:
    a, b = make_mesh(2, mtu=9000)
    frames = [ethernet(b.mac, a.mac, bytes(size)) for size in (1, 1500, 9000, 1, 4000)] * 5
    heads = [one.datagram[1:8] for one in a.send(*frames)]
    assert len(heads) == len(set(heads))


def test_activity_tells_frames_from_control() -> None:
    a, b = make_mesh(2)
    a.do(SendControl(b.fingerprint, SESSION, b"", Path(b.endpoint)))
    carry([a, b])
    assert a.engine.activity(b.fingerprint) == Activity(sent=1000.0, tx_bytes=24, tx_packets=1)
    assert b.engine.activity(a.fingerprint) == Activity(received=1000.0, rx_bytes=24, rx_packets=1)
    a.now = b.now = 1001.0
    a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac, bytes(1490)), a.now)
    carry([a, b])
    assert a.engine.activity(b.fingerprint).frame == b.engine.activity(a.fingerprint).frame == 1001
    assert a.engine.activity(b.fingerprint).tx_packets == 3
    assert a.engine.activity(b"?" * 32) == Activity()


def test_totals_count_what_passed() -> None:
    a, b, c = make_mesh(3)
    a.engine.handle_frame(NETWORK, ethernet(BROADCAST, a.mac, bytes(1490)), a.now)
    carry([a, b, c])
    sent, got = a.engine.counters(), b.engine.counters()
    assert (sent["frames_in"], sent["datagrams_out"], sent["frames_flooded"]) == (1, 4, 1)
    assert (got["frames_out"], got["datagrams_in"], got["frames_reassembled"]) == (1, 2, 1)
    assert sent["datagram_bytes_out"] == 2 * got["datagram_bytes_in"]


def test_peers_of_which_nothing_stands_are_forgotten() -> None:
    a, b = Host(1), Host(2)
    join(a, b)
    a.do(RemoveSession(b.fingerprint, SESSION))
    assert b.fingerprint in inside(a.engine)._peers.table
    a.do(SetPath(b.fingerprint, None))
    assert inside(a.engine)._peers.table == {}
    key = InstallSend(b.fingerprint, 1, NETWORK, 5, CIPHER, bytes(32), bytes(4))
    a.open()
    a.do(key, SetMember(NETWORK, b.fingerprint, b.mac), RemoveSend(b.fingerprint, NETWORK))
    assert b.fingerprint in inside(a.engine)._peers.table
    a.do(RemoveMember(NETWORK, b.fingerprint))
    assert inside(a.engine)._peers.table == {}


def test_uplinks_are_parts_of_paths() -> None:
    a, b = make_mesh(2)
    named = b.endpoint._replace(uplink=7)
    a.do(SetPath(b.fingerprint, Path(named), 1472))
    frame = ethernet(b.mac, a.mac)
    (sent,) = a.send(frame)
    assert sent.endpoint == named
    other = a.endpoint._replace(uplink=3)
    assert b.receive(sent.datagram, source=other) == [frame]
    assert [each.path for each in b.heard() if isinstance(each, SourceSeen)] == [Path(other)]
