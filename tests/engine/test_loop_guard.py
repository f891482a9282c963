"""What the loop guard asks of an engine: beacons, blocked VLANs and notices (section 10.1)."""

import pytest

from l2mesh.datapath.interface import (
    AnnounceStations,
    BeaconHeard,
    DropReason,
    PortOffloads,
    SetBlocked,
    SetPortOffloads,
    WriteFrame,
)
from l2mesh.switch.beacon import BEACON_GROUP, emit_beacon, emit_notice
from tests.engine.lab import BROADCAST, NETWORK, Host, carry, ethernet, make_mesh, sealed, tagged

STATION = bytes.fromhex("52540000aa01")
OTHER = bytes.fromhex("52540000aa02")
NONCE = bytes(range(16))


def learned(host: Host) -> set[tuple[int, bytes, bytes | None]]:
    entries = host.engine.fdb(NETWORK, host.now)
    return {(one.vlan, one.mac, one.peer) for one in entries if not one.static}


@pytest.mark.parametrize("vlan", [0, 7])
def test_beacon_from_the_port_is_told_and_goes_nowhere(vlan: int) -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    assert a.send(emit_beacon(b.mac, vlan, NONCE)) == []
    assert a.heard() == [BeaconHeard(NETWORK, vlan, NONCE)]
    assert not a.drops and not learned(a)


def test_unsound_beacon_goes_nowhere_in_silence() -> None:
    a, _ = make_mesh(2, bridges=(1, 2))
    for frame in (emit_notice(STATION, 0), emit_beacon(STATION, 0, NONCE)[:37]):
        assert a.send(frame) == []
    assert not a.heard() and not a.drops and not learned(a)


def test_group_of_beacons_is_an_ordinary_one_for_other_ethertypes() -> None:
    a, b = make_mesh(2, bridges=(1,))
    frame = ethernet(BEACON_GROUP, a.mac)
    a.engine.handle_frame(NETWORK, frame, a.now)
    carry([a, b])
    assert b.delivered == [frame]


def test_beacons_from_a_port_are_told_at_a_bounded_rate() -> None:
    a, _ = make_mesh(2, bridges=(1,))
    for _ in range(200):
        a.send(emit_beacon(STATION, 0, NONCE))
    assert len(a.heard()) == 128
    assert a.drops == {DropReason.STORM: 72}
    a.wait(1)
    for _ in range(100):
        a.send(emit_beacon(STATION, 0, NONCE))
    assert len(a.heard()) == 64


def test_beacon_from_the_mesh_is_dropped() -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    datagram = sealed(a, b, 0, emit_beacon(a.mac, 0, NONCE), 1)
    assert b.receive(datagram, source=a.endpoint) == []
    assert b.drops == {DropReason.OWN_DATAGRAM: 1}


def test_blocked_port_keeps_its_lan_out_of_the_mesh() -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    a.do(SetBlocked(NETWORK, frozenset({0})))
    lan = [ethernet(BROADCAST, STATION), ethernet(b.mac, STATION), ethernet(OTHER, STATION)]
    ours = [ethernet(BROADCAST, a.mac), ethernet(OTHER, a.mac), ethernet(a.mac, a.mac)]
    assert a.send(*lan, *ours) == []
    assert a.drops == {DropReason.LOOP_BLOCKED: 6}
    assert not learned(a)


def test_blocked_port_lets_nothing_of_the_mesh_onto_its_lan() -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    a.do(SetBlocked(NETWORK, frozenset({0})))
    for frame in (ethernet(BROADCAST, STATION), ethernet(OTHER, b.mac)):
        b.engine.handle_frame(NETWORK, frame, b.now)
    carry([a, b])
    assert not a.delivered
    assert a.drops == {DropReason.LOOP_BLOCKED: 2}
    assert learned(a) == {(0, STATION, b.fingerprint)}


@pytest.mark.parametrize("kind", [0x0800, 0x88B5])
def test_blocked_port_still_serves_our_signed_mac(kind: int) -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    a.do(SetBlocked(NETWORK, frozenset({0, 7})))
    there = ethernet(b.mac, a.mac, bytes(60), kind)
    back = ethernet(a.mac, STATION, bytes(60), kind)
    for frame in (there, tagged(there, 7)):
        a.engine.handle_frame(NETWORK, frame, a.now)
    for frame in (back, tagged(back, 7)):
        b.engine.handle_frame(NETWORK, frame, b.now)
    carry([a, b])
    assert b.delivered == [there, tagged(there, 7)]
    assert a.delivered == [back, tagged(back, 7)]


def test_vlans_are_blocked_apart_and_opened_again() -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    a.do(SetBlocked(NETWORK, frozenset({7})))
    frame = ethernet(BROADCAST, STATION)
    assert len(a.send(frame)) == 1
    assert a.send(tagged(frame, 7)) == []
    a.do(SetBlocked(NETWORK, frozenset()))
    assert len(a.send(tagged(frame, 7))) == 1
    assert b.drops == {}


@pytest.mark.parametrize("offloads", [PortOffloads(), PortOffloads(checksum=True, tso=True)])
def test_own_frames_are_written_even_where_blocked(offloads: PortOffloads) -> None:
    a, _ = make_mesh(2, bridges=(1,))
    frame = emit_beacon(a.mac, 0, NONCE)
    a.do(SetPortOffloads(NETWORK, offloads), SetBlocked(NETWORK, frozenset({0})))
    a.do(WriteFrame(NETWORK, frame), WriteFrame(NETWORK + 1, frame))
    assert a.outputs() == [] and a.delivered == [frame]
    assert a.engine.counters()["frames_out"] == 1


def test_notices_tell_the_lan_of_every_station_behind_peers() -> None:
    a, b, c = make_mesh(3, bridges=(1, 2, 3))
    for host, station, vlan in ((b, STATION, 0), (b, OTHER, 7), (c, b"\x52\0\0\0\0\1", 0)):
        frame = ethernet(BROADCAST, station)
        host.engine.handle_frame(NETWORK, tagged(frame, vlan) if vlan else frame, host.now)
    a.send(ethernet(BROADCAST, b"\x52\0\0\0\0\2"))  # our own LAN's
    carry([a, b, c])
    a.delivered.clear()
    a.do(AnnounceStations(NETWORK, 0, frozenset({c.fingerprint})))
    assert a.outputs() == []
    assert a.delivered == [emit_notice(b.mac, 0), emit_notice(STATION, 0)]
    a.delivered.clear()
    a.do(AnnounceStations(NETWORK, 7))
    a.outputs()
    assert a.delivered == [emit_notice(mac, 7) for mac in (b.mac, c.mac, OTHER)]
