"""Giving out receive indices."""

import random

import pytest

from l2mesh.errors import StateError
from l2mesh.session import indices
from l2mesh.session.indices import REST_S, SLOTS, IndexAllocator


def allocator() -> IndexAllocator:
    return IndexAllocator(random.Random(1).randbytes)


def test_each_number_has_a_slot_of_its_own() -> None:
    table = allocator()
    numbers = [table.allocate(0.0) for _ in range(SLOTS)]
    assert len({number & 0xFFFF for number in numbers}) == SLOTS == len(table)
    assert all(0 < number < 1 << 24 for number in numbers)
    with pytest.raises(StateError):
        table.allocate(0.0)


def test_zero_is_never_used() -> None:
    table = IndexAllocator(bytes)
    assert table.allocate(0.0) == 1 << 16


def test_upper_byte_is_random() -> None:
    table = allocator()
    assert len({table.allocate(0.0) >> 16 for _ in range(2000)}) == 256


def test_released_number_rests_while_its_slot_works_on() -> None:
    table = allocator()
    numbers = [table.allocate(0.0) for _ in range(SLOTS)]
    table.release(numbers[5], 10.0)
    again = table.allocate(10.0)
    assert again & 0xFFFF == numbers[5] & 0xFFFF
    assert again != numbers[5]


def test_number_returns_after_its_rest() -> None:
    table = IndexAllocator(bytes)
    for _ in range(SLOTS - 1):
        table.allocate(0.0)
    last = table.allocate(0.0)
    table.release(last, 0.0)
    other = table.allocate(REST_S - 0.1)
    table.release(other, REST_S - 0.1)
    assert other != last
    assert table.allocate(REST_S) == last


def test_all_256_numbers_of_a_slot_may_rest() -> None:
    table = allocator()
    for _ in range(SLOTS - 1):
        table.allocate(0.0)
    seen = set()
    for _ in range(256):
        number = table.allocate(0.0)
        seen.add(number)
        table.release(number, 0.0)
    assert len(seen) == 256
    with pytest.raises(StateError):
        table.allocate(1.0)
    assert table.allocate(REST_S) in seen


def test_numbers_at_rest_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indices, "MAX_RESTING", 3)
    table = allocator()
    for number in [table.allocate(0.0) for _ in range(3)]:
        table.release(number, 0.0)
    with pytest.raises(StateError):
        table.allocate(1.0)
    assert table.allocate(REST_S)


def test_release_of_an_unused_number_changes_nothing() -> None:
    table = allocator()
    number = table.allocate(0.0)
    table.release(number ^ 1 << 20, 0.0)
    table.release(number, 0.0)
    table.release(number, 0.0)
    assert len(table) == 0
