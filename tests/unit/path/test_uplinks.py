"""Paths over several uplinks: which are tried, which is used, how the peer is led."""

from itertools import pairwise

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.candidate import Candidate, CandidateTable, Kind
from l2mesh.path.heartbeat import Heartbeat
from l2mesh.path.outputs import PathChanged, SendProbe
from l2mesh.path.paths import PathSet
from l2mesh.path.patience import drop_silent
from l2mesh.path.probe import ProbeLimiter
from l2mesh.path.steering import PAUSE_S, SILENCE_S, STAYS_S, Steering

FIRST = Path(Endpoint("192.0.2.1", 1))
SECOND = Path(Endpoint("192.0.2.1", 1, 7))
THIRD = Path(Endpoint("192.0.2.3", 1, 7))
RELAY = Path(Endpoint("192.0.2.9", 9), 5)


def machine(*named: int) -> PathSet:
    numbers = iter(range(1, 10000))
    paths = PathSet(random=lambda size: next(numbers).to_bytes(size, "big"), limiter=ProbeLimiter())
    paths.session_live(0.0)
    paths.set_uplinks(named, 0.0)
    return paths


def outputs(paths: PathSet) -> list[object]:
    found: list[object] = []
    while (output := paths.poll_output()) is not None:
        found.append(output)
    return found


def answer(paths: PathSet, now: float, *ways: Path) -> None:
    """Answer what is asked by these ways."""
    for output in outputs(paths):
        if isinstance(output, SendProbe) and output.path in ways:
            paths.receive_reply(output.nonce, output.path, now)


def probed(paths: PathSet) -> set[Path]:
    return {each.path for each in outputs(paths) if isinstance(each, SendProbe)}


def test_with_one_uplink_there_is_one_path_to_an_endpoint() -> None:
    paths = machine()
    paths.add_candidates([FIRST.endpoint], Kind.TOLD, 0.0)
    assert probed(paths) == {FIRST}


def test_each_endpoint_is_tried_over_every_uplink() -> None:
    paths = machine(7, 8)
    paths.add_candidates([FIRST.endpoint], Kind.TOLD, 0.0)
    third = Path(FIRST.endpoint._replace(uplink=8))
    assert probed(paths) == {FIRST, SECOND, third}
    paths.add_candidates([RELAY.endpoint], Kind.LAN, 0.0)
    assert probed(paths) == {Path(RELAY.endpoint)}


def test_the_bounds_hold_for_each_of_at_most_four_uplinks() -> None:
    paths = machine(1, 2, 3, 4, 5)
    endpoints = [Endpoint("192.0.2.1", port) for port in range(1, 100)]
    paths.add_candidates(endpoints, Kind.TOLD, 0.0)
    assert len(paths.candidates) == 8 * 4


def test_a_new_uplink_is_tried_at_once_and_one_that_is_gone_is_left_at_once() -> None:
    paths = machine()
    paths.add_candidates([FIRST.endpoint], Kind.TOLD, 0.0)
    answer(paths, 0.1, FIRST)
    paths.set_uplinks((7,), 1.0)
    answer(paths, 1.1, SECOND)
    assert paths.active == FIRST
    paths.set_uplinks((7,), 2.0, lost=True)
    assert paths.active == SECOND
    assert PathChanged(SECOND, 1472) in outputs(paths)
    paths.add_relay(RELAY, 2.5)
    paths.set_uplinks((), 3.0)
    assert paths.active == RELAY
    assert SECOND not in [each.path for each in paths.candidates]


def test_the_hosts_own_choice_stays_in_use_when_no_other_uplink_works() -> None:
    paths = machine(7)
    paths.add_candidates([FIRST.endpoint], Kind.TOLD, 0.0)
    answer(paths, 0.1, FIRST)
    paths.set_uplinks((7,), 1.0, lost=True)
    assert paths.active == FIRST
    assert FIRST in probed(paths)


def test_what_a_peer_names_again_is_tried_again_unless_it_works() -> None:
    paths = machine()
    dead = Endpoint("192.0.2.2", 2)
    paths.add_candidates([FIRST.endpoint, dead], Kind.TOLD, 0.0)
    answer(paths, 0.1, FIRST)
    paths.add_candidates([FIRST.endpoint, dead], Kind.TOLD, 20.0)
    assert probed(paths) == {Path(dead)}


