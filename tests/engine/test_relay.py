import pytest

from l2mesh.datapath.interface import (
    AddRelayLeg,
    ControlReceived,
    DropReason,
    Endpoint,
    Path,
    RemoveRelay,
    RemoveRelayLeg,
    SendControl,
    SetPath,
    SetRelay,
    SourceSeen,
    Transmit,
)
from l2mesh.datapath.reference import Bounds
from l2mesh.wire.relay import frame_relay
from tests.engine.lab import SESSION, Host, carry, ethernet, make_mesh

RELAY = 0xABCDEF01234567
STRANGER = Endpoint("198.51.100.66", 6)


def relayed(*, bounds: Bounds | None = None) -> tuple[Host, Host, Host]:
    """Two members that reach each other through a planet."""
    a, b = make_mesh(2)
    planet = Host(9, bounds=bounds)
    planet.do(SetRelay(RELAY, a.endpoint, b.endpoint, a.fingerprint, b.fingerprint))
    for one, other in ((a, b), (b, a)):
        one.do(AddRelayLeg(RELAY, planet.endpoint))
        one.do(SetPath(other.fingerprint, Path(planet.endpoint, RELAY), 1472))
    return a, b, planet


@pytest.mark.parametrize("size", [50, 1486, 1487, 1500])
def test_frames_pass_a_planet_unchanged_and_fit_its_path(size: int) -> None:
    a, b, planet = relayed()
    frame = ethernet(b.mac, a.mac, bytes(size - 50))
    sent = a.send(frame)
    assert all(len(one.datagram) <= 1472 for one in sent)
    for one in sent:
        planet.engine.handle_datagram(one.datagram, a.endpoint, planet.now)
    passed = planet.outputs()
    assert passed == [Transmit(one.datagram, b.endpoint) for one in sent]
    assert b.receive(*[one.datagram for one in passed], source=planet.endpoint) == [frame]
    assert not any(isinstance(one, SourceSeen) for one in b.heard())
    assert planet.engine.counters()["relayed_packets"] == len(sent)
    assert planet.engine.counters()["relayed_bytes"] == sum(len(one.datagram) for one in sent)


def test_relay_carries_both_ways() -> None:
    a, b, planet = relayed()
    b.engine.handle_frame(0x1122334455000001, ethernet(a.mac, b.mac), b.now)
    carry([a, b, planet])
    assert a.delivered == [ethernet(a.mac, b.mac)]


def test_control_by_relay_names_its_path() -> None:
    a, b, planet = relayed()
    path = Path(planet.endpoint, RELAY)
    a.do(SendControl(b.fingerprint, SESSION, b"hi", path))
    carry([a, b, planet])
    assert ControlReceived(a.fingerprint, SESSION, b"hi", path) in b.heard()


def test_direct_arrival_at_a_relayed_peer_is_a_new_source() -> None:
    a, b, _ = relayed()
    a.do(SetPath(b.fingerprint, Path(b.endpoint)))
    a.engine.handle_frame(0x1122334455000001, ethernet(b.mac, a.mac), a.now)
    carry([a, b])
    assert SourceSeen(a.fingerprint, SESSION, Path(a.endpoint)) in b.heard()


def test_strangers_and_unknown_ids_meet_silence() -> None:
    a, b, planet = relayed()
    inside = b"\x80" + bytes(40)
    planet.receive(frame_relay(RELAY, inside), source=STRANGER)
    planet.receive(frame_relay(RELAY + 1, inside), source=a.endpoint)
    assert planet.drops == {DropReason.UNKNOWN_RELAY: 2}
    b.receive(frame_relay(RELAY, inside), source=STRANGER)
    b.receive(frame_relay(RELAY + 1, inside), source=planet.endpoint)
    assert b.drops == {DropReason.UNKNOWN_RELAY: 2}


def test_removed_relay_and_leg_meet_silence() -> None:
    a, b, planet = relayed()
    inside = frame_relay(RELAY, b"\x80" + bytes(40))
    for _ in range(2):
        planet.do(RemoveRelay(RELAY))
        b.do(RemoveRelayLeg(RELAY))
    planet.receive(inside, source=a.endpoint)
    b.receive(inside, source=planet.endpoint)
    assert planet.drops == b.drops == {DropReason.UNKNOWN_RELAY: 1}


def test_relay_inside_relay_meets_silence() -> None:
    _, b, planet = relayed()
    b.receive(frame_relay(RELAY, frame_relay(RELAY, b"\x80" + bytes(30))), source=planet.endpoint)
    assert b.drops == {DropReason.UNKNOWN_TYPE: 1}


@pytest.mark.parametrize("size", range(1, 9))
def test_relay_without_an_inside_is_malformed(size: int) -> None:
    a, _, planet = relayed()
    planet.receive(frame_relay(RELAY, b"")[:size], source=a.endpoint)
    assert planet.drops == {DropReason.MALFORMED: 1}


def test_client_is_limited_over_all_its_relays_and_the_other_end_is_not() -> None:
    a, b, planet = relayed(bounds=Bounds(relay_rate=100, relay_burst=10))
    other = SetRelay(RELAY + 1, a.endpoint, STRANGER, a.fingerprint, b"?" * 32)
    planet.do(other)
    for _ in range(8):
        for relay in (RELAY, RELAY + 1):
            datagram = frame_relay(relay, b"\x80" + bytes(30))
            planet.engine.handle_datagram(datagram, a.endpoint, planet.now)
    assert len(planet.outputs()) == 10
    assert planet.drops == {DropReason.RELAY_RATE: 6}
    planet.engine.handle_datagram(frame_relay(RELAY, b"\x80"), b.endpoint, planet.now)
    assert len(planet.outputs()) == 1
    planet.now += 0.0625
    for _ in range(8):
        planet.engine.handle_datagram(frame_relay(RELAY, b"\x80"), a.endpoint, planet.now)
    assert len(planet.outputs()) == 6


def test_node_may_be_planet_and_client_of_one_id() -> None:
    a, b, planet = relayed()
    b.do(SetRelay(RELAY, STRANGER, STRANGER, b"1" * 32, b"2" * 32))
    a.engine.handle_frame(0x1122334455000001, ethernet(b.mac, a.mac), a.now)
    carry([a, b, planet])
    assert len(b.delivered) == 1
