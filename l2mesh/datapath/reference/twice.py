"""Sending twice: for a moment each datagram with frames leaves by a second path as well.

The copies are the same bytes behind the other path's RELAY header, so the receiver's replay window
lets the first of the two in and drops the other: no port ever sees a frame twice. They leave one
by one, behind all datagrams of their frame, until the time or the bytes are used up.
"""

from collections import deque
from dataclasses import dataclass
from itertools import islice

from l2mesh.datapath.interface import Output, Path, SendTwice, Transmit, TransmitTrain
from l2mesh.wire.data import OVERHEAD
from l2mesh.wire.relay import RELAY_HEADER_BYTES, frame_relay


@dataclass(slots=True, eq=False)
class Twin:
    """The second path of a peer."""

    path: Path
    head: bytes
    """RELAY header of each copy, or nothing."""
    whole: int
    """Length of the largest frame that fits one datagram of the path."""
    until: float
    budget: int
    """Bytes that may still leave."""


def make_twin(command: SendTwice, now: float) -> Twin | None:
    """The twin that a command asks for; None where it asks for none."""
    path = command.path
    if path is None:
        return None
    head = frame_relay(path.relay, b"") if path.relay else b""
    return Twin(
        path=path,
        head=head,
        whole=whole_size(path, command.size),
        until=now + command.seconds,
        budget=max(0, command.budget),
    )


def whole_size(path: Path | None, size: int) -> int:
    """Length of the largest frame in one datagram of `size` bytes with any RELAY header."""
    header = RELAY_HEADER_BYTES if path is not None and path.relay else 0
    return max(0, size - header - OVERHEAD)


def make_copies(outputs: deque[Output], since: int, head: int, twin: Twin) -> list[Transmit]:
    """Copies of what was queued from `since` on, each behind `head` bytes of RELAY header.

    Where the twin's budget ends it is 0 from then on.
    """
    copies: list[Transmit] = []
    for datagram in _datagrams(list(islice(outputs, since, None))):
        copy = twin.head + datagram[head:]
        if len(copy) > twin.budget:
            twin.budget = 0
            break
        twin.budget -= len(copy)
        copies.append(Transmit(copy, twin.path.endpoint))
    return copies


def _datagrams(outputs: list[Output]) -> list[bytes]:
    datagrams: list[bytes] = []
    for output in outputs:
        if isinstance(output, Transmit):
            datagrams.append(output.datagram)
        elif isinstance(output, TransmitTrain):
            run, stride = output.datagrams, output.stride
            datagrams += [run[at : at + stride] for at in range(0, len(run), stride)]
    return datagrams
