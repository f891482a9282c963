"""Control records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.errors import MalformedPacket
from l2mesh.wire.control import (
    MAX_RECORDS_BYTES,
    Ack,
    Chunk,
    Close,
    Probe,
    Record,
    decode_records,
    encode_records,
)
from tests.values import RECORDS


@given(st.lists(RECORDS, max_size=6))
def test_records_round_trip(records: list[Record]) -> None:
    size = sum(record.encoded_len for record in records)
    if size > MAX_RECORDS_BYTES:
        with pytest.raises(MalformedPacket):
            encode_records(records)
        return
    plaintext = encode_records(records)
    assert len(plaintext) == size
    assert decode_records(plaintext) == records


@given(st.binary(max_size=60))
def test_bytes_round_trip_where_they_are_known_records(plaintext: bytes) -> None:
    try:
        records = decode_records(plaintext)
    except MalformedPacket:
        return
    if sum(record.encoded_len for record in records) == len(plaintext):
        assert encode_records(records) == plaintext


def test_no_record_is_allowed() -> None:
    assert encode_records([]) == b""
    assert decode_records(b"") == []


@given(RECORDS)
def test_record_cut_anywhere_is_refused(record: Record) -> None:
    plaintext = encode_records([record])
    shortest = len(plaintext) - len(record.data) if isinstance(record, Chunk) else len(plaintext)
    for size in range(1, shortest):
        with pytest.raises(MalformedPacket):
            decode_records(plaintext[:size])


def test_unknown_type_is_skipped() -> None:
    probe = encode_records([Probe(5)])
    assert decode_records(b"\x7f\0\2ab" + probe + b"\0\0\0") == [Probe(5)]


def test_unknown_reason_is_still_a_close() -> None:
    assert decode_records(encode_records([Close(200)])) == [Close(200)]


def test_records_of_one_shape_differ() -> None:
    records: list[Record] = [Probe(1), Close(1)]
    assert records[0] != records[1]


def test_number_that_does_not_fit_is_refused() -> None:
    with pytest.raises(MalformedPacket):
        encode_records([Ack(2**32, 0)])


@pytest.mark.parametrize("flags", [4, 0x80, -1, 256])
def test_chunk_with_an_unknown_flag_cannot_be(flags: int) -> None:
    with pytest.raises(MalformedPacket):
        Chunk(0, flags, b"")


def test_chunk_that_is_too_long_cannot_be() -> None:
    with pytest.raises(MalformedPacket):
        Chunk(0, 3, bytes(1025))


def test_datagram_of_too_many_records_is_refused() -> None:
    with pytest.raises(MalformedPacket):
        decode_records(bytes(3) * 401)
