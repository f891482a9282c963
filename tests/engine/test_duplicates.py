"""Two stations that claim one IP address are told of, and nothing is dropped."""

from __future__ import annotations

import pytest

from l2mesh.datapath.interface import DropReason, Limits, MacLearned, Offence, SetLimits
from l2mesh.datapath.reference import Bounds
from tests.engine.lab import BROADCAST, NETWORK, Host, carry, ethernet, make_mesh

ONE, OTHER = bytes.fromhex("52540000aa01"), bytes.fromhex("52540000aa02")
ADDRESS4, ADDRESS6 = bytes((10, 0, 0, 99)), bytes.fromhex("fd000000000000000000000000000099")


def claim(station: bytes, address: bytes) -> bytes:
    """Gratuitous ARP, or an unsolicited advertisement."""
    if len(address) == 4:
        arp = b"\0\1\x08\0\6\4\0\1" + station + address + bytes(6) + address
        return ethernet(BROADCAST, station, arp, 0x0806)
    message = b"\x88\0\0\0\x20\0\0\0" + address + b"\2\1" + station
    head = b"\x60\0\0\0" + len(message).to_bytes(2, "big") + b"\x3a\xff" + address
    packet = head + b"\xff\2" + bytes(13) + b"\1" + message
    return ethernet(b"\x33\x33\0\0\0\1", station, packet, 0x86DD)


def offences(host: Host) -> list[Offence]:
    return [one for one in host.heard() if isinstance(one, Offence)]


@pytest.mark.parametrize("address", [ADDRESS4, ADDRESS6])
def test_two_who_claim_an_address_in_turns_are_told_of(address: bytes) -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    for station in (ONE, OTHER):
        assert len(a.send(claim(station, address))) == 1
        a.wait(1)
    assert offences(a) == [] and not a.drops  # one may have taken it over
    assert len(a.send(claim(ONE, address))) == 1
    reason = DropReason.DUPLICATE_ADDRESS
    assert offences(a) == [Offence(NETWORK, None, reason, 0, ONE, address, 1)]
    assert a.drops == {reason: 1}
    for station in (OTHER, ONE):
        a.send(claim(station, address))
    assert offences(a) == []  # once in 10 s
    a.wait(10)
    a.send(claim(OTHER, address))
    assert offences(a) == [Offence(NETWORK, None, reason, 0, OTHER, address, 4)]
    carry([a, b])


def test_stations_behind_different_members_are_told_of_too() -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    for host, other, station in ((a, b, ONE), (b, a, OTHER), (a, b, ONE)):
        host.engine.handle_frame(NETWORK, claim(station, ADDRESS4), host.now)
        carry([a, b])
        assert other.delivered[-1] == claim(station, ADDRESS4)
    [told] = offences(b)
    assert (told.peer, told.mac, told.address) == (a.fingerprint, ONE, ADDRESS4)


def test_an_address_that_moves_for_good_or_comes_back_late_is_nobodys_fault() -> None:
    a, _ = make_mesh(2, bridges=(1,))
    for station, pause in ((ONE, 1.0), (OTHER, 60.0), (ONE, 1.0), (ONE, 1.0)):
        a.send(claim(station, ADDRESS4))
        a.wait(pause)
    assert DropReason.DUPLICATE_ADDRESS not in a.drops


def test_probes_claim_nothing() -> None:
    a, _ = make_mesh(2, bridges=(1,))
    for station in (ONE, OTHER, ONE):
        arp = b"\0\1\x08\0\6\4\0\1" + station + bytes(4) + bytes(6) + ADDRESS4
        a.send(ethernet(BROADCAST, station, arp, 0x0806))
    assert not a.drops


def test_stations_behind_our_own_port_are_bounded() -> None:
    a, b = make_mesh(2, bridges=(1, 2), bounds=Bounds(fdb_own=3, fdb_per_network=6))
    a.do(SetLimits(NETWORK, Limits(broadcast=None)))
    for number in range(16, 25):
        a.send(ethernet(BROADCAST, ONE[:5] + bytes([number])))
    learned = [one for one in a.heard() if isinstance(one, MacLearned)]
    assert len(learned) == 3 and a.drops == {DropReason.FDB_FULL: 6}
    b.engine.handle_frame(NETWORK, ethernet(BROADCAST, OTHER), b.now)
    carry([a, b])
    assert MacLearned(NETWORK, 0, OTHER, b.fingerprint, False) in a.heard()
