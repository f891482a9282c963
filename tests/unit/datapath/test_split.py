from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2mesh.datapath.interface import GSO_TCP4, GSO_TCP6, GSO_UDP, Offload
from l2mesh.datapath.reference.superframe.split import parse_superframe, split
from tests.packets import ACK, CWR, ECE, FIN, PSH, TCP, UDP, URG, Packet, check, extension

TAG = b"\x81\x00\x20\x05"
TIMESTAMP = b"\1\1\x08\x0a" + bytes(8)
MD5 = b"\1\1\x13\x12" + bytes(16)
AO = b"\x1d\x10" + bytes(14)


def cut(
    packet: Packet, size: int, room: int = 9999, *, is_open: bool = True, skip: int = 0
) -> list[bytes]:
    whole = parse_superframe(packet.frame(is_open=True), packet.gso(size))
    assert whole is not None
    chosen = whole.size_for(room)
    assert chosen is not None
    segments = list(split(whole, chosen, skip, is_open=is_open))
    assert len(segments) == whole.count(chosen)
    return segments


def size_for(packet: Packet, size: int, room: int) -> int | None:
    whole = parse_superframe(packet.frame(is_open=True), packet.gso(size))
    assert whole is not None
    return whole.size_for(room)


def flags(segments: Iterable[bytes]) -> list[int]:
    return [segment[47] for segment in segments]


packets = st.builds(
    Packet,
    payload=st.binary(min_size=1, max_size=3000),
    protocol=st.sampled_from([TCP, UDP]),
    version=st.sampled_from([4, 6]),
    tags=st.sampled_from([b"", TAG, b"\x88\xa8\0\x07" + TAG]),
    traffic_class=st.integers(0, 255),
    df=st.booleans(),
    identification=st.integers(0, 0xFFFF),
    sequence=st.integers(0, 2**32 - 1),
    flags=st.integers(0, 255),
    options=st.sampled_from([b"", TIMESTAMP, MD5, AO, b"\xff" * 4]),
    ip_options=st.sampled_from([b"", b"\1\1\1\0"]),
).map(lambda packet: packet.but(options=b"") if packet.protocol == UDP else packet)


@given(packet=packets, size=st.integers(1, 1500), is_open=st.booleans())
def test_segments_are_valid_and_hold_the_payload(
    *, packet: Packet, size: int, is_open: bool
) -> None:
    segments = cut(packet, size, is_open=is_open)
    for index, segment in enumerate(segments):
        check(segment, packet, is_open=is_open)
        part = packet.but(
            payload=segment[packet.headers :],
            identification=(packet.identification + index) % 0x10000,
            sequence=(packet.sequence + index * size) % 2**32,
            flags=packet.flags
            & (0xFF if index == 0 else ~CWR)
            & (0xFF if index == len(segments) - 1 else ~(FIN | PSH)),
        )
        assert segment == part.frame(is_open=is_open)
    assert b"".join(segment[packet.headers :] for segment in segments) == packet.payload
    assert {len(segment) - packet.headers for segment in segments[:-1]} <= {size}


@given(packets, st.integers(1, 1500), st.integers(0, 1600))
def test_what_fits_is_never_above_the_kernels_size(packet: Packet, size: int, room: int) -> None:
    chosen = size_for(packet, size, room)
    if chosen is not None:
        assert 0 < chosen <= size
        assert packet.headers + min(chosen, len(packet.payload)) <= room


def test_sequence_identification_and_flags() -> None:
    packet = Packet(
        payload=bytes(3000),
        sequence=2**32 - 1000,
        identification=0xFFFF,
        flags=CWR | ECE | ACK | PSH | FIN,
    )
    segments = cut(packet, 1448)
    assert flags(segments) == [CWR | ECE | ACK, ECE | ACK, ECE | ACK | PSH | FIN]
    assert [segment[18:20] for segment in segments] == [b"\xff\xff", b"\0\0", b"\0\1"]
    assert [int.from_bytes(segment[38:42], "big") for segment in segments] == [
        2**32 - 1000,
        448,
        1896,
    ]
    assert flags(cut(packet, 3000)) == [packet.flags]


