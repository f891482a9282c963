"""Places on the internet against each other: what must become direct does, and the rest is relayed.

A few pairs that differ in kind; `tools/grid` plays them all, with 20 seeds each.
"""

import pytest

from tools.pairs.places import Aim, Neighbours, Pair, Place, aim_of, pairs
from tools.pairs.simulated import play
from tools.pairs.table import judge, matrix, name_of, neighbour_lines, search_lines

PAIRS: tuple[Pair, ...] = (
    (Place.OPEN, Place.RANDOM),
    (Place.ADDRESS, Place.RANDOM),
    (Place.ADDRESS, Place.BLOCK),
    (Place.FULL_CONE, Place.BLOCKED),
    (Place.PORT, Place.DUAL),
    (Place.PORT, Place.IPV6),
    (Place.DOUBLE, Place.DOUBLE),
    (Place.RANDOM, Place.RANDOM),
    (Place.PORT, Place.SEQUENTIAL),
    (Place.SEQUENTIAL, Place.SEQUENTIAL),
    (Place.IPV6, Place.DUAL),
    (Place.PORT, Place.NAT64),
    (Place.IPV6, Place.NAT64),
    *Neighbours,
)


@pytest.mark.parametrize("pair", PAIRS, ids=name_of)
def test_pair_comes_to_what_it_must(pair: Pair) -> None:
    assert judge(pair, [play(pair, 1, run_s=8.0)]) == []


def test_dual_stack_ends_meet_whatever_family_their_planets_prefer() -> None:
    """One whose planets answered by IPv6 still learns what its IPv4 NAT does."""
    outcomes = [play((Place.PORT, Place.DUAL), seed, run_s=5.0) for seed in (1, 2, 3)]
    assert judge((Place.PORT, Place.DUAL), outcomes) == []


def test_table_has_a_cell_for_every_pair() -> None:
    outcome = play((Place.OPEN, Place.OPEN), 1, run_s=2.0)
    results = {pair: [outcome] for pair in pairs()}
    assert f"{outcome.direct_s:.1f}" in matrix(results) and "hairpin" in neighbour_lines(results)
    assert "| sequential - sequential | 1/1 | 1/1 |" in search_lines(results)
    assert aim_of((Place.RANDOM, Place.PORT)) is Aim.RELAY
    assert aim_of((Place.SEQUENTIAL, Place.PORT)) is Aim.GUESSED
