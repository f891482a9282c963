import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from l2mesh.cli.capture import Enough, Recorder
from l2mesh.cli.failure import Failure
from l2mesh.cli.pcapng import Packet, file_header, packet_block

FRAME = bytes(range(61))


def read(data: bytes) -> list[tuple[bytes, Any]]:
    """What scapy makes of a file."""
    return list(RawPcapNgReader(io.BytesIO(data)))


def test_file_has_an_interface_for_each_side() -> None:
    header = file_header("l2mesh", [("one", "first"), ("two", "second")])
    packet = Packet(1, 1_700_000_000_123_456_789, False, 70, FRAME, "to 0123456789", 5)
    ((frame, meta),) = read(header + packet_block(packet))
    assert frame == FRAME and meta.wirelen == 70
    assert meta.ifname == b"two" and meta.direction == 2
    assert (meta.tshigh << 32 | meta.tslow) == 1_700_000_000_123_456_789
    assert meta.tsresol == 10**9
    assert meta.comments == [b"to 0123456789"]
    assert b"\x04\x00\x08\x00\x05\x00\x00\x00" in packet_block(packet)  # epb_dropcount


@given(st.lists(st.tuples(st.binary(max_size=80), st.text(max_size=20))))
def test_any_frames_and_comments_come_back(frames: list[tuple[bytes, str]]) -> None:
    blocks = [packet_block(Packet(0, n, True, len(f), f, c)) for n, (f, c) in enumerate(frames)]
    assert all(len(block) % 4 == 0 for block in blocks)
    found = read(file_header("l2mesh", [("x", "y")]) + b"".join(blocks))
    assert [frame for frame, _ in found] == [frame for frame, _ in frames]


def test_recorder_says_who_and_why() -> None:
    file = io.BytesIO()
    recorder = Recorder(file, "89e92ceee5000001")
    recorder.add(
        {
            "frames": [
                [1, "port", True, None, None, 61, FRAME, 0],
                [2, "mesh", False, "0123456789", None, 61, FRAME, 0],
                [3, "drops", True, "0123456789", "storm", 61, FRAME, 7],
                [4, "drops", True, None, "source_mac", 61, FRAME, 0],
            ]
        }
    )
    comments = [meta.comments for _, meta in read(file.getvalue())]
    assert comments == [
        None,
        [b"to 0123456789"],
        [b"dropped: storm, from 0123456789"],
        [b"dropped: source_mac, from this host"],
    ]
    assert recorder.totals() == {"frames": 4, "lost": 7}


@pytest.mark.parametrize(
    ("error", "end"), [(BrokenPipeError(), Enough), (OSError(28, "full"), Failure)]
)
def test_reader_that_goes_away_is_the_end(
    error: OSError, end: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.BytesIO):
        def flush(self) -> None:
            raise error

        def fileno(self) -> int:
            return 1

    monkeypatch.setattr("os.dup2", lambda *_: None)
    with pytest.raises(end):
        Recorder(Broken(), "89e92ceee5000001")