def test_tcp_is_cut_at_what_fits_the_path() -> None:
    packet = Packet(payload=bytes(4000), options=TIMESTAMP)
    assert [len(segment) for segment in cut(packet, 1448, 1400)] == [1400, 1400, 1398]
    assert size_for(packet.but(version=6, df=False), 1448, 1400) == 1400 - 86


@pytest.mark.parametrize(
    "packet",
    [
        Packet(payload=bytes(4000), df=False),
        Packet(payload=bytes(4000), flags=ACK | URG, urgent=5),
        Packet(payload=bytes(4000), options=MD5),
        Packet(payload=bytes(4000), options=AO),
        Packet(payload=bytes(4000), options=b"\x08\x01\1\1"),
        Packet(payload=bytes(4000), options=b"\1\1\1\x08"),
        Packet(payload=bytes(4000), protocol=UDP),
    ],
    ids=["no DF", "URG", "MD5", "AO", "short option", "cut option", "UDP"],
)
def test_what_would_show_is_not_cut_smaller(packet: Packet) -> None:
    assert size_for(packet, 1400, 1200) is None
    assert size_for(packet, 1000, 1200) == 1000


def test_options_that_only_look_like_a_signature_do_not_hinder() -> None:
    for options in (b"\0\0\x13\x12", b"\x08\x04\x13\x1d"):
        assert size_for(Packet(payload=bytes(4000), options=options), 1400, 1200) == 1200 - 58


def test_behind_extension_headers_checksums_are_complete() -> None:
    packet = Packet(payload=bytes(3000), version=6, extensions=extension(TCP, 1))
    whole = parse_superframe(packet.frame(is_open=True), packet.gso(1000))
    assert whole is not None and not whole.may_stay_open()
    for segment in split(whole, 1000, is_open=False):
        check(segment, packet, is_open=False)


def test_a_header_can_be_left_out() -> None:
    packet = Packet(payload=bytes(3000))
    assert cut(packet, 1000, skip=14) == [segment[14:] for segment in cut(packet, 1000)]


def test_metadata_that_do_not_agree_are_refused() -> None:
    packet = Packet(payload=bytes(3000))
    frame, right = packet.frame(is_open=True), packet.gso(1000)
    udp = packet.but(protocol=UDP)
    assert parse_superframe(frame, right) and parse_superframe(udp.frame(), udp.gso(1000))
    for wrong in (
        right._replace(gso_type=GSO_TCP6),
        right._replace(gso_type=GSO_UDP),
        right._replace(gso_type=0x10 | GSO_TCP4),
        right._replace(gso_type=3),
        right._replace(gso_type=0),
        right._replace(gso_size=0),
        right._replace(csum_start=35),
        right._replace(csum_offset=6),
        right._replace(needs_csum=False),
    ):
        assert parse_superframe(frame, wrong) is None
    assert parse_superframe(frame + b"\0", right) is None
    assert parse_superframe(frame[:-1], right) is None
    assert parse_superframe(packet.but(fragment=0x2000).frame(), right) is None
    assert parse_superframe(packet.but(payload=b"").frame(), right) is None
    assert parse_superframe(udp.frame(), udp.gso(1000)._replace(ecn=True)) is None


@settings(max_examples=300)
@given(st.data(), packets)
def test_no_bytes_and_no_metadata_do_harm(data: st.DataObject, packet: Packet) -> None:
    frame = bytearray(packet.frame(is_open=True))
    for _ in range(data.draw(st.integers(0, 4))):
        frame[data.draw(st.integers(0, min(len(frame), 90) - 1))] = data.draw(st.integers(0, 255))
    cut_at = data.draw(st.integers(0, len(frame)) | st.just(len(frame)))
    number = st.integers(0, 0xFFFF)
    offload = data.draw(
        st.builds(
            Offload,
            st.sampled_from([0, 1, 3, 4, 5, 0x11]),
            number,
            number | st.just(packet.l4),
            st.sampled_from([6, 16]) | number,
            st.booleans(),
            st.booleans(),
        )
        | st.just(packet.gso(500))
    )
    whole = parse_superframe(bytes(frame[:cut_at]), offload)
    if whole is None:
        return
    size = whole.size_for(data.draw(st.integers(0, 2000)))
    segments = list(split(whole, size or whole.gso_size, is_open=whole.may_stay_open()))
    assert sum(len(segment) - whole.layout.payload for segment in segments) == (
        len(whole.frame) - whole.layout.payload
    )
