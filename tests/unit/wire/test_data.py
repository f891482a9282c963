"""DATA headers and pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.errors import MalformedPacket
from l2mesh.wire.data import (
    ALLOWED_FLAGS,
    OVERHEAD,
    Flag,
    Piece,
    decode_header,
    decode_piece,
    encode_header,
    encode_piece,
)
from tests.values import U32


@given(st.integers(0, 0x7F), st.integers(0, 2**24 - 1), U32)
def test_header_round_trips(flags: int, index: int, counter: int) -> None:
    header = encode_header(flags, index, counter)
    assert len(header) == 8
    assert decode_header(header + bytes(16)) == (flags, index, counter)


@given(
    st.binary(min_size=OVERHEAD, max_size=40).map(lambda data: bytes([data[0] | 0x80]) + data[1:])
)
def test_bytes_round_trip(datagram: bytes) -> None:
    assert encode_header(*decode_header(datagram)) == datagram[:8]


def test_header_has_its_layout() -> None:
    assert encode_header(Flag.FRAG, 0x010203, 0x04050607).hex() == "8201020304050607"


@pytest.mark.parametrize(
    ("flags", "index", "counter"), [(0x80, 1, 1), (-1, 1, 1), (0, 2**24, 1), (0, 1, 2**32)]
)
def test_number_that_does_not_fit_is_refused(flags: int, index: int, counter: int) -> None:
    with pytest.raises(MalformedPacket):
        encode_header(flags, index, counter)


def test_datagram_below_24_bytes_is_refused() -> None:
    for size in range(OVERHEAD):
        with pytest.raises(MalformedPacket):
            decode_header(b"\x80" * size)


def test_other_first_byte_is_refused() -> None:
    for first in range(0x80):
        with pytest.raises(MalformedPacket):
            decode_header(bytes([first]) + bytes(30))


def test_flags_that_may_stand_together() -> None:
    frame = Flag.CONT | Flag.CSUM | Flag.ELIDED
    expected = {
        flags for flags in range(0x80) if flags in (1, 2, 0x20, 0x22) or flags & ~int(frame) == 0
    }
    assert expected == ALLOWED_FLAGS


PIECES = st.integers(15, 65535).flatmap(
    lambda total: st.integers(0, total - 1).flatmap(
        lambda offset: st.builds(
            Piece,
            U32,
            st.just(offset),
            st.just(total),
            st.binary(min_size=1, max_size=min(64, total - offset)),
        )
    )
)


@given(PIECES)
def test_piece_round_trips(piece: Piece) -> None:
    assert decode_piece(encode_piece(piece)) == piece


@given(st.binary(max_size=40))
def test_bytes_round_trip_where_they_are_a_piece(plaintext: bytes) -> None:
    try:
        piece = decode_piece(plaintext)
    except MalformedPacket:
        return
    assert encode_piece(piece) == plaintext


@pytest.mark.parametrize(
    "piece",
    [
        Piece(0, 0, 14, b"a"),
        Piece(0, 0, 65536, b"a"),
        Piece(0, 0, 100, b""),
        Piece(0, 100, 100, b"a"),
        Piece(0, 99, 100, b"ab"),
        Piece(0, -1, 100, b"a"),
        Piece(2**32, 0, 100, b"a"),
    ],
    ids=["runt", "giant", "empty", "behind", "beyond", "before", "id"],
)
def test_piece_outside_its_frame_is_refused(piece: Piece) -> None:
    with pytest.raises(MalformedPacket):
        encode_piece(piece)


def test_piece_without_its_head_is_refused() -> None:
    for size in range(9):
        with pytest.raises(MalformedPacket):
            decode_piece((bytes(6) + b"\0\x0fa")[:size])
