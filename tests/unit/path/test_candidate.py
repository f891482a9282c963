from ipaddress import ip_network

import pytest

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.candidate import Candidate, CandidateTable, Kind, acceptable, own_candidates

POOLS = (ip_network("10.9.0.0/24"), ip_network("fd00:9::/64"))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "169.254.1.1",
        "fe80::1",
        "fe80::1%eth0",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "::ffff:192.0.2.1",
        "10.9.0.7",
        "fd00:9::7",
        "example.org",
        "",
    ],
)
def test_no_candidate_is_there(host: str) -> None:
    assert not acceptable(Endpoint(host, 9993), POOLS)


@pytest.mark.parametrize("host", ["192.0.2.1", "10.9.1.7", "100.64.0.1", "2001:db8::1", "fd00::1"])
def test_peer_may_be_there(host: str) -> None:
    assert acceptable(Endpoint(host, 9993), POOLS)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_port_must_exist(port: int) -> None:
    assert not acceptable(Endpoint("192.0.2.1", port))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_loopback_only_where_the_underlay_is_loopback(host: str) -> None:
    assert acceptable(Endpoint(host, 1), loopback_ok=True)


def test_own_candidates_name_the_way_in_from_outside_first() -> None:
    local = [Endpoint(f"192.168.0.{i}", 9993) for i in range(1, 20)]
    observed = [Endpoint("203.0.113.7", 4000)]
    told = own_candidates([*local, Endpoint("10.9.0.1", 9993)], observed, POOLS)
    assert told == (*observed, *local[:7])


def test_own_candidates_are_named_once() -> None:
    public = Endpoint("203.0.113.7", 9993)
    assert own_candidates([public], [public]) == (public,)


def paths(count: int) -> list[Path]:
    return [Path(Endpoint(f"192.0.2.{i + 1}", 9993)) for i in range(count)]


@pytest.mark.parametrize(("kind", "cap"), [(Kind.TOLD, 8), (Kind.SEEN, 4), (Kind.REMEMBERED, 4)])
def test_full_kind_gives_up_its_oldest_that_never_answered(kind: Kind, cap: int) -> None:
    table = CandidateTable()
    for at, path in enumerate(paths(cap)):
        table.add(path, kind, float(at))
    first = table.get(paths(1)[0])
    assert first is not None
    first.answer(9.0, 0.01)
    newcomer = Path(Endpoint("198.51.100.1", 1))
    assert table.add(newcomer, kind, 10.0) is not None
    left = [candidate.path for candidate in table]
    assert left == [paths(cap)[0], *paths(cap)[2:], newcomer]


def test_newcomer_is_refused_where_all_are_usable() -> None:
    table = CandidateTable()
    for path in paths(4):
        candidate = table.add(path, Kind.SEEN, 0.0)
        assert candidate is not None
        candidate.answer(1.0, 0.01)
    assert table.add(Path(Endpoint("198.51.100.1", 1)), Kind.SEEN, 2.0) is None


def test_seen_endpoint_counts_as_told_once_the_peer_names_it() -> None:
    table = CandidateTable()
    (path,) = paths(1)
    table.add(path, Kind.SEEN, 0.0)
    table.add(path, Kind.TOLD, 1.0)
    candidate = table.get(path)
    assert candidate is not None and candidate.kind is Kind.TOLD


def test_relays_never_push_each_other_out() -> None:
    table = CandidateTable()
    relays = [Path(Endpoint("192.0.2.1", 9993), relay + 1) for relay in range(21)]
    added = [table.add(path, Kind.RELAY, 0.0) is not None for path in relays]
    assert added == [True] * 20 + [False]


def test_cost_counts_loss_beyond_chance() -> None:
    relay = Candidate(Path(Endpoint("192.0.2.1", 9993), 7), Kind.RELAY, 0.0)
    assert relay.cost_s == float("inf")
    relay.answer(1.0, 0.05)
    relay.unanswered(1.0)
    assert relay.cost_s == 0.05  # one of 32 is chance
    for _ in range(9):
        relay.unanswered(1.0)
    assert 0.2 < relay.loss < 0.3
    assert 0.05 + (relay.loss - 0.05) == relay.cost_s
    for at in range(200):
        relay.answer(2.0 + at, 0.05)
    assert relay.loss < 0.01
