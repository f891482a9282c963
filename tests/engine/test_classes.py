"""Each class of frames that go to many has a limit of its own."""

import pytest

from l2mesh.datapath.interface import DropReason, Limits, SetLimits
from tests.engine.lab import BROADCAST, NETWORK, Host, ethernet
from tests.engine.members import FREE4, FREE6, STATION, arp, ip4, ip6, make_lan, nd, offences

DISCOVERY = [
    bytes.fromhex(mac)
    for mac in (
        "01005e0000fb",
        "01005e0000fc",
        "01005e7ffffa",
        "3333000000fb",
        "333300010003",
        "33330000000c",
    )
]


def of_class(kind: str, host: Host) -> list[bytes]:
    return {
        "broadcast": [ethernet(BROADCAST, host.mac)],
        "multicast": [ethernet(bytes.fromhex("01005e000016"), host.mac)],
        "arp": [arp(host.mac, ip4(host), FREE4)],
        "nd": [nd(host.mac, ip6(host), 135, bytes(4) + FREE6)],
        "discovery": [ethernet(group, host.mac) for group in DISCOVERY],
        "unknown_unicast": [ethernet(STATION, host.mac)],
    }[kind]


KINDS = ("broadcast", "multicast", "arp", "nd", "discovery", "unknown_unicast")


@pytest.mark.parametrize("refused", KINDS)
def test_each_class_is_refused_by_itself(refused: str) -> None:
    a, b = make_lan(2, bridge=(2,))
    for kind in KINDS:
        a.do(SetLimits(NETWORK, Limits(**{refused: 0})))  # type: ignore[arg-type]
        for frame in of_class(kind, a):
            before = a.drops.get(DropReason.CLASS_REFUSED, 0)
            out = a.send(frame)
            refusals = a.drops.get(DropReason.CLASS_REFUSED, 0) - before
            assert (len(out), refusals) == ((0, 1) if kind == refused else (1, 0)), kind
            b.do(SetLimits(NETWORK, Limits(**{refused: 0})))  # type: ignore[arg-type]
    a.do(SetLimits(NETWORK, Limits()))
    for frame in of_class(refused, a):
        (one,) = a.send(frame)
        assert b.receive(one.datagram, source=a.endpoint) == []
    assert set(b.drops) == {DropReason.CLASS_REFUSED}


@pytest.mark.parametrize("kind", KINDS)
def test_each_class_has_a_rate_of_its_own(kind: str) -> None:
    a, b = make_lan(2, bridge=(2,))
    a.do(SetLimits(NETWORK, Limits(**{kind: 3})))  # type: ignore[arg-type]
    frame = of_class(kind, a)[0]
    sent = sum(len(a.send(frame)) for _ in range(20))
    assert sent == 6 and a.drops == {DropReason.STORM: 14}
    (told,) = offences(a)
    assert (told.peer, told.reason) == (None, DropReason.STORM)
    for other in KINDS:
        if other != kind:
            assert len(a.send(of_class(other, a)[0])) == 1
    assert b.number == 2
