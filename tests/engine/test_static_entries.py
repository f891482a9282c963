"""Static entries: what the operator says of a station holds, whatever is heard (section 10)."""

from l2mesh.datapath.interface import (
    ClosePort,
    DropReason,
    FdbEntry,
    FlushPeer,
    Limits,
    Offence,
    RemoveMember,
    SetLimits,
    SetMember,
    SetStaticEntries,
)
from tests.engine.lab import BROADCAST, NETWORK, Host, carry, ethernet, make_mesh, tagged

STATION = bytes.fromhex("020000000101")
OTHER = bytes.fromhex("020000000102")


def pin(host: Host, *entries: tuple[int, bytes, Host | None]) -> None:
    """Has `host` believe where these stations are."""
    said = ((vlan, mac, at.fingerprint if at else None) for vlan, mac, at in entries)
    host.do(SetStaticEntries(NETWORK, tuple(said)))


def entries(host: Host) -> list[FdbEntry]:
    """What its FDB holds that is not signed."""
    return [one for one in host.engine.fdb(NETWORK, host.now) if not one.signed]


def receivers(sender: Host, hosts: list[Host], frame: bytes) -> set[int]:
    """The numbers of those into whose ports a frame goes."""
    before = {host.number: len(host.delivered) for host in hosts}
    sender.engine.handle_frame(NETWORK, frame, sender.now)
    carry(hosts)
    return {host.number for host in hosts if len(host.delivered) > before[host.number]}


def test_a_frame_goes_where_the_entry_says_and_nowhere_else() -> None:
    a, _, c = hosts = make_mesh(3, bridges=(2, 3))
    assert receivers(a, hosts, ethernet(STATION, a.mac)) == {2, 3}, "unknown"
    pin(a, (0, STATION, c))
    assert receivers(a, hosts, ethernet(STATION, a.mac)) == {3}
    assert entries(a) == [FdbEntry(NETWORK, 0, STATION, c.fingerprint, 0.0, True, False)]
    assert receivers(a, hosts, tagged(ethernet(STATION, a.mac), 7)) == {2, 3}, "another VLAN"
    pin(a)
    assert receivers(a, hosts, ethernet(STATION, a.mac)) == {2, 3}
    assert entries(a) == []


def test_it_neither_ages_nor_goes_with_a_flush() -> None:
    a, _, c = hosts = make_mesh(3, bridges=(2, 3))
    pin(a, (7, STATION, c))
    a.do(FlushPeer(NETWORK, c.fingerprint))
    a.wait(301.0)
    assert receivers(a, hosts, tagged(ethernet(STATION, a.mac), 7)) == {3}


def test_what_was_learned_gives_way() -> None:
    a, b, c = hosts = make_mesh(3, bridges=(2, 3))
    receivers(b, hosts, ethernet(BROADCAST, STATION))
    assert [one.peer for one in entries(a)] == [b.fingerprint]
    pin(a, (0, STATION, c))
    assert [(one.peer, one.static) for one in entries(a)] == [(c.fingerprint, True)]


def test_its_frames_from_elsewhere_are_dropped_and_the_sender_named() -> None:
    a, b, c = hosts = make_mesh(3, bridges=(1, 2, 3))
    pin(a, (0, STATION, c))
    a.heard()
    assert receivers(b, hosts, ethernet(BROADCAST, STATION)) == {3}, "not into the port of a"
    assert a.drops[DropReason.STATIC_ENTRY] == 1
    told = [one for one in a.heard() if isinstance(one, Offence)]
    assert [(one.peer, one.reason, one.mac) for one in told] == [
        (b.fingerprint, DropReason.STATIC_ENTRY, STATION)
    ]
    assert receivers(a, hosts, ethernet(BROADCAST, STATION)) == set(), "nor from its own port"
    assert a.drops[DropReason.STATIC_ENTRY] == 2
    assert receivers(c, hosts, ethernet(a.mac, STATION)) == {1}, "it speaks from where it is"
    assert receivers(a, hosts, ethernet(STATION, a.mac)) == {3}, "and has not moved"


