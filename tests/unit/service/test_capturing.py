import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from l2mesh.datapath.interface import Captured, CaptureSide, DropReason, StartCapture, StopCapture
from l2mesh.service.api import ApiError
from l2mesh.service.capturing import capture

NETWORK = 0x89E92CEEE5000001
ID = "89e92ceee5000001"
PEER = bytes(32)
FRAMES = [
    Captured(5.0, CaptureSide.MESH, True, PEER, None, 99, b"whole", 0),
    Captured(6.0, CaptureSide.DROPS, True, None, DropReason.STORM, 60, b"cut", 3),
]


class FakeEngine:
    def __init__(self) -> None:
        self.batches: list[list[Captured]] = []
        self.executed: list[Any] = []

    def execute(self, command: Any, now: float) -> None:
        self.executed.append(command)

    def captured(self, network: int) -> list[Captured]:
        return self.batches.pop(0) if self.batches else []


class FakeNode:
    def __init__(self) -> None:
        self.engine, self.captures, self.now = FakeEngine(), set[int](), 100.0
        address = bytes.fromhex("0123456789")
        self.node = SimpleNamespace(
            networks=lambda: [SimpleNamespace(id=NETWORK)], address=lambda _: address
        )

    def clock(self) -> float:
        self.now += 0.01
        return self.now


async def run(node: Any, **arguments: Any) -> tuple[dict[str, Any], list[Any]]:
    parts: list[Any] = []

    async def send(part: dict[str, Any]) -> None:
        parts.extend(part["frames"])

    return await capture(node, {"network": ID, **arguments}, send), parts


@pytest.mark.asyncio
async def test_frames_are_sent_in_the_words_of_the_command_line() -> None:
    node = FakeNode()
    node.engine.batches = [[], FRAMES]
    result, parts = await run(node, count=2, sides=["mesh", "drops"], snap=100)
    assert result == {"schema": "l2mesh.capture/1", "network": ID, "frames": 2, "lost": 3}
    assert parts[0][1:] == ["mesh", True, "0123456789", None, 99, b"whole", 0]
    assert parts[1][1:] == ["drops", True, None, "storm", 60, b"cut", 3]
    assert parts[1][0] - parts[0][0] == pytest.approx(1e9, rel=1e-3)
    sides = frozenset({CaptureSide.MESH, CaptureSide.DROPS})
    assert node.engine.executed == [StartCapture(NETWORK, sides, 100), StopCapture(NETWORK)]


@pytest.mark.asyncio
async def test_count_and_duration_end_it() -> None:
    node = FakeNode()
    node.engine.batches = [FRAMES, FRAMES]
    result, parts = await run(node, count=1)
    assert result["frames"] == len(parts) == 1
    node.engine.batches = [FRAMES]
    result, _ = await run(node, duration=0.1)
    assert result["frames"] == 2


@pytest.mark.asyncio
async def test_reader_that_goes_away_ends_its_capture_and_one_reads_at_a_time() -> None:
    node = FakeNode()
    first = asyncio.create_task(run(node))
    await asyncio.sleep(0)
    with pytest.raises(ApiError, match="captured already"):
        await run(node)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert node.engine.executed[-1] == StopCapture(NETWORK) and not node.captures


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"network": "89e92ceee5000002"}, "not_found"),
        ({"sides": ["inside"]}, "usage"),
        ({"sides": 7}, "usage"),
        ({"snap": 0}, "usage"),
        ({"count": -1}, "usage"),
        ({"duration": "long"}, "usage"),
        ({"duration": float("nan")}, "usage"),
    ],
)
async def test_wrong_arguments_are_refused(arguments: dict[str, Any], code: str) -> None:
    node = FakeNode()
    with pytest.raises(ApiError) as refused:
        await run(node, **arguments)
    assert refused.value.code == code and node.engine.executed == []
