from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.answers import BURST, HOST_BURST, HOST_RATE, PEER_BURST, PEER_RATE, AnswerLimiter
from l2mesh.path.asking import PROVEN_S
from l2mesh.path.outputs import SendProbe
from l2mesh.path.paths import PathSet
from l2mesh.path.probe import SCHEDULE_S, ProbeLimiter

START = 1000.0

HERE = Endpoint("192.0.2.1", 9993)


def peer(limiter: ProbeLimiter | None = None) -> PathSet:
    """The paths to somebody with whom there is a session."""
    numbers = iter(range(1, 10_000))
    paths = PathSet(
        random=lambda size: next(numbers).to_bytes(size, "big"), limiter=limiter or ProbeLimiter()
    )
    paths.session_live(START)
    return paths


def test_four_rounds_of_probes_are_answered_at_once_and_then_four_a_second() -> None:
    paths = peer()
    assert 4 * len(SCHEDULE_S) == PEER_BURST
    asked = [paths.may_answer(Path(HERE), START) for _ in range(1000)]
    assert sum(asked) == PEER_BURST
    later = [paths.may_answer(Path(HERE), START + at / 100) for at in range(1000)]
    assert sum(later) == int(9.99 * PEER_RATE)


def test_who_has_answered_is_answered_without_limit_for_a_minute() -> None:
    paths = peer()
    paths.receive_probe(Path(HERE), START)
    (sent,) = [each for each in iter(paths.poll_output, None) if isinstance(each, SendProbe)]
    assert paths.receive_reply(sent.nonce, Path(HERE), START)
    assert all(paths.may_answer(Path(HERE), START + PROVEN_S - 1) for _ in range(1000))
    other_port = Path(Endpoint(HERE.host, 7))
    assert sum(paths.may_answer(other_port, START) for _ in range(1000)) == PEER_BURST
    late = START + PROVEN_S + 1
    assert sum(paths.may_answer(Path(HERE), late) for _ in range(1000)) == PEER_BURST


def test_relays_are_not_limited_since_no_source_can_be_made_up_there() -> None:
    paths = peer()
    assert all(paths.may_answer(Path(HERE, 7), START) for _ in range(1000))


def test_all_peers_together_cause_a_host_so_many() -> None:
    limiter = ProbeLimiter()
    peers = [peer(limiter) for _ in range(20)]
    ports = [Path(Endpoint(HERE.host, port)) for port in range(1, 33)]
    answered = sum(each.may_answer(port, START) for each in peers for port in ports)
    assert answered == HOST_BURST
    network = [Endpoint(f"2001:db8::{number:x}", 9993) for number in range(1, 1000)]
    answers = AnswerLimiter()
    assert sum(answers.allow(each, START) for each in network) == HOST_BURST
    assert sum(answers.allow(each, START + 1) for each in network) == HOST_RATE


def test_everybody_together_causes_so_many() -> None:
    answers = AnswerLimiter()
    crowd = [Endpoint(f"10.{number >> 8}.{number & 255}.1", 9) for number in range(4000)]
    assert sum(answers.allow(each, START) for each in crowd) == BURST
