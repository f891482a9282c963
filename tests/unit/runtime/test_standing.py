"""The law of marks and drops, ten times slower than the native engine's: a tick is 1 ms there."""

from collections import Counter
from typing import Final

from l2mesh.datapath.interface import GSO_TCP4, GSO_UDP, Offload
from l2mesh.runtime.standing import Standing

TCP: Final = Offload(GSO_TCP4, 1448, 34, 16, needs_csum=True)
UDP: Final = Offload(GSO_UDP, 1400, 34, 6, needs_csum=True)
NOT_ECT: Final = 0b00
ECT: Final = 0b10
CE: Final = 0b11
TICK_S: Final = 0.010001


def frame(ecn: int) -> bytes:
    return bytes(12) + bytes([0x08, 0x00, 0x45, ecn]) + bytes(38)


class Queue:
    """From which a super-frame is read each tick."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.standing = Standing(self.counters)
        self.marks: list[int] = []
        self.drops: list[int] = []

    def play(self, ecn: int, begin: int, end: int) -> "Queue":
        self.marks, self.drops = [], []
        before = self.counters.copy()
        for tick in range(begin, end):
            passed = self.standing.pass_on(frame(ecn), TCP, 1000 + tick * TICK_S)
            if passed is None:
                self.drops.append(tick)
            elif passed != frame(ecn):
                assert passed[15] == CE
                self.marks.append(tick)
        seen = self.counters - before
        assert seen["congestion_marks"] == len(self.marks)
        assert seen["congestion_drops"] == len(self.drops)
        return self


def test_a_queue_that_is_emptied_is_left_alone() -> None:
    queue = Queue()
    for start in range(0, 1000, 19):
        queue.play(ECT, start, start + 19)
        assert (queue.marks, queue.drops) == ([], [])
        queue.standing.emptied()


def test_one_that_stands_is_marked_ever_sooner() -> None:
    queue = Queue().play(ECT, 0, 98)
    # 20 ticks, then 20, 14.1, 11.5, 10, 8.9 and 8.2 more
    assert queue.marks == [20, 40, 55, 66, 76, 85, 93]
    assert queue.drops == []


def test_who_takes_no_marks_loses_a_super_frame_later() -> None:
    queue = Queue().play(NOT_ECT, 0, 350)
    assert queue.marks == []
    assert queue.drops == [100, 200, 271, 329]


def test_a_row_that_begins_again_goes_on_at_its_pace() -> None:
    queue = Queue().play(ECT, 0, 98)
    queue.standing.emptied()
    # count 7 - 2 + 1 after one interval: then 8.2 ticks
    assert queue.play(ECT, 100, 130).marks == [120, 129]
    queue.standing.emptied()
    assert queue.play(ECT, 1000, 1035).marks == [1020]


def test_a_queue_that_nobody_had_to_read_was_empty() -> None:
    queue = Queue()
    for start in range(0, 1000, 40):
        queue.play(ECT, start, start + 19)
        assert (queue.marks, queue.drops) == ([], [])


def test_what_is_no_bulk_of_tcp_passes() -> None:
    queue = Queue()
    for tick in range(1000):
        for offload in (None, Offload(), UDP):
            passed = queue.standing.pass_on(frame(ECT), offload, tick / 100)
            assert passed == frame(ECT)
    assert not queue.counters
