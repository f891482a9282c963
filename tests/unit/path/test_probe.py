from itertools import count

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.probe import (
    HOST_ANSWERED_S,
    HOST_BURST,
    HOST_RATE,
    SCHEDULE_S,
    OpenProbes,
    ProbeLimiter,
)

HERE, ELSEWHERE = Endpoint("192.0.2.1", 1), Endpoint("192.0.2.2", 2)


def test_eight_probes_in_ten_seconds_to_an_endpoint_that_is_silent() -> None:
    limiter = ProbeLimiter()
    asked = [at / 10 for at in range(400)]
    sent = [at for at in asked if limiter.allow(HERE, at)]
    for start in asked:
        assert sum(start <= at < start + 10 for at in sent) <= 8
    assert len(sent) == 32


def test_one_whole_round_is_within_the_limit() -> None:
    limiter = ProbeLimiter()
    assert all(limiter.allow(HERE, at) for at in SCHEDULE_S)
    assert limiter.allow(ELSEWHERE, 3.0)


def test_an_answer_lifts_the_limit() -> None:
    limiter = ProbeLimiter()
    for _ in range(8):
        assert limiter.allow(HERE, 0.0)
    assert not limiter.allow(HERE, 0.0)
    limiter.answered(HERE, 0.0)
    assert limiter.allow(HERE, 0.0)


def test_probes_back_to_where_one_came_from_are_counted_apart() -> None:
    limiter = ProbeLimiter()
    for is_back in (False, True):
        assert all(limiter.allow(HERE, 0.0, is_back=is_back) for _ in range(8))
        assert not limiter.allow(HERE, 0.0, is_back=is_back)
    limiter.answered(HERE, 0.0)
    assert limiter.allow(HERE, 0.0) and limiter.allow(HERE, 0.0, is_back=True)


def test_a_crowd_of_endpoints_does_not_undo_the_limit() -> None:
    limiter = ProbeLimiter()
    crowd = [Endpoint(f"10.0.{i >> 8}.{i & 255}", 9) for i in range(4096)]
    assert all(limiter.allow(endpoint, 0.0) for endpoint in crowd)
    assert not limiter.allow(HERE, 9.9)
    assert limiter.allow(HERE, 10.0)


def test_a_host_none_of_whose_endpoints_answers_is_left_alone() -> None:
    limiter = ProbeLimiter()
    ports = [Endpoint("192.0.2.1", port) for port in range(1, 1001)]
    assert sum(limiter.allow(each, 0.0) for each in ports) == HOST_BURST
    assert sum(limiter.allow(each, 60.0) for each in ports) == round(60 * HOST_RATE)
    assert limiter.allow(ELSEWHERE, 0.0)
    network = [Endpoint(f"2001:db8::{number:x}", 9) for number in range(1, 1001)]
    assert sum(limiter.allow(each, 0.0) for each in network) == HOST_BURST


def test_a_host_from_which_somebody_answers_has_no_limit_but_that_of_each_endpoint() -> None:
    limiter = ProbeLimiter()
    limiter.answered(HERE, 0.0)
    ports = [Endpoint("192.0.2.1", port) for port in range(1, 1001)]
    assert all(limiter.allow(each, HOST_ANSWERED_S - 1) for each in ports)
    limited = [limiter.allow(each, HOST_ANSWERED_S + 60) for each in ports]
    assert sum(limited) == HOST_BURST


def test_those_that_answer_take_no_room_from_those_to_come() -> None:
    """A planet is met by all its clients at once."""
    limiter = ProbeLimiter()
    for number in range(20_000):
        place = Endpoint(f"10.{number >> 8}.{number & 255}.1", 9)
        assert limiter.allow(place, 0.0)
        limiter.answered(place, 0.0)


def test_a_move_of_our_own_begins_the_count_of_hosts_anew() -> None:
    limiter = ProbeLimiter()
    ports = [Endpoint("192.0.2.1", port) for port in range(1, 1001)]
    assert sum(limiter.allow(each, 0.0) for each in ports) == HOST_BURST
    limiter.moved()
    assert limiter.allow(ports[-1], 0.0)


def test_searches_have_a_quota_of_their_own() -> None:
    limiter = ProbeLimiter()
    ports = [Endpoint("192.0.2.1", port) for port in range(1, 1001)]
    assert all(limiter.allow_foretold(each, 0.0) for each in ports)
    assert limiter.allow(Endpoint("192.0.2.1", 2000), 0.0)
    again = [limiter.allow_foretold(HERE, 0.0) for _ in range(9)]
    assert sum(again) == 7, "the limit of the endpoint holds for them as well"


def open_probes() -> OpenProbes:
    numbers = count(1)
    return OpenProbes(lambda size: next(numbers).to_bytes(size, "big"))


def test_reply_counts_once_and_from_where_the_probe_went() -> None:
    probes = open_probes()
    nonce = probes.open(Path(HERE), 0.0, is_heartbeat=False)
    assert probes.close(nonce, Path(ELSEWHERE), 0.1) is None
    assert probes.close(nonce, Path(HERE, 5), 0.1) is None
    assert probes.close(nonce + 1, Path(HERE), 0.1) is None
    assert probes.close(nonce, Path(HERE), 0.1) is not None
    assert probes.close(nonce, Path(HERE), 0.1) is None


def test_late_reply_does_not_count() -> None:
    probes = open_probes()
    nonce = probes.open(Path(HERE), 0.0, is_heartbeat=True)
    assert probes.close(nonce, Path(HERE), 3.1) is None
    assert [probe.is_heartbeat for probe in probes.expire(3.1)] == [True]


def test_open_probes_are_bounded() -> None:
    probes = open_probes()
    nonces = [probes.open(Path(HERE), 0.0, is_heartbeat=False) for _ in range(300)]
    assert probes.close(nonces[0], Path(HERE), 0.0) is None
    assert len(probes.expire(9.0)) == 256