def test_losses_of_an_outage_do_not_count_once_a_path_works_again() -> None:
    candidate = Candidate(FIRST, Kind.TOLD, 0.0)
    candidate.answer(1.0, 0.01)
    for _ in range(10):
        candidate.unanswered(2.0)
    assert candidate.loss > 0.2
    candidate.usable = False
    candidate.unanswered(3.0)
    candidate.answer(10.0, 0.01)
    candidate.unanswered(9.0)
    assert candidate.loss == 0.0
    candidate.unanswered(11.0)
    assert candidate.loss > 0.0


# --- steering -----------------------------------------------------------------------------------


def candidates() -> tuple[Candidate, Candidate]:
    table = CandidateTable()
    used, other = table.add(FIRST, Kind.TOLD, 0.0), table.add(SECOND, Kind.TOLD, 0.0)
    assert used is not None and other is not None
    return used, other


def seen_until(steering: Steering, until: float, *, answers: bool = True) -> float:
    """When a peer that comes by the other uplink first meets silence; infinite if it does not."""
    used, other = candidates()
    for now in range(int(until)):
        used.answered_at = now if answers else -100.0
        steering.note(other, used, float(now))
        if steering.is_silent(SECOND, FIRST, float(now)):
            return float(now)
    return float("inf")


def test_a_peer_that_stays_on_another_uplink_meets_silence_there_alone() -> None:
    steering = Steering()
    at = seen_until(steering, 30)
    assert at == STAYS_S
    assert not steering.is_silent(FIRST, FIRST, at)
    assert not steering.is_silent(SECOND, SECOND, at)
    assert not steering.is_silent(SECOND, FIRST, at + SILENCE_S)


def test_each_further_attempt_waits_twice_as_long() -> None:
    steering = Steering()
    used, other = candidates()
    starts, was_silent = [], False
    for step in range(4000):
        now = step / 2
        used.answered_at = now
        steering.note(other, used, now)
        is_silent = steering.is_silent(SECOND, FIRST, now)
        if is_silent and not was_silent:
            starts.append(now)
        was_silent = is_silent
    pauses = [after - before for before, after in pairwise(starts)]
    assert pauses[:3] == [SILENCE_S + PAUSE_S, SILENCE_S + 2 * PAUSE_S, SILENCE_S + 4 * PAUSE_S]


def test_nobody_is_led_to_a_path_that_does_not_answer() -> None:
    assert seen_until(Steering(), 30, answers=False) == float("inf")


def test_a_peer_that_is_seen_there_now_and_then_is_left_alone() -> None:
    steering = Steering()
    used, other = candidates()
    for now in range(0, 300, 5):
        used.answered_at = float(now)
        steering.note(other, used, float(now))
        assert not steering.is_silent(SECOND, FIRST, float(now))


def test_what_comes_over_another_uplink_is_no_sign_of_life_of_the_path_in_use() -> None:
    """The peer looks for a way as well: its PROBE, and the answer to ours, come beside."""
    paths = machine(7)
    paths.add_candidates([FIRST.endpoint], Kind.TOLD, 0.0)
    answer(paths, 0.01, FIRST, SECOND)
    assert paths.active == FIRST
    heard = 9.9
    for step in range(5):
        now = 10.0 + step * 0.15
        paths.note_activity(now, heard, now, now)
        paths.handle_timeout(now)
        if step == 1:  # the others are asked
            paths.receive_probe(SECOND, now + 0.01)
            heard = now + 0.01
        answer(paths, now + 0.01, SECOND)
    assert paths.active == SECOND


def test_an_answer_from_before_the_others_were_asked_tells_nothing_of_them() -> None:
    table, heartbeat = CandidateTable(), Heartbeat()
    stale, fresh = (table.add(path, Kind.TOLD, 0.0) for path in (SECOND, THIRD))
    assert stale is not None and fresh is not None
    heartbeat.beat(10.0)
    stale.answer(10.01, 0.01)
    heartbeat.beat(10.15)
    fresh.answer(10.2, 0.05)
    drop_silent(heartbeat, table, 10.3)
    assert (stale.usable, fresh.usable) == (False, True)


def test_without_any_answer_the_relay_goes_before_who_has_been_silent_for_long() -> None:
    table, heartbeat = CandidateTable(), Heartbeat()
    old, young = (table.add(path, Kind.TOLD, 0.0) for path in (SECOND, THIRD))
    assert old is not None and young is not None
    old.answer(1.0, 0.01)
    young.answer(8.0, 0.01)
    heartbeat.beat(10.0)
    heartbeat.beat(10.15)
    drop_silent(heartbeat, table, 10.3)
    assert old.usable and young.usable
    table.add(RELAY, Kind.RELAY, 10.0)
    drop_silent(heartbeat, table, 10.3)
    assert (old.usable, young.usable) == (False, True)
