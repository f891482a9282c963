"""What people are told of a loop guard."""

import pytest

from l2mesh.node.guardview import guard_view
from l2mesh.switch.loopguard import LoopGuard
from l2mesh.switch.sighting import confirmed_tag

ME, OTHER = b"\x01" * 32, b"\x02" * 32
NETWORK = 5


def guard(me: bytes, *, bridge: bool, other: bytes | None = None) -> LoopGuard:
    """With or without a neighbour in VLAN 0."""
    one = LoopGuard(
        NETWORK, me, mac=b"\x02" * 6, bridge=bridge, random=lambda size: b"r" * size, now=10.0
    )
    if other is not None:
        nonce = b"n" * 16
        one.receive_beacon(0, nonce, 11.0)
        one.receive_confirmed(other, 0, confirmed_tag(nonce, NETWORK, 0, me, other), 11.0)
    return one


@pytest.mark.parametrize(
    ("bridge", "other", "words"),
    [
        (True, False, {"no other bridge is on our LAN"}),
        (False, False, {"no right to bridge", "no bridge is on its port's LAN"}),
        (False, True, {"a bridge is on our port's LAN", "no right to bridge"}),
    ],
)
def test_reason_says_why(words: set[str], *, bridge: bool, other: bool) -> None:
    view = guard_view(guard(ME, bridge=bridge, other=OTHER if other else None), 15.0)
    (vlan,) = view.vlans
    assert all(part in vlan.reason for part in words)
    assert vlan.state == ("blocked" if other else "forwarding")
    assert vlan.forwarder == (OTHER if other else None)
    assert vlan.since_s == (4.0 if other else 5.0)


def test_two_bridges_name_the_same_forwarder() -> None:
    one = guard_view(guard(ME, bridge=True, other=OTHER), 15.0).vlans[0]
    two = guard_view(guard(OTHER, bridge=True, other=ME), 15.0).vlans[0]
    assert {one.state, two.state} == {"forwarding", "blocked"}
    best = ME if one.state == "forwarding" else OTHER
    assert (one.forwarder or ME) == (two.forwarder or OTHER) == best
    for view in (one, two):
        assert "rank of 2 bridges" in view.reason or "of 2 bridges on our LAN" in view.reason
