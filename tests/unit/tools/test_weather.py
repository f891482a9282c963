"""One direction of a slow, lossy line, without a clock."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tools.lab import weather
from tools.lab.weather import Queue, Weather


def queue(delay_s: float = 0.0, loss: float = 0.0, hurried: float = 0.0) -> Queue:
    kind = Weather(delay_s=delay_s, loss=loss, hurried=hurried)
    return Queue(kind, random.Random(1))


def test_clear_weather_passes_all_at_once_in_order() -> None:
    line = queue()
    for number in range(10):
        line.offer(bytes([number]), 0.0)
    assert [frame[0] for frame in line.due(0.0)] == list(range(10))
    assert (line.next_at(), line.size) == (None, 0)


def test_frames_arrive_when_they_are_due() -> None:
    line = queue(delay_s=0.2)
    line.offer(b"a", 1.0)
    assert line.next_at() == 1.2
    assert list(line.due(1.1)) == []
    assert list(line.due(1.2)) == [b"a"]


def test_hurried_frames_overtake() -> None:
    line = queue(delay_s=1.0, hurried=0.5)
    for number in range(100):
        line.offer(bytes([number]), number / 1000)
    found = [frame[0] for frame in line.due(9.0)]
    assert sorted(found) == list(range(100)) != found


def test_share_of_frames_is_lost() -> None:
    line = queue(loss=0.3)
    for _ in range(1_000):
        line.offer(b"x", 0.0)
    assert 640 < len(list(line.due(0.0))) < 760  # four standard deviations; the seed is fixed
    line = queue(loss=1.0)
    line.offer(b"x", 0.0)
    assert list(line.due(0.0)) == []


@given(st.lists(st.integers(0, 65_536), max_size=300))
def test_line_holds_no_more_than_it_may(lengths: list[int]) -> None:
    line = queue(delay_s=1.0)
    for length in lengths:
        line.offer(bytes(length), 0.0)
    assert line.size <= weather.MAX_BYTES
    assert sum(map(len, line.due(1.0))) <= weather.MAX_BYTES
    assert line.size == 0


def test_line_holds_no_more_frames_than_it_may() -> None:
    line = queue(delay_s=1.0)
    for _ in range(weather.MAX_FRAMES + 5):
        line.offer(b"", 0.0)
    assert len(list(line.due(1.0))) == weather.MAX_FRAMES


def test_program_gets_the_weather_as_arguments() -> None:
    words = Weather(delay_s=0.25, loss=0.5, seed=7).arguments()
    assert words == ["--delay_s=0.25", "--jitter_s=0.0", "--loss=0.5", "--hurried=0.0", "--seed=7"]
