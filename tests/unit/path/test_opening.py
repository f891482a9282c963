"""Openers: which candidates get one first, and when PROBEs follow."""

from random import Random

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.candidate import Kind
from l2mesh.path.outputs import SendOpener, SendProbe, TellAgain
from l2mesh.path.paths import PathSet
from l2mesh.path.probe import ProbeLimiter

HOME = Endpoint("192.168.1.2", 9993)
OUTSIDE = Endpoint("198.51.100.7", 9993)
IPV6 = Endpoint("2001:db8::7", 9993)
START = 10.0


def live() -> PathSet:
    paths = PathSet(random=Random(1).randbytes, limiter=ProbeLimiter())
    paths.session_live(START)
    return paths


def said(paths: PathSet) -> tuple[list[Endpoint], list[Endpoint]]:
    """Where openers and where PROBEs went."""
    openers, probes = [], []
    while (output := paths.poll_output()) is not None:
        if isinstance(output, SendOpener):
            openers.append(output.endpoint)
        elif isinstance(output, SendProbe):
            probes.append(output.path.endpoint)
    return openers, probes


def test_only_a_public_ipv4_address_of_a_peer_behind_a_nat_is_opened_to_first() -> None:
    paths = live()
    paths.add_candidates([HOME, OUTSIDE, IPV6], Kind.TOLD, START, opens=True)
    assert said(paths) == ([OUTSIDE], [HOME, IPV6])


def test_peer_that_has_no_private_address_is_probed_at_once() -> None:
    paths = live()
    paths.add_candidates([OUTSIDE, IPV6], Kind.TOLD, START, opens=True)
    assert said(paths) == ([], [OUTSIDE, IPV6])


def test_peer_that_has_begun_is_probed_at_once() -> None:
    paths = live()
    paths.add_candidates([HOME, OUTSIDE], Kind.TOLD, START)
    assert said(paths) == ([], [HOME, OUTSIDE])


def test_probes_follow_when_the_peer_begins_and_keep_to_the_schedule() -> None:
    paths = live()
    paths.add_candidates([HOME, OUTSIDE], Kind.TOLD, START, opens=True)
    said(paths)
    paths.handle_timeout(START + 0.2)
    assert said(paths) == ([], [HOME])
    paths.peer_begins(START + 0.25)
    assert said(paths) == ([], [OUTSIDE])
    paths.peer_begins(START + 0.26)
    assert said(paths) == ([], [])
    paths.handle_timeout(START + 0.46)
    assert OUTSIDE in said(paths)[1]


def test_probes_follow_after_a_second_in_any_case() -> None:
    paths = live()
    paths.add_candidates([HOME, OUTSIDE], Kind.TOLD, START, opens=True)
    said(paths)
    paths.handle_timeout(START + 0.99)
    assert OUTSIDE not in said(paths)[1]
    paths.handle_timeout(START + 1.0)
    assert said(paths) == ([], [HOME, OUTSIDE])


def test_probe_of_the_peer_is_answered_by_one_at_once() -> None:
    paths = live()
    paths.add_candidates([HOME, OUTSIDE], Kind.TOLD, START, opens=True)
    said(paths)
    paths.receive_probe(Path(OUTSIDE), START + 0.03)
    assert said(paths) == ([], [OUTSIDE])


def test_a_round_with_an_opener_is_no_longer_than_one_without() -> None:
    """Both are at most eight datagrams to an endpoint that does not answer."""
    paths = live()
    paths.add_candidates([HOME, OUTSIDE], Kind.TOLD, START, opens=True)
    openers, probes = said(paths)
    for step in range(1, 40):
        if step == 2:
            paths.peer_begins(START + 0.15)
        paths.handle_timeout(START + step / 10)
        probes += said(paths)[1]
    assert openers == [OUTSIDE] and probes.count(OUTSIDE) == 7


def tells(paths: PathSet) -> list[type]:
    """Openers, and the wish to tell the peer again, in order."""
    found = []
    while (output := paths.poll_output()) is not None:
        found.append(type(output))
    return [each for each in found if each in {SendOpener, TellAgain}]


def test_round_by_the_clock_asks_the_peer_to_begin_behind_the_openers() -> None:
    paths = live()
    paths.add_candidates([HOME, OUTSIDE], Kind.TOLD, START, opens=True)
    assert tells(paths) == [SendOpener]
    for second in range(1, 8):
        paths.handle_timeout(START + second)
    assert tells(paths) == []
    paths.handle_timeout(START + 8.0)
    assert tells(paths) == [SendOpener, TellAgain]


def test_nobody_is_told_again_where_nothing_is_opened() -> None:
    paths = live()
    paths.add_candidates([OUTSIDE, IPV6], Kind.TOLD, START, opens=True)
    paths.handle_timeout(START + 8.0)
    assert tells(paths) == []


def test_round_that_the_peer_began_stands_for_the_next_one_of_ours() -> None:
    paths = live()
    paths.add_candidates([HOME, OUTSIDE], Kind.TOLD, START)
    assert paths.retry_at == START + 3.0 + 5.0
    paths.add_candidates([HOME, OUTSIDE], Kind.TOLD, START + 7.0)
    assert paths.retry_at == START + 7.0 + 3.0 + 10.0
