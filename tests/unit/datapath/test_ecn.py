from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.reference.superframe.ecn import mark
from l2mesh.datapath.reference.superframe.layout import ONES, sum_of

ETHERNET: Final = bytes(12)
CE: Final = 0b11


def ipv4(traffic_class: int, rest: bytes) -> bytes:
    packet = bytearray(bytes([0x45, traffic_class]) + rest + b"\x01\x02")
    packet[10:12] = bytes(2)
    packet[10:12] = (sum_of(packet[:20]) ^ ONES).to_bytes(2, "big")
    return bytes(packet)


@given(st.integers(0, 255), st.binary(min_size=18, max_size=18), st.integers(0, 2))
def test_a_mark_keeps_the_checksum_right(traffic_class: int, rest: bytes, tags: int) -> None:
    frame = ETHERNET + bytes([0x81, 0, 0, 7]) * tags + b"\x08\x00" + ipv4(traffic_class, rest)
    at = 14 + 4 * tags
    marked = mark(frame)
    if not traffic_class & CE:
        assert marked is None
        return
    assert marked is not None
    assert marked[at + 1] == traffic_class | CE
    assert sum_of(marked[at : at + 20]) == ONES
    untouched = [i for i in range(len(frame)) if i not in (at + 1, at + 10, at + 11)]
    assert all(marked[i] == frame[i] for i in untouched)


@given(st.integers(0, 255), st.integers(0, 15))
def test_ipv6_is_marked_in_its_class(traffic_class: int, label: int) -> None:
    head = bytes([0x60 | traffic_class >> 4, (traffic_class & 15) << 4 | label])
    marked = mark(ETHERNET + b"\x86\xdd" + head + bytes([9]) * 38)
    if not traffic_class & CE:
        assert marked is None
        return
    told = traffic_class | CE
    assert marked is not None
    assert marked[14:16] == bytes([0x60 | told >> 4, (told & 15) << 4 | label])
    assert marked[16:] == bytes([9]) * 38


@given(st.binary(max_size=60))
def test_any_bytes_are_borne(frame: bytes) -> None:
    marked = mark(frame)
    assert marked is None or len(marked) == len(frame)


def test_a_cut_frame_is_not_marked() -> None:
    whole = ETHERNET + b"\x08\x00" + ipv4(2, bytes(18))
    assert mark(whole[:34]) is not None
    for length in range(34):
        assert mark(whole[:length]) is None
