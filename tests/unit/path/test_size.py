from itertools import count

import pytest

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.outputs import SendProbe
from l2mesh.path.paths import PathSet
from l2mesh.path.probe import ProbeLimiter
from l2mesh.path.size import IPV4_PAYLOAD, SizeSearch, payload_size

V4, V6 = Endpoint("192.0.2.1", 9993), Endpoint("2001:db8::1", 9993)


def test_direct_paths_fill_an_mtu_of_1500() -> None:
    assert payload_size(Path(V4)) == 1472
    assert payload_size(Path(V6)) == 1452


def test_relayed_datagram_fits_an_ipv6_leg_whatever_ours_is() -> None:
    assert payload_size(Path(V4, 7)) == payload_size(Path(V6, 7)) == 1444


def probed(search: SizeSearch, now: float, carries: int) -> tuple[int, ...]:
    """What is tried now; answered at once where the path carries it."""
    due = search.sizes_due(now, 0.02)
    for size in due:
        if size <= carries:
            search.receive_reply(size, now + 0.02)
    return due


def test_size_that_passes_costs_one_probe_and_another_each_15_s() -> None:
    search = SizeSearch(Path(V4))
    tried = [probed(search, now / 10, 1472) for now in range(600)]
    assert [each for each in tried if each] == [(1472,)] * 4
    assert search.size == 1472


@pytest.mark.parametrize("carries", [1464, 1392, 1252, 1200])
def test_black_hole_is_found_within_a_second(carries: int) -> None:
    search = SizeSearch(Path(V4))
    for now in range(10):
        probed(search, now / 10, carries)
    assert search.size == carries


def test_path_that_grew_is_used_to_the_full_after_two_minutes() -> None:
    search = SizeSearch(Path(V4))
    for now in range(1400):
        probed(search, now / 10, 1392 if now < 200 else 1472)
    assert search.size == 1472


def test_path_that_shrank_is_noticed() -> None:
    search = SizeSearch(Path(V6))
    for now in range(200):
        probed(search, now / 10, 1452 if now < 20 else 1232)
    assert search.size == 1232


def test_without_any_answer_the_size_stays() -> None:
    search = SizeSearch(Path(V4, 7))
    tried = [probed(search, now / 10, 0) for now in range(100)]
    assert search.size == 1444 and sum(map(len, tried)) < 30


def test_a_peer_claims_no_size_that_did_not_arrive() -> None:
    """Its answer to another PROBE, and one by another path, count for no size: the number of each
    stands for the datagram and the way that it came."""
    numbers = count(1)
    paths = PathSet(random=lambda size: next(numbers).to_bytes(size, "big"), limiter=ProbeLimiter())
    now = 1000.0
    here, relay = Path(Endpoint("192.0.2.1", 9993)), Path(Endpoint("192.0.2.9", 9993), 7)
    paths.session_live(now)
    paths.receive_probe(here, now)
    (small,) = probes(paths)
    assert paths.receive_reply(small.nonce, here, now + 0.01)
    paths.add_relay(relay, now)
    probes(paths)
    tried: set[int] = set()
    for step in range(1, 200):
        now = 1000.0 + step / 10
        paths.note_activity(now, now, now, now)
        paths.handle_timeout(now)
        for probe in probes(paths):
            tried.add(probe.size)
            if probe.size:
                assert not paths.receive_reply(probe.nonce, relay, now)
                assert not paths.receive_reply(small.nonce, here, now)
            else:
                assert paths.receive_reply(probe.nonce, probe.path, now)
    assert max(tried) == IPV4_PAYLOAD == 1472
    [direct] = [each for each in paths.candidates if each.path == here]
    assert direct.size.size == IPV4_PAYLOAD, "nothing was learnt, neither up nor down"


def probes(paths: PathSet) -> list[SendProbe]:
    """What it asks now."""
    return [each for each in iter(paths.poll_output, None) if isinstance(each, SendProbe)]
