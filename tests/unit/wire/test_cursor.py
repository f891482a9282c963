"""Reading and writing fixed fields."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.errors import MalformedPacket
from l2mesh.wire.cursor import Reader, Writer

WIDTHS = {"u8": 1, "u16": 2, "u24": 3, "u32": 4, "u56": 7, "u64": 8}


@pytest.mark.parametrize("name", WIDTHS)
def test_number_is_big_endian_of_its_width(name: str) -> None:
    value = int.from_bytes(bytes(range(1, WIDTHS[name] + 1)), "big")
    writer = Writer()
    getattr(writer, name)(value)
    assert writer.getvalue() == bytes(range(1, WIDTHS[name] + 1))
    assert getattr(Reader(writer.getvalue()), name)() == value


@pytest.mark.parametrize("name", WIDTHS)
def test_number_that_does_not_fit_is_refused(name: str) -> None:
    for value in (-1, 1 << 8 * WIDTHS[name]):
        with pytest.raises(MalformedPacket):
            getattr(Writer(), name)(value)


@pytest.mark.parametrize("name", WIDTHS)
def test_number_cut_short_is_refused_and_nothing_is_taken(name: str) -> None:
    reader = Reader(bytes(WIDTHS[name] - 1))
    read: Callable[[], int] = getattr(reader, name)
    with pytest.raises(MalformedPacket):
        read()
    assert reader.remaining == WIDTHS[name] - 1


@given(st.binary(), st.integers(-3, 40))
def test_take_gives_so_many_bytes_or_none(data: bytes, size: int) -> None:
    reader = Reader(data)
    if 0 <= size <= len(data):
        assert reader.take(size) == data[:size]
        assert reader.rest() == data[size:]
        reader.done()
    else:
        with pytest.raises(MalformedPacket):
            reader.take(size)


def test_done_refuses_what_is_left() -> None:
    with pytest.raises(MalformedPacket, match="1 bytes"):
        Reader(b"a").done()


def test_writer_counts_and_puts_bytes_as_they_are() -> None:
    writer = Writer()
    writer.put(b"abc")
    writer.u8(0)
    assert len(writer) == 4
    assert writer.getvalue() == b"abc\0"
