"""MessagePack with limits; msgspec's own codec is the oracle for what may pass."""

import math
from time import process_time
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.errors import MalformedPacket
from l2mesh.wire.body import MAX_BODY_BYTES, MAX_VALUES, pack, pack_value, unpack, unpack_value


class Sample(msgspec.Struct, frozen=True):
    """A body with one key that must be and one that may be."""

    number: int
    text: str = ""


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**64 - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@given(VALUES)
def test_values_round_trip_to_depth_8(value: Any) -> None:
    if _depth(value) > 8:
        with pytest.raises(MalformedPacket):
            pack_value(value)
        return
    assert unpack_value(pack_value(value)) == value
    assert msgspec.msgpack.decode(pack_value(value)) == value


@given(st.binary(max_size=40))
def test_what_passes_is_what_another_decoder_reads(data: bytes) -> None:
    try:
        value = unpack_value(data)
    except MalformedPacket:
        return
    assert msgspec.msgpack.decode(data) == value


def test_struct_is_a_map_in_the_order_of_its_fields() -> None:
    assert pack(Sample(1, "a")) == b"\x82\xa6number\x01\xa4text\xa1a"
    assert unpack(b"\x82\xa4text\xa1a\xa6number\x01", Sample) == Sample(1, "a")


def test_absent_key_has_its_default_and_unknown_key_is_skipped() -> None:
    assert unpack(pack_value({"number": 1, "other": [1]}), Sample) == Sample(1)


def test_numbers_may_be_wider_than_they_need_be() -> None:
    for head in (b"\xcc", b"\xcd\0", b"\xce\0\0\0", b"\xd0", b"\xd1\0", b"\xd3" + bytes(7)):
        assert unpack(b"\x81\xa6number" + head + b"\x05", Sample) == Sample(5)


@pytest.mark.parametrize(
    "value",
    [
        [],
        5,
        None,
        {},
        {"number": None},
        {"number": True},
        {"number": "1"},
        {"number": 1, "text": b"a"},
        {"number": 1, "x": -1},
        {"number": 1, "x": 1.0},
        {"number": 1, "x": math.nan},
        {"number": 1, "x": msgpack.ExtType(5, b"")},
        {"number": 1, "x": msgpack.Timestamp(1)},
        {"number": 1, 5: 1},
        {"number": 1, b"a": 1},
        {"number": 1, "critical": ["other"]},
        {"number": 1, "critical": "number"},
        {"number": 1, "critical": [1]},
    ],
    ids=str,
)
def test_body_that_breaks_a_rule_is_refused(value: Any) -> None:
    with pytest.raises(MalformedPacket):
        unpack(msgpack.packb(value), Sample)


def test_known_key_may_be_critical() -> None:
    assert unpack(pack_value({"number": 1, "critical": ["number"]}), Sample) == Sample(1)


def test_key_twice_is_refused_at_any_depth() -> None:
    twice = b"\x82\xa1a\x01\xa1a\x02"
    for data in (twice, b"\x81\xa1b" + twice, b"\x91" + twice):
        with pytest.raises(MalformedPacket, match="twice"):
            unpack_value(data)


def test_body_cut_anywhere_or_followed_by_anything_is_refused() -> None:
    whole = pack_value({"number": 300, "text": "abc", "x": [b"abc", {"y": None}]})
    for size in range(len(whole)):
        with pytest.raises(MalformedPacket):
            unpack(whole[:size], Sample)
    with pytest.raises(MalformedPacket):
        unpack(whole + b"\xc0", Sample)


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\x00\x0f\xff\xff" * 200_000,
        b"\xdf\x00\x0f\xff\xff" * 200_000,
        b"\x91" * MAX_BODY_BYTES,
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        bytes(MAX_BODY_BYTES + 1),
    ],
    ids=["arrays", "maps", "deep", "array", "binary", "string", "long"],
)
def test_bomb_is_refused_at_once(data: bytes) -> None:
    begun = process_time()
    with pytest.raises(MalformedPacket):
        unpack_value(data)
    assert process_time() - begun < 0.5


def test_as_many_values_as_a_body_may_have() -> None:
    assert len(unpack_value(pack_value([0] * (MAX_VALUES - 1)))) == MAX_VALUES - 1
    with pytest.raises(MalformedPacket):
        pack_value([0] * MAX_VALUES)


@pytest.mark.parametrize("value", [2**64, -1, 1.5, {1: 2}, {b"a": 1}, "\ud800", object(), {1}])
def test_value_that_nobody_would_take_is_not_packed(value: Any) -> None:
    with pytest.raises(MalformedPacket):
        pack_value(value)


def test_struct_that_nobody_would_take_is_not_packed() -> None:
    for number in (2**64, -1, "1"):
        with pytest.raises(MalformedPacket):
            pack(Sample(number))  # type: ignore[arg-type]
