"""PROBEs that somebody waits for."""

from itertools import count

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.node.pings import MAX_PINGS, Pings

PATH = Path(Endpoint("192.0.2.1", 9993))


def pings() -> Pings:
    numbers = count(1)
    return Pings(lambda size: next(numbers).to_bytes(size, "big"))


def test_the_first_answer_counts_and_is_taken_once() -> None:
    table = pings()
    nonce = table.open(1.0)
    assert table.take(nonce) is None
    assert table.answer(nonce, PATH, None, 1.5)
    assert table.answer(nonce, Path(PATH.endpoint, 7), PATH.endpoint, 9.0)
    ping = table.take(nonce)
    assert ping is not None and (ping.rtt_s, ping.path, ping.observed) == (0.5, PATH, None)
    assert table.take(nonce) is None
    assert not table.answer(nonce, PATH, None, 2.0)


def test_the_oldest_is_forgotten_when_there_are_too_many() -> None:
    table = pings()
    first = table.open(0.0)
    second = table.open(0.0)
    for _ in range(MAX_PINGS - 1):
        table.open(1.0)
    assert not table.answer(first, PATH, None, 2.0)
    assert table.answer(second, PATH, None, 2.0)
