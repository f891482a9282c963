"""``l2mesh capture``: what an engine keeps of a network's frames, handed on while somebody reads.

A part of the answer is ``{"frames": [FRAME, ...]}``; a frame is a list of: nanoseconds since 1970,
side (``port``, ``mesh``, ``drops``), whether it went into the switch, the peer's address or nil,
reason or nil, whole length, bytes, and how many frames before it found no room. The last answer
says how many there were. A client that does not read makes the engine's queue fill up, and loses
frames; one that goes away ends its capture.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from l2mesh.address import format_network_id, parse_network_id
from l2mesh.datapath.interface import Captured, CaptureSide, StartCapture, StopCapture
from l2mesh.service.api import ApiError

if TYPE_CHECKING:
    from l2mesh.service.running import RunningNode

__all__ = ["capture"]

LOOK_S: Final = 0.05
"""How often the engine is asked; its queue lasts for 80,000 frames/s."""
MAX_SNAP: Final = 65535
MAX_DURATION_S: Final = 86400.0

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def capture(node: RunningNode, arguments: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """Sends frames of a network until enough have come, time is up or the client goes away."""
    network = parse_network_id(str(arguments.get("network")))
    if network not in {view.id for view in node.node.networks()}:
        raise ApiError("not_found", f"this node has not joined network {network:016x}")
    start, count, duration = _limits(network, arguments)
    with _one_reader(node, network):
        node.engine.execute(start, node.clock())
        try:
            total, lost = await _forward(node, network, send, count, duration)
        finally:
            node.engine.execute(StopCapture(network), node.clock())
    return {
        "schema": "l2mesh.capture/1",
        "network": format_network_id(network),
        "frames": total,
        "lost": lost,
    }


async def _forward(
    node: RunningNode, network: int, send: Send, count: float, duration: float
) -> tuple[int, int]:
    """How many frames were sent, and how many were lost before them."""
    total = lost = 0
    end = node.clock() + duration
    offset = time.time() - node.clock()
    while total < count and (left := end - node.clock()) > 0:
        frames = node.engine.captured(network)
        if not frames:
            await asyncio.sleep(min(LOOK_S, left))
            continue
        frames = frames[: int(min(count - total, len(frames)))]
        await send({"frames": [_shown(node, frame, offset) for frame in frames]})
        total += len(frames)
        lost += sum(frame.lost for frame in frames)
    return total, lost


def _shown(node: RunningNode, frame: Captured, offset: float) -> list[Any]:
    return [
        int((frame.at + offset) * 1e9),
        frame.side.value,
        frame.inward,
        node.node.address(frame.peer).hex() if frame.peer is not None else None,
        frame.reason.value if frame.reason is not None else None,
        frame.length,
        frame.frame,
        frame.lost,
    ]


def _limits(network: int, arguments: Mapping[str, Any]) -> tuple[StartCapture, float, float]:
    """What to capture, how many frames and seconds; ApiError for what is no number or side."""
    sides = arguments.get("sides") or [side.value for side in CaptureSide]
    snap, count = arguments.get("snap", MAX_SNAP), arguments.get("count")
    duration = arguments.get("duration")
    try:
        wanted = frozenset(CaptureSide(side) for side in sides)
    except (TypeError, ValueError):
        raise ApiError("usage", "sides are port, mesh and drops") from None
    if not isinstance(snap, int) or not 0 < snap <= MAX_SNAP:
        raise ApiError("usage", f"snap is 1 to {MAX_SNAP} bytes")
    if count is not None and (not isinstance(count, int) or count < 1):
        raise ApiError("usage", "count is a number of frames, 1 or more")
    if duration is not None and (
        not isinstance(duration, int | float) or not 0 < duration <= MAX_DURATION_S
    ):
        raise ApiError("usage", f"duration is at most {MAX_DURATION_S:.0f} seconds")
    start = StartCapture(network, wanted, snap)
    return start, count or float("inf"), duration or float("inf")


@contextlib.contextmanager
def _one_reader(node: RunningNode, network: int) -> Iterator[None]:
    if network in node.captures:
        raise ApiError("failed", "this network is being captured already")
    node.captures.add(network)
    try:
        yield
    finally:
        node.captures.discard(network)
