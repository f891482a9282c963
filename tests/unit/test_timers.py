"""The table of deadlines."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from l2mesh.timers import TimerTable

TIMES = st.floats(0, 100, allow_nan=False)


def test_due_timers_come_by_deadline_then_in_the_order_set() -> None:
    table = TimerTable[str]()
    for key, deadline in (("c", 2.0), ("b", 1.0), ("a", 1.0), ("d", 3.0)):
        table.set(key, deadline)
    assert table.pop_due(2.0) == ["b", "a", "c"]
    assert table.pop_due(2.0) == []
    assert table.next() == 3.0


def test_keys_need_no_order() -> None:
    table = TimerTable[object]()
    for key in (object(), 5, "a", None):
        table.set(key, 1.0)
    assert len(table.pop_due(1.0)) == 4


def test_deadline_can_be_moved_both_ways() -> None:
    table = TimerTable[str]()
    table.set("a", 5.0)
    table.set("a", 1.0)
    assert table.pop_due(1.0) == ["a"]
    table.set("a", 1.0)
    table.set("a", 5.0)
    assert table.pop_due(4.9) == []
    assert table.deadline("a") == table.next() == 5.0


def test_cancelled_timer_is_never_due() -> None:
    table = TimerTable[str]()
    table.set("a", 1.0)
    table.cancel("a")
    table.cancel("a")
    assert table.next() is None
    assert table.pop_due(9.0) == []
    assert "a" not in table


def test_timer_may_be_set_again_at_the_time_at_which_it_was_cancelled() -> None:
    table = TimerTable[str]()
    table.set("a", 1.0)
    table.cancel("a")
    table.set("a", 1.0)
    assert table.pop_due(1.0) == ["a"]


@given(st.lists(st.tuples(st.integers(0, 9), TIMES, st.booleans()), max_size=2000))
def test_garbage_is_bounded(steps: list[tuple[int, float, bool]]) -> None:
    table = TimerTable[int]()
    for key, deadline, is_kept in steps:
        table.set(key, deadline)
        if not is_kept:
            table.cancel(key)
        assert len(table._heap) <= 2 * len(table) + 64


class AgainstADict(RuleBasedStateMachine):
    """The table does what a plain dict with a linear search does."""

    def __init__(self) -> None:
        super().__init__()
        self.table = TimerTable[int]()
        self.model: dict[int, float] = {}

    @rule(key=st.integers(0, 5), deadline=TIMES)
    def set(self, key: int, deadline: float) -> None:
        self.table.set(key, deadline)
        self.model[key] = deadline

    @rule(key=st.integers(0, 5))
    def cancel(self, key: int) -> None:
        self.table.cancel(key)
        self.model.pop(key, None)

    @rule(now=TIMES)
    def pop(self, now: float) -> None:
        due = self.table.pop_due(now)
        expected = [key for key, deadline in self.model.items() if deadline <= now]
        assert sorted(due) == sorted(expected)
        deadlines = [self.model.pop(key) for key in due]
        assert deadlines == sorted(deadlines)

    @invariant()
    def agrees(self) -> None:
        assert self.table.next() == min(self.model.values(), default=None)
        assert len(self.table) == len(self.model)
        assert all(key in self.table for key in self.model)


TestAgainstADict: Any = AgainstADict.TestCase
