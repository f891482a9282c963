"""A line that is slow, loses and reorders: a program between two interfaces, since kernels differ.

`Weather` says what a line does. `Queue` is one direction of it: frames go in, and come out when
they are due; it asks no clock. As a program (`weather.py A B --delay_s=0.1`) this module carries
Ethernet frames between two interfaces of its namespace, which no address and no bridge may have.
"""

import argparse
import heapq
import itertools
import random
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields
from typing import Final

__all__ = ["MAX_BYTES", "MAX_FRAMES", "Queue", "Weather", "main"]

MAX_FRAMES: Final = 8_192
MAX_BYTES: Final = 8 * 1024 * 1024
"""What one direction holds; further frames are lost, as in any router."""
_ETH_P_ALL: Final = 3  # linux/if_ether.h
_PACKET_IGNORE_OUTGOING: Final = 23  # linux/if_packet.h
_SOL_PACKET: Final = 263
_LONGEST: Final = 65_536
_BURST: Final = 64


@dataclass(frozen=True)
class Weather:
    """What a line does to each frame by itself, in both directions alike."""

    delay_s: float = 0.0
    """Every frame is so late."""
    jitter_s: float = 0.0
    """And up to so much later, at random: a frame may overtake those before it."""
    loss: float = 0.0
    """This share (0 to 1) is lost."""
    hurried: float = 0.0
    """This share of the rest goes without delay, and so comes before those sent earlier."""
    seed: int = 1

    def arguments(self) -> list[str]:
        """For this module as a program."""
        return [f"--{f.name}={getattr(self, f.name)}" for f in fields(self)]


@dataclass
class Queue:
    """One direction: what is under way, and when it arrives; times are seconds of any clock."""

    weather: Weather
    random: random.Random
    size: int = 0
    """Bytes under way."""
    _waiting: list[tuple[float, int, bytes]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def offer(self, frame: bytes, now: float) -> None:
        """A frame begins its way, or is lost."""
        if self.random.random() < self.weather.loss:
            return
        if len(self._waiting) >= MAX_FRAMES or self.size + len(frame) > MAX_BYTES:
            return
        late = self.weather.delay_s + self.random.uniform(0.0, self.weather.jitter_s)
        if self.random.random() < self.weather.hurried:
            late = 0.0
        self.size += len(frame)
        heapq.heappush(self._waiting, (now + late, next(self._numbers), frame))

    def due(self, now: float) -> Iterator[bytes]:
        """The frames that arrive by `now`, in order."""
        while self._waiting and self._waiting[0][0] <= now:
            frame = heapq.heappop(self._waiting)[2]
            self.size -= len(frame)
            yield frame

    def next_at(self) -> float | None:
        """When the next frame arrives."""
        return self._waiting[0][0] if self._waiting else None


def main(words: Sequence[str] | None = None) -> int:
    """Carry frames between two interfaces until ended."""
    parser = argparse.ArgumentParser(prog="weather", description=__doc__)
    parser.add_argument("interfaces", nargs=2)
    for each in fields(Weather):
        parser.add_argument(f"--{each.name}", type=type(each.default), default=each.default)
    options = vars(parser.parse_args(words))
    interfaces = options.pop("interfaces")
    weather = Weather(**options)
    ends = [_open(interface) for interface in interfaces]
    queues = [Queue(weather, random.Random(f"{weather.seed} {i}")) for i in range(2)]
    print("carrying", *astuple(weather), flush=True)
    while True:
        _carry(ends, queues)


def _carry(ends: Sequence[socket.socket], queues: Sequence[Queue]) -> None:
    """Wait for frames or for their time, and pass on what is due; queue i leads from end i."""
    moments = [at for queue in queues if (at := queue.next_at()) is not None]
    patience = max(0.0, min(moments) - time.monotonic()) if moments else None
    readable = select.select(ends, [], [], patience)[0]
    for end, queue in zip(ends, queues, strict=True):
        if end in readable:
            for frame in _received(end):
                queue.offer(frame, time.monotonic())
    for target, queue in zip(reversed(ends), queues, strict=True):
        for frame in queue.due(time.monotonic()):
            _send(target, frame)


def _open(interface: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    end.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MAX_BYTES)
    end.bind((interface, 0))
    end.setblocking(False)
    return end


def _received(end: socket.socket) -> Iterator[bytes]:
    for _ in range(_BURST):
        try:
            yield end.recv(_LONGEST)
        except (BlockingIOError, OSError):  # nothing more, or the interface is down
            return


def _send(end: socket.socket, frame: bytes) -> None:
    try:
        end.send(frame)
    except OSError:
        return  # full, down or longer than the line allows: lost


if __name__ == "__main__":
    sys.exit(main())
