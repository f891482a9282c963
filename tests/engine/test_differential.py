"""The native engine against the reference one: the same inputs, and everything compared.

Two nodes `a` and `b`, each as an engine of both kinds, live the same life: commands, frames and
datagrams of any sort, and timeouts. After each step the two kinds must have given out the same, in
the same order, and must show the same tables and counters. Datagrams are those that the engines
made, also again, damaged, out of order, from the wrong place, and handed to the other of the two.

Hypothesis chooses a seed and a length, and looks for the shortest life that tells the kinds apart.
What happens in it is drawn from the seed, so that thousands of steps take seconds.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2mesh.datapath.interface import CaptureSide, DropReason
from l2mesh.datapath.reference import Bounds
from tests.engine.lives.cast import SMALL
from tests.engine.lives.life import Life

pytest.importorskip("l2mesh.datapath._native", reason="the native engine has not been built")

# Many draws, for which a tracer takes several times as long; others cover what they run.
pytestmark = pytest.mark.no_cover


@pytest.fixture(scope="module", autouse=True)
def kind() -> None:
    """Both kinds are in each test."""


@pytest.mark.parametrize("bounds", [Bounds(), SMALL], ids=["ample", "cramped"])
@given(seed=st.integers(0, 2**64), steps=st.integers(1, 300))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_native_engine_is_the_reference_engine(bounds: Bounds, seed: int, steps: int) -> None:
    Life(seed, bounds).live(steps)


def test_lives_are_eventful() -> None:
    """Everything that can be told, given out or dropped occurs: else little would be compared."""
    seen, dropped = Counter[str](), set[DropReason]()
    for seed in range(10):
        for bounds in (Bounds(), SMALL):
            life = Life(seed, bounds)
            life.live(400)
            seen += life.seen
            dropped |= {reason for pair in life.pairs for reason in pair.engines[0].drops()}
    assert dropped == set(DropReason)
    upcalls = {"HandshakeReceived", "ControlReceived", "SessionConfirmed", "NeedSession"}
    upcalls |= {"SourceSeen", "MacLearned", "BeaconHeard", "Offence", "KeySpent"}
    upcalls |= {"GroupTalkHeard"}
    upcalls |= {"NeedReplicators", "AssignmentUnknown", "SourceStale"}
    assert {*CaptureSide, "lost"} <= set(+seen)
    assert upcalls | {"Transmit", "TransmitTrain", "Deliver", "merged"} <= set(seen)
