"""A few pairs of places with the programs themselves; `tools/grid --namespaces` plays them all."""

from typing import Final

import pytest

from tools.pairs.places import Neighbours, Pair, Place
from tools.pairs.real import play_all
from tools.pairs.table import judge, name_of

pytestmark = [pytest.mark.root, pytest.mark.slow]

PAIRS: Final[tuple[Pair, ...]] = (
    (Place.ADDRESS, Place.RANDOM),
    (Place.FULL_CONE, Place.SEQUENTIAL),
    (Place.PORT, Place.DOUBLE),
    (Place.PORT, Place.DUAL),
    (Place.IPV6, Place.DUAL),
    (Place.RANDOM, Place.RANDOM),
    (Place.PORT, Place.BLOCKED),
    Neighbours.SAME_LAN,
    Neighbours.HAIRPIN,
)


def test_pairs_come_to_what_they_must() -> None:
    outcomes = {name_of(pair): (pair, it) for pair, it in play_all(PAIRS, at_once=5)}
    assert {name: judge(pair, [it]) for name, (pair, it) in outcomes.items()} == {
        name_of(pair): [] for pair in PAIRS
    }
    relayed = {name for name, (_, it) in outcomes.items() if it.direct_s is None}
    assert relayed <= {"random - random", "port - blocked"}
