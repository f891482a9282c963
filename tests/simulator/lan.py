"""A physical LAN: a learning switch with hosts at it and, through their ports, bridging nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from l2mesh.switch.beacon import BEACON_GROUP
from tests.simulator.node import NodeHost
from tests.simulator.schedule import Schedule

__all__ = ["Lan", "LanHost"]

LATENCY_S: Final = 0.0002


class LanHost:
    """A station that keeps what it is sent: its own MAC, and groups."""

    def __init__(self, lan: Lan, name: str, mac: bytes) -> None:
        self.lan = lan
        self.name = name
        self.mac = mac
        self.received: list[bytes] = []
        self.times: list[float] = []
        """When each of ``received`` came."""

    def send(self, frame: bytes) -> None:
        """Put a frame on the LAN."""
        self.lan.receive(self.name, frame)

    def take(self, frame: bytes) -> None:
        """The switch has sent a frame to our socket."""
        if frame[:6] == self.mac or frame[0] & 1:
            self.received.append(frame)
            self.times.append(self.lan.schedule.now)


class Lan:
    """A switch without VLANs, ageing or spanning tree, as cheap ones are."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.hosts: dict[str, LanHost] = {}
        self.nodes: dict[str, tuple[NodeHost, int]] = {}
        self.cables: dict[str, Callable[[bytes], None]] = {}
        """Ways to other LANs."""
        self.places: dict[bytes, str] = {}
        """MAC -> socket of the switch."""
        self.seen: Counter[bytes] = Counter()
        """How often each frame has come in."""

    def add_host(self, number: int) -> LanHost:
        """A host at the switch."""
        name = f"host{number}"
        host = self.hosts[name] = LanHost(self, name, bytes([0x52, 0x54, 0, 0, 0xAA, number]))
        return host

    def add_node(self, node: NodeHost, network: int) -> None:
        """A node that bridges: its port is at the switch."""
        self.nodes[node.name] = node, network
        node.port_of(network).listeners["lan"] = lambda frame: self._later(node.name, frame)

    def join(self, other: Lan) -> None:
        """A second way between two LANs, such as an overlay that takes no frames of ours."""
        self._reach(other, "away")
        other._reach(self, "away")

    def _reach(self, other: Lan, socket: str) -> None:
        self.cables[socket] = lambda frame: other.receive(socket, frame)

    def receive(self, socket: str, frame: bytes) -> None:
        """A frame has come in at a socket."""
        self.seen[frame] += 1
        if not frame[6] & 1:
            self.places[frame[6:12]] = socket
        known = self.places.get(frame[:6])
        for out in [known] if known else [*self.hosts, *self.nodes, *self.cables]:
            if out != socket:
                self._send(out, frame)

    def _later(self, socket: str, frame: bytes) -> None:
        self.schedule.after(LATENCY_S, lambda: self.receive(socket, frame))

    def _send(self, socket: str, frame: bytes) -> None:
        if socket in self.cables:
            if frame[:6] != BEACON_GROUP:
                self.schedule.after(LATENCY_S, lambda: self.cables[socket](frame))
        elif socket in self.hosts:
            self.schedule.after(LATENCY_S, lambda: self.hosts[socket].take(frame))
        else:
            node, network = self.nodes[socket]
            self.schedule.after(LATENCY_S, lambda: node.port_of(network).send(frame))