def test_a_setting_of_the_guard_does_not_undo_it() -> None:
    a, b, c = hosts = make_mesh(3, bridges=(2, 3))
    a.do(SetLimits(NETWORK, Limits(guard="off")))
    pin(a, (0, STATION, c))
    assert receivers(b, hosts, ethernet(a.mac, STATION)) == set()
    assert a.drops == {DropReason.STATIC_ENTRY: 1}


def test_the_own_port_can_be_named() -> None:
    a, b, c = hosts = make_mesh(3, bridges=(1, 2, 3))
    pin(a, (0, STATION, None))
    assert receivers(b, hosts, ethernet(STATION, b.mac)) == {1, 3}, "b knows nothing of it"
    assert receivers(a, hosts, ethernet(STATION, a.mac)) == set()
    assert a.drops[DropReason.SAME_PORT] == 1
    assert receivers(a, hosts, ethernet(BROADCAST, STATION)) == {2, 3}
    assert receivers(c, hosts, ethernet(a.mac, STATION)) == set()
    assert a.drops[DropReason.STATIC_ENTRY] == 1


def test_a_signed_address_goes_before_it() -> None:
    a, b, c = hosts = make_mesh(3, bridges=(2, 3))
    pin(a, (0, b.mac, c), (0, a.mac, c))
    assert entries(a) == []
    assert receivers(a, hosts, ethernet(b.mac, a.mac)) == {2}
    assert receivers(b, hosts, ethernet(a.mac, b.mac)) == {1}
    assert receivers(c, hosts, ethernet(a.mac, b.mac)) == set()


def test_while_its_owner_is_no_member_it_is_reached_by_nobody_and_nobody_speaks_for_it() -> None:
    a, b, c = hosts = make_mesh(3, bridges=(2, 3))
    pin(a, (0, STATION, c))
    a.do(RemoveMember(NETWORK, c.fingerprint))
    assert receivers(a, hosts, ethernet(STATION, a.mac)) == set()
    assert a.drops == {DropReason.UNKNOWN_UNICAST: 1}
    assert receivers(b, hosts, ethernet(a.mac, STATION)) == set()
    assert a.drops[DropReason.STATIC_ENTRY] == 1
    assert [one.peer for one in entries(a)] == [c.fingerprint]
    a.do(SetMember(NETWORK, c.fingerprint, c.mac, bridge=True))
    assert receivers(a, hosts, ethernet(STATION, a.mac)) == {3}


def test_an_entry_may_come_before_its_member() -> None:
    a, _, c = hosts = make_mesh(3, bridges=(2, 3))
    a.do(RemoveMember(NETWORK, c.fingerprint))
    pin(a, (0, STATION, c))
    a.do(SetMember(NETWORK, c.fingerprint, c.mac, bridge=True))
    assert receivers(a, hosts, ethernet(STATION, a.mac)) == {3}


def test_the_list_is_bounded_and_groups_are_no_stations() -> None:
    a, b = make_mesh(2, bridges=(2,))
    many = [(0, b"\x02\0\1" + number.to_bytes(3, "big"), b) for number in range(1030)]
    pin(a, (0, BROADCAST, b), (0, bytes(6), b), *many)
    assert [one.mac for one in entries(a)] == [mac for _, mac, _ in many[:1022]]
    pin(a, (0, STATION, None), (0, STATION, b))
    assert [one.peer for one in entries(a)] == [b.fingerprint], "the last word counts"


def test_it_takes_no_room_from_what_is_learned_and_goes_with_the_port() -> None:
    a, b = hosts = make_mesh(2, bridges=(2,))
    pin(a, *((0, b"\x02\0\1" + number.to_bytes(3, "big"), b) for number in range(1024)))
    receivers(b, hosts, ethernet(BROADCAST, OTHER))
    assert OTHER in {one.mac for one in entries(a)}
    a.do(ClosePort(NETWORK))
    a.open()
    assert entries(a) == []
