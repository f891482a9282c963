"""The kind of NAT follows from what planets see."""

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.path.mapping import MAX_OBSERVERS, Mapping, Mappings

HOME = "198.51.100.1"


def seen_as(*ports: int, host: str = HOME) -> Mappings:
    mappings = Mappings()
    for number, port in enumerate(ports):
        assert mappings.observe(Endpoint(f"203.0.113.{number}", 9993), Endpoint(host, port), 1.0)
    return mappings


@pytest.mark.parametrize(
    ("ports", "kind"),
    [
        ((), Mapping.UNKNOWN),
        ((9993,), Mapping.UNKNOWN),
        ((9993, 9993), Mapping.INDEPENDENT),
        ((40_000, 40_001), Mapping.SEQUENTIAL),
        ((40_001, 40_000, 40_007), Mapping.SEQUENTIAL),
        ((40_000, 40_016), Mapping.SEQUENTIAL),
        ((40_000, 40_017), Mapping.RANDOM),
        ((40_000, 25_000), Mapping.RANDOM),
    ],
)
def test_kind_follows_from_the_ports(ports: tuple[int, ...], kind: Mapping) -> None:
    assert seen_as(*ports).kind(["10.0.0.1"]) is kind


def test_own_address_seen_from_outside_is_open() -> None:
    assert seen_as(9993).kind([HOME]) is Mapping.OPEN


def test_two_outside_addresses_tell_no_step() -> None:
    mappings = seen_as(40_000)
    mappings.observe(Endpoint("203.0.113.9", 9993), Endpoint("198.51.100.2", 40_001), 1.0)
    assert mappings.kind([]) is Mapping.RANDOM and mappings.step() is None


def test_families_are_judged_apart() -> None:
    mappings = seen_as(40_000, 40_001)
    for number in range(2):
        at = Endpoint(f"2001:db8::{number}", 9993)
        mappings.observe(at, Endpoint("2001:db8:1::1", 9993), 1.0)
    assert mappings.kind([], family=6) is Mapping.INDEPENDENT
    assert mappings.kind([]) is Mapping.SEQUENTIAL


def test_same_news_is_none_and_a_lost_planet_is_forgotten() -> None:
    mappings = seen_as(9993, 9993)
    observer = Endpoint("203.0.113.0", 9993)
    assert not mappings.observe(observer, Endpoint(HOME, 9993), 2.0)
    assert mappings.observe(observer, Endpoint(HOME, 9994), 3.0)
    assert mappings.endpoints()[0] == Endpoint(HOME, 9994)
    assert mappings.latest() == (Endpoint(HOME, 9994), 3.0)
    mappings.forget([observer])
    assert mappings.endpoints() == (Endpoint(HOME, 9993),)


def test_what_a_scout_found_leads_the_forecast_and_nothing_else() -> None:
    mappings = seen_as(40_000, 40_002)
    mappings.scouted(Endpoint(HOME, 40_300), 300.0)
    assert mappings.latest() == (Endpoint(HOME, 40_300), 300.0)
    forecast = mappings.forecast([])
    assert forecast.seen[0] == Endpoint(HOME, 40_300) and forecast.step == 2
    assert forecast.mapping is Mapping.SEQUENTIAL
    assert mappings.endpoints() == (Endpoint(HOME, 40_002), Endpoint(HOME, 40_000))
    mappings.observe(Endpoint("203.0.113.9", 9993), Endpoint(HOME, 40_400), 400.0)
    assert mappings.latest() == (Endpoint(HOME, 40_400), 400.0)


def test_what_a_scout_found_at_another_outside_address_counts_no_more() -> None:
    mappings = seen_as(40_000, 40_002)
    mappings.scouted(Endpoint("198.51.100.2", 40_300), 300.0)
    assert mappings.latest() == (Endpoint(HOME, 40_002), 1.0)


def test_memory_is_bounded() -> None:
    mappings = Mappings()
    for number in range(MAX_OBSERVERS + 1):
        mappings.observe(Endpoint("203.0.113.1", 1 + number), Endpoint(HOME, 9993), 1.0)
    assert len(mappings.observed) == MAX_OBSERVERS
    assert Endpoint("203.0.113.1", 1) not in mappings.observed
