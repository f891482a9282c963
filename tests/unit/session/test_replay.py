"""The replay window against a plain set, and its edges by name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2mesh.errors import StateError
from l2mesh.session.replay import WINDOW, ReplayWindow

TOP = 2**32 - 1


class Oracle:
    """The same by definition: every counter ever committed, in a set."""

    def __init__(self) -> None:
        self.highest = -1
        self.seen: set[int] = set()

    def check(self, counter: int) -> bool:
        return counter not in self.seen and counter > self.highest - WINDOW

    def commit(self, counter: int) -> None:
        self.seen.add(counter)
        self.highest = max(self.highest, counter)


def accept(window: ReplayWindow, counter: int) -> bool:
    """What the engine does with an authentic packet."""
    if not window.check(counter):
        return False
    window.commit(counter)
    return True


def near_and_far(highest: int, depth: int) -> list[int]:
    """Counters down to `depth` below the highest: all at both ends of the window, some between."""
    edges = (highest - depth, highest - WINDOW - 3, highest - 300)
    near = [counter for edge in edges for counter in range(edge, edge + 303)]
    between = range(highest - depth, highest, 61)
    return [counter for counter in (*near, *between) if 0 <= counter <= TOP]


steps = st.one_of(
    st.just(1),
    st.integers(-40, 40),
    st.integers(-WINDOW - 3, -WINDOW + 3),
    st.integers(WINDOW - 3, WINDOW + 3),
    st.integers(-2 * WINDOW, 3 * WINDOW),
)
starts = st.one_of(st.integers(0, 200), st.integers(0, TOP), st.integers(TOP - 200, TOP))


@given(start=starts, moves=st.lists(steps, min_size=1, max_size=200))
def test_window_agrees_with_a_set(start: int, moves: list[int]) -> None:
    window, oracle = ReplayWindow(), Oracle()
    counter = start
    for move in [0, *moves]:
        # around the highest so far, so that the walk cannot leave the window for good
        counter = min(max((counter if move == 1 else oracle.highest) + move, 0), TOP)
        expected = oracle.check(counter)
        assert window.check(counter) is expected
        if expected:
            window.commit(counter)
            oracle.commit(counter)
        assert window.highest == oracle.highest
    for late in near_and_far(oracle.highest, WINDOW + 2):
        assert window.check(late) is oracle.check(late)


@given(st.permutations(list(range(100))))
def test_any_order_is_accepted_once(order: list[int]) -> None:
    window = ReplayWindow()
    assert all(accept(window, counter) for counter in order)
    assert not any(accept(window, counter) for counter in order)


def test_counter_zero_is_good_once() -> None:
    window = ReplayWindow()
    assert accept(window, 0)
    assert not accept(window, 0)


def test_edge_of_the_window_is_exact() -> None:
    window = ReplayWindow()
    assert accept(window, WINDOW)
    assert accept(window, 1), "one less than the window below the highest can still come late"
    assert not accept(window, 0), "the window below the highest cannot"


def test_nothing_old_returns_after_several_laps() -> None:
    window = ReplayWindow()
    assert all(accept(window, counter) for counter in range(3 * WINDOW))
    assert not any(window.check(counter) for counter in range(3 * WINDOW))


def test_skipped_counters_can_come_late_on_every_lap() -> None:
    window = ReplayWindow()
    for counter in range(0, 4 * WINDOW, 7):
        assert accept(window, counter)
        late = counter - 3
        assert late < 0 or accept(window, late)
        assert late < 0 or not accept(window, late)


@pytest.mark.parametrize("jump", [WINDOW - 1, WINDOW, WINDOW + 1, 10 * WINDOW, TOP - 1])
def test_jump_forgets_what_left_the_window(jump: int) -> None:
    window = ReplayWindow()
    assert all(accept(window, counter) for counter in range(2))
    assert accept(window, jump)
    assert window.check(1) is False
    assert window.check(jump - 1) is (jump > 2)
    assert not window.check(jump)


def test_last_counter_is_accepted() -> None:
    window = ReplayWindow()
    assert accept(window, TOP)
    assert not accept(window, TOP)
    assert accept(window, TOP - WINDOW + 1)
    assert not window.check(TOP - WINDOW)


def test_check_alone_changes_nothing() -> None:
    """Forged packets are checked and never committed."""
    window = ReplayWindow()
    assert accept(window, 5)
    for forged in (0, 6, 9000, TOP):
        assert window.check(forged)
        assert window.check(forged)
    assert window.highest == 5
    assert accept(window, 6)


@pytest.mark.parametrize("counter", [50_000, 49_990, 50_000 - WINDOW, 0])
def test_commit_refuses_what_check_refuses(counter: int) -> None:
    """Two packets of one batch may be checked together and hold the same counter."""
    window = ReplayWindow()
    window.commit(49_990)
    window.commit(50_000)
    with pytest.raises(StateError):
        window.commit(counter)
    assert window.highest == 50_000
    assert accept(window, 49_991)


def test_memory_is_bounded() -> None:
    window = ReplayWindow()
    for counter in (0, 63, 64, 65, WINDOW - 1, WINDOW, 100_000, TOP):
        accept(window, counter)
        assert len(window._seen) <= WINDOW
    assert len(ReplayWindow()._seen) == 64


@settings(max_examples=25)
@given(st.lists(st.integers(0, 3000), max_size=12), st.integers(0, 80_000))
def test_counters_that_follow_are_recorded_at_once_as_one_by_one(
    counts: list[int], first: int
) -> None:
    ours, theirs = ReplayWindow(), ReplayWindow()
    for window in (ours, theirs):
        window.commit(first)
    for count in [*counts, WINDOW]:
        start = ours.highest + 1
        ours.commit_next(count)
        for counter in range(start, start + count):
            theirs.commit(counter)
        assert ours.highest == theirs.highest
        below = near_and_far(ours.highest, 2 * WINDOW)
        assert [ours.check(each) for each in below] == [theirs.check(each) for each in below]
        for window in (ours, theirs):
            window.commit(window.highest + 7)
