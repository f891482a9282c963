"""Traffic between nodes: pings that are answered, and broadcasts that are counted."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import partial
from itertools import count, pairwise
from typing import Final

from tests.simulator import frames
from tests.simulator.node import NodeHost

__all__ = ["Flows", "Pings", "answer_pings", "first_answer"]

PATIENCE_S: Final = 0.8
"""A younger request may still be under way."""
_UDP: Final = 17
_SEQUENCES: Final = count(1)


def answer_pings(node: NodeHost, network: int) -> None:
    """Let a node's host answer echo requests to its MAC, as a kernel does."""
    port = node.port_of(network)

    def answer(frame: bytes) -> None:
        if frames.is_ping(frame) and frame[:6] == node.devices[network].mac:
            node.schedule.after(0.0, partial(port.send, frames.pong(frame)))

    port.listeners["kernel"] = answer


@dataclass(slots=True, eq=False)
class Pings:
    """Echo requests from one node to another at a steady pace."""

    source: NodeHost
    target: NodeHost
    network: int
    interval_s: float = 0.1
    size: int = 98
    sent: dict[int, float] = field(default_factory=dict)
    """Sequence number -> when."""
    round_trips: dict[int, float] = field(default_factory=dict)
    """Sequence number -> seconds until the first answer."""
    twice: int = 0
    """Answers that came again."""
    _target_mac: bytes = b""
    _is_running: bool = False

    def start(self) -> Pings:
        """Begin now."""
        answer_pings(self.target, self.network)
        listeners = self.source.port_of(self.network).listeners
        listeners[f"ping {self.target.name}"] = self._receive
        self._target_mac = self.target.mac(self.network)
        self._is_running = True
        self._send()
        return self

    def stop(self) -> None:
        """Send no more; answers still count."""
        self._is_running = False

    @property
    def lost(self) -> list[float]:
        """When the requests were sent that nobody has answered within `PATIENCE_S`."""
        latest = self.source.schedule.now - PATIENCE_S
        unanswered = self.sent.keys() - self.round_trips.keys()
        return sorted(at for sequence in unanswered if (at := self.sent[sequence]) <= latest)

    def silence_s(self, since: float) -> float:
        """The longest time without an answer after a moment, up to now."""
        answers = sorted(self.sent[each] + took for each, took in self.round_trips.items())
        times = [since, *(at for at in answers if at > since), self.source.schedule.now]
        return max(later - earlier for earlier, later in pairwise(times))

    @property
    def has_answer(self) -> bool:
        """Whether any answer has come."""
        return bool(self.round_trips)

    def _send(self) -> None:
        if not self._is_running:
            return
        sequence = next(_SEQUENCES) & 0xFFFFFFFF
        self.sent[sequence] = self.source.schedule.now
        mac = self.source.devices[self.network].mac if self.network in self.source.devices else None
        if mac is not None:
            frame = frames.ping(mac, self._target_mac, sequence, size=self.size)
            self.source.port_of(self.network).send(frame)
        self.source.schedule.after(self.interval_s, self._send)

    def _receive(self, frame: bytes) -> None:
        if frame[12:14] != b"\x08\x00" or frames.is_ping(frame):
            return
        sequence = frames.ping_sequence(frame)
        if sequence in self.round_trips:
            self.twice += 1
        elif sequence in self.sent:
            self.round_trips[sequence] = self.source.schedule.now - self.sent[sequence]


def first_answer(source: NodeHost, target: NodeHost, network: int) -> Pings:
    """One echo request, and no more."""
    pings = Pings(source, target, network).start()
    pings.stop()
    return pings


@dataclass(slots=True, eq=False)
class Flows:
    """UDP flows from one node to another, each frame numbered, all at one steady pace."""

    source: NodeHost
    target: NodeHost
    network: int
    count: int = 12
    interval_s: float = 0.04
    size: int = 600
    group: tuple[bytes, str] | None = None
    """MAC and address that they are for, if not the target's own: all members get them then."""
    sent: list[int] = field(default_factory=list)
    """How many of each flow."""
    got: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    """Flow -> when which number arrived."""
    _ends: tuple[tuple[bytes, bytes], tuple[str, str]] = ((b"", b""), ("", ""))

    def start(self) -> Flows:
        """Begin now, for good."""
        self.sent = [0] * self.count
        one, other, network = self.source, self.target, self.network
        mac, address = self.group or (other.mac(network), other.address_in(network))
        self._ends = (one.mac(network), mac), (one.address_in(network), address)
        self.listen()
        self._send()
        return self

    def listen(self) -> Flows:
        """Note what arrives, which may be others' flows for the same group."""
        name = f"flows of {self.source.name} for {self.group}"
        self.target.port_of(self.network).listeners[name] = self._receive
        return self

    @property
    def reordered(self) -> int:
        """How many frames arrived behind a later one of their flow."""
        numbers = ([number for _, number in got] for got in self.got.values())
        return sum(later <= earlier for flow in numbers for earlier, later in pairwise(flow))

    @property
    def twice(self) -> int:
        """How many arrived again."""
        return sum(len(got) - len({number for _, number in got}) for got in self.got.values())

    def lost(self, since: float = 0.0) -> int:
        """How many sent after a moment did not arrive, of those that must have by now."""
        every = self.interval_s * self.count
        start, end = since, self.source.schedule.now - PATIENCE_S
        missing = 0
        for flow, got in self.got.items():
            first_at = got[0][0] - got[0][1] * every
            numbers = {number for _, number in got}
            due = range(self.sent[flow])
            missing += sum(
                number not in numbers for number in due if start <= first_at + number * every <= end
            )
        return missing

    def silence_s(self, since: float) -> float:
        """The longest time that any flow was without a frame after a moment, up to now."""
        now = self.source.schedule.now
        times = [[since, *(at for at, _ in got if at > since), now] for got in self.got.values()]
        return max(later - earlier for each in times for earlier, later in pairwise(each))

    def _send(self) -> None:
        flow = sum(self.sent) % self.count
        text = struct.pack("!II", flow, self.sent[flow]).ljust(self.size, b"\0")
        self.sent[flow] += 1
        self.source.port_of(self.network).send(frames.udp(*self._ends, (5000 + flow, 7), text))
        self.source.schedule.after(self.interval_s, self._send)

    def _receive(self, frame: bytes) -> None:
        is_ours = bool(frame[0] & 1) == (self.group is not None)
        if (
            is_ours
            and frame[12:14] == b"\x08\x00"
            and frame[23] == _UDP
            and frame[36:38] == b"\0\7"
        ):
            flow, number = struct.unpack_from("!II", frame, 42)
            self.got.setdefault(flow, []).append((self.source.schedule.now, number))
