"""Which ports of a peer are tried, and that two sequential NATs meet whatever others take."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.interface import Endpoint
from l2mesh.path.foretell import MAX_BLOCK, MAX_FORETOLD, foretell
from l2mesh.path.mapping import Forecast, Mapping, Mappings

HERE, THERE = "198.51.100.1", "198.51.100.2"
HOME = Forecast(Mapping.INDEPENDENT, (Endpoint(HERE, 9993),))

forecasts = st.builds(
    Forecast,
    st.sampled_from(Mapping),
    st.lists(
        st.builds(
            Endpoint,
            st.sampled_from([HERE, THERE, "203.0.113.1"]),
            st.integers(1, 65535),
            uplink=st.just(0),
        ),
        max_size=4,
    ).map(tuple),
    st.integers(0, 2**64 - 1),
)


def random() -> Callable[[int], bytes]:
    return Random(1).randbytes


def sequential(host: str, latest: int, step: int = 1) -> Forecast:
    return Forecast(Mapping.SEQUENTIAL, (Endpoint(host, latest),), step)


def ports(ours: Forecast, theirs: Forecast, *, leads: bool = True) -> list[int]:
    return [each.port for each in foretell(ours, theirs, leads=leads, random=random())]


@given(ours=forecasts, theirs=forecasts, leads=st.booleans())
def test_whatever_is_told_little_is_tried_and_at_one_host(
    *, ours: Forecast, theirs: Forecast, leads: bool
) -> None:
    found = foretell(ours, theirs, leads=leads, random=random())
    assert len(found) == len(set(found)) <= MAX_FORETOLD
    assert {each.host for each in found} <= {each.host for each in theirs.seen[:1]}
    assert not {each.host for each in found} & {each.host for each in ours.seen}
    assert all(1024 <= each.port <= 65535 for each in found)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_ports_around_the_latest_of_a_sequential_nat_are_tried_the_nearest_first(step: int) -> None:
    found = ports(HOME, sequential(THERE, 40_000, step))
    assert found[:4] == [40_000 - step, 40_000 + step, 40_000 - 2 * step, 40_000 + 2 * step]
    assert {40_000 + taken for taken in range(-40, 41) if taken} <= set(found)
    assert {40_000 + taken * step for taken in range(-32, 33) if taken} <= set(found)


def test_ports_end_with_the_last() -> None:
    found = ports(HOME, sequential(THERE, 65_533))
    assert found[:5] == [65_532, 65_534, 65_531, 65_535, 65_530] and max(found) == 65_535


@pytest.mark.parametrize(
    ("seen", "block"),
    [
        ((5000, 5001), range(5000, 5002)),
        ((4096, 4223), range(4096, 4224)),
        ((4095, 4096), range(0)),  # aligned only in a block of 8,192
        ((20_000, 50_000), range(0)),
        ((5000,), range(0)),
    ],
)
def test_random_nat_is_searched_in_its_block(seen: tuple[int, ...], block: range) -> None:
    theirs = Forecast(Mapping.RANDOM, tuple(Endpoint(THERE, port) for port in seen))
    assert set(ports(HOME, theirs)) == set(block)


def test_of_a_large_block_some_are_drawn() -> None:
    theirs = Forecast(Mapping.RANDOM, (Endpoint(THERE, 4096), Endpoint(THERE, 6143)))
    draw = Random(2).randbytes
    first, second = (foretell(HOME, theirs, leads=True, random=draw) for _ in range(2))
    assert len(first) == len(second) == MAX_FORETOLD and set(first) != set(second)
    assert all(4096 <= each.port < 4096 + MAX_BLOCK for each in first + second)


@pytest.mark.parametrize("ours", [Mapping.RANDOM, Mapping.SEQUENTIAL, Mapping.UNKNOWN])
def test_random_nat_is_not_searched_from_behind_another_such(ours: Mapping) -> None:
    theirs = Forecast(Mapping.RANDOM, (Endpoint(THERE, 5000), Endpoint(THERE, 5001)))
    assert ports(Forecast(ours, (Endpoint(HERE, 1),)), theirs) == []


def test_nobody_searches_his_own_nat() -> None:
    assert ports(sequential(HERE, 40_000), sequential(HERE, 40_002)) == []


@given(
    taken=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    step=st.sampled_from([1, 2, 5]),
    strangers=st.lists(st.booleans(), min_size=256, max_size=256).map(
        lambda all_: [each if number % 8 == 0 else False for number, each in enumerate(all_)]
    ),
)
def test_two_sequential_nats_meet(taken: tuple[int, int], step: int, strangers: list[bool]) -> None:
    """Each end's probes leave by the ports that its NAT counts, strangers in between."""
    one, other = sequential(HERE, 20_000, step), sequential(THERE, 40_000, step)
    there = foretell(one, other, leads=True, random=random())
    back = foretell(other, one, leads=False, random=random())
    sent = _pass(HERE, 20_000 + taken[0] * step, step, there, strangers)
    answered = _pass(THERE, 40_000 + taken[1] * step, step, back, strangers[::-1])
    assert any((to, source) in answered for source, to in sent)


def _pass(
    host: str, port: int, step: int, targets: tuple[Endpoint, ...], strangers: list[bool]
) -> list[tuple[Endpoint, Endpoint]]:
    """(mapping, destination) of each probe."""
    made = []
    for target, is_before in zip(targets, strangers, strict=False):
        port += step * (2 if is_before else 1)
        made.append((Endpoint(host, port), target))
    return made


def test_forecast_is_what_planets_saw_last_first() -> None:
    mappings = Mappings()
    assert mappings.forecast([]) == Forecast(Mapping.UNKNOWN)
    for number, port in enumerate([40_000, 40_004, 40_002]):
        mappings.observe(Endpoint(f"203.0.113.{number}", 9993), Endpoint(HERE, port), 1.0)
    mappings.observe(Endpoint("2001:db8::1", 9993), Endpoint("2001:db8::2", 9993), 1.0)
    seen = tuple(Endpoint(HERE, port) for port in (40_004, 40_002, 40_000))
    assert mappings.forecast([]) == Forecast(Mapping.SEQUENTIAL, seen, 2)
    assert mappings.forecast([HERE]) == Forecast(Mapping.OPEN, seen, 0)
