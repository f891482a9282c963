import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.interface import Deliver, Offload, PortOffloads
from l2mesh.runtime.port import Port, SuperFrameRefused
from l2mesh.runtime.virtio import HEADER_BYTES, PLAIN, emit_header, parse_header
from tests.packets import UDP, Packet, check

PACKET = Packet(payload=bytes(3000), options=b"\1\1\x08\x0a" + bytes(8))


def test_header_is_that_of_the_kernel() -> None:
    header = emit_header(PACKET.gso(1448), PACKET.frame())
    assert header == b"".join(
        (b"\1\1", *(number.to_bytes(2, "little") for number in (66, 1448, 34, 16)))
    )
    assert emit_header(PACKET.gso(9)._replace(ecn=True), PACKET.frame())[1] == 0x81


def test_nothing_to_say_is_no_offload() -> None:
    assert parse_header(PLAIN) is None
    assert parse_header(b"\2" + bytes(9)) is None  # DATA_VALID
    assert parse_header(b"\0\x91" + bytes(8)) == Offload(gso_type=0x11, ecn=True)


@given(st.sampled_from([PACKET, PACKET.but(version=6), PACKET.but(protocol=UDP, options=b"")]))
def test_what_is_emitted_is_parsed_alike(packet: Packet) -> None:
    for offload in (packet.gso(1000), packet.offload):
        assert parse_header(emit_header(offload, packet.frame())) == offload


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_port_reads_and_writes_headers(pipe: tuple[int, int]) -> None:
    reader, writer = (Port(end, PortOffloads(checksum=True)) for end in pipe)
    for offload in (None, PACKET.offload, PACKET.gso(1000)):
        writer.write(Deliver(1, PACKET.frame(), offload))
        assert reader.read() == (PACKET.frame(), offload)


def test_port_without_headers(pipe: tuple[int, int]) -> None:
    reader, writer = (Port(end, None) for end in pipe)
    writer.write(Deliver(1, b"frame"))
    assert reader.read() == (b"frame", None)


def test_super_frame_that_the_kernel_refuses_is_written_in_segments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[bytes] = []

    def writev(_: int, buffers: tuple[bytes, bytes]) -> int:
        if buffers[0][1]:
            raise OSError(22, "Invalid argument")
        written.append(buffers[1])
        return HEADER_BYTES + len(buffers[1])

    monkeypatch.setattr("os.writev", writev)
    with pytest.raises(SuperFrameRefused):
        Port(-1, PortOffloads(True, True)).write(
            Deliver(1, PACKET.frame(is_open=True), PACKET.gso(1400))
        )
    assert [len(frame) for frame in written] == [1466, 1466, 266]
    for frame in written:
        check(frame, PACKET, is_open=False)
