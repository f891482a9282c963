"""INIT, RESPONSE, COOKIE and the handshake payload, byte for byte."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from l2mesh.errors import MalformedPacket
from l2mesh.wire.handshake import (
    COOKIE_BYTES,
    MAX_HANDSHAKE_BYTES,
    MIN_INIT_BYTES,
    MIN_RESPONSE_BYTES,
    Announcement,
    Cookie,
    Extension,
    Indices,
    Init,
    Lanes,
    Padding,
    Payload,
    Response,
    Software,
    UnknownExtension,
)

IDENTITY = bytes(range(128))
INIT = Init(0x01020304, b"n" * 344, b"1" * 16, b"2" * 16)
RESPONSE = Response(0x01020304, b"n" * 181, b"1" * 16)
COOKIE = Cookie(0x01020304, b"n" * 24, b"s" * 32)

announcements = st.builds(
    Announcement,
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
    st.integers(1, 2**24 - 1),
)
extensions: st.SearchStrategy[Extension] = st.one_of(
    st.builds(Indices, st.lists(announcements, max_size=20).map(tuple)),
    st.builds(Padding, st.integers(0, 300)),
    st.builds(Software, st.text(max_size=8)),
    st.builds(Lanes, st.integers(1, 255)),
    st.builds(UnknownExtension, st.sampled_from([0x00, 0x05, 0x81, 0x84, 0xFF]), st.binary()),
)
payloads = st.builds(
    Payload,
    st.binary(min_size=128, max_size=128),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(1, 2**24 - 1),
    st.lists(extensions, max_size=5).map(tuple),
)


def test_init_layout() -> None:
    assert INIT.encode() == bytes.fromhex("0101000001020304") + b"n" * 344 + b"1" * 16 + b"2" * 16


def test_response_layout() -> None:
    assert RESPONSE.encode() == bytes.fromhex("0201000001020304") + b"n" * 181 + b"1" * 16


def test_cookie_layout() -> None:
    assert COOKIE.encode() == bytes.fromhex("0301000001020304") + b"n" * 24 + b"s" * 32


def test_payload_layout() -> None:
    listed = Indices((Announcement(0x1122334455667788, 9, 0xAABBCC),))
    unknown = UnknownExtension(0x7F, b"?")
    payload = Payload(IDENTITY, 1, 3, 0x010203, (listed, Padding(2), Software("é"), unknown))
    text = "010301020301000c112233445566778809aabbcc0200020000030002c3a97f00013f"
    assert payload.encode() == IDENTITY + bytes.fromhex(text)
    assert payload.encoded_len == len(payload.encode())
    assert payload.announcements == listed.announcements
    assert payload.software == "é"


@pytest.mark.parametrize("value", [INIT, RESPONSE, COOKIE])
def test_datagrams_survive_the_round_trip(value: Init | Response | Cookie) -> None:
    assert type(value).decode(value.encode()) == value
    assert value.encoded_len == len(value.encode())


@pytest.mark.parametrize("value", [INIT, RESPONSE, COOKIE])
def test_other_types_versions_and_reserved_bits_are_refused(
    value: Init | Response | Cookie,
) -> None:
    datagram = value.encode()
    for position in range(4):
        for bit in range(8):
            changed = bytearray(datagram)
            changed[position] ^= 1 << bit
            with pytest.raises(MalformedPacket):
                type(value).decode(bytes(changed))


@pytest.mark.parametrize(
    ("kind", "first", "shortest", "longest"),
    [
        (Init, 1, MIN_INIT_BYTES, MAX_HANDSHAKE_BYTES),
        (Response, 2, MIN_RESPONSE_BYTES, MAX_HANDSHAKE_BYTES),
        (Cookie, 3, COOKIE_BYTES, COOKIE_BYTES),
    ],
)
def test_lengths_are_bounded(
    kind: type[Init | Response | Cookie], first: int, shortest: int, longest: int
) -> None:
    for size in range(longest + 10):
        datagram = (bytes([first, 1]) + bytes(size))[:size]
        if shortest <= size <= longest:
            assert kind.decode(datagram).encode() == datagram
        else:
            with pytest.raises(MalformedPacket):
                kind.decode(datagram)


def test_payload_cut_at_any_byte_is_refused_or_shorter_by_whole_extensions() -> None:
    parts: tuple[Extension, ...] = (Indices((Announcement(1, 0, 2),)), Software("x"), Padding(3))
    full = Payload(IDENTITY, 1, 3, 7, parts)
    ends = [Payload(IDENTITY, 1, 3, 7, parts[:count]).encoded_len for count in range(4)]
    for size in range(full.encoded_len):
        if size in ends:
            assert Payload.decode(full.encode()[:size]).extensions == parts[: ends.index(size)]
        else:
            with pytest.raises(MalformedPacket):
                Payload.decode(full.encode()[:size])


@pytest.mark.parametrize(
    "text",
    [
        "01000b" + "11" * 11,  # not a whole announcement
        "01000c" + "00" * 8 + "00" + "000001",  # network 0
        "01000c" + "11" * 8 + "00" + "000000",  # index 0
        "02000101",  # padding that says something
        "030001ff",  # no UTF-8
        "030021" + "61" * 33,  # 33 bytes
    ],
)
def test_extension_that_means_nothing_is_refused(text: str) -> None:
    head = Payload(IDENTITY, 1, 3, 7).encode()
    with pytest.raises(MalformedPacket):
        Payload.decode(head + bytes.fromhex(text))


def test_payload_needs_an_identity_and_a_control_index() -> None:
    with pytest.raises(MalformedPacket):
        Payload(IDENTITY[1:], 1, 3, 7)
    with pytest.raises(MalformedPacket):
        Payload(IDENTITY, 1, 3, 0)


def test_only_unknown_critical_extensions_stop_a_reader() -> None:
    head = Payload(IDENTITY, 1, 3, 7).encode()
    assert not Payload.decode(head + bytes.fromhex("050000")).has_unknown_critical
    assert Payload.decode(head + bytes.fromhex("84000000")[:3]).has_unknown_critical
    with pytest.raises(MalformedPacket):
        UnknownExtension(0x01, b"")


def test_lanes_are_one_byte_and_eight_at_most() -> None:
    payload = Payload(IDENTITY, 1, 3, 0x010203, (Lanes(2),))
    assert payload.encode() == IDENTITY + bytes.fromhex("010301020304000102")
    assert payload.lanes == 2
    assert Payload(IDENTITY, 1, 3, 1, (Lanes(200),)).lanes == 8
    assert Payload(IDENTITY, 1, 3, 1).lanes == 1
    for value in ("", "00", "0102"):
        text = "0103010203" + f"0400{len(value) // 2:02x}" + value
        with pytest.raises(MalformedPacket):
            Payload.decode(IDENTITY + bytes.fromhex(text))


@given(payloads)
def test_payload_survives_the_round_trip(payload: Payload) -> None:
    assert Payload.decode(payload.encode()) == payload
    assert payload.encoded_len == len(payload.encode())


@given(st.binary(max_size=300))
@example(bytes(133))
def test_any_bytes_are_a_payload_or_malformed(data: bytes) -> None:
    for text in (data, IDENTITY + bytes([1, 3, 0, 0, 1]) + data):
        try:
            payload = Payload.decode(text)
        except MalformedPacket:
            continue
        assert payload.encode() == text


@given(st.sampled_from([Init, Response, Cookie]), st.binary(max_size=1300))
def test_any_bytes_are_a_datagram_or_malformed(
    kind: type[Init | Response | Cookie], data: bytes
) -> None:
    for text in (data, bytes([1, 1, 0, 0]) + data.ljust(400, b"x")):
        try:
            value = kind.decode(text)
        except MalformedPacket:
            continue
        assert value.encode() == text
