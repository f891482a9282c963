"""An internet in memory: segments, hosts on them, lines that are slow and lossy, NATs between.

A datagram leaves by its host's line, passes the NATs out of its segment at the moment of sending,
and those into the receiver's segment when it arrives there, so that two NATs open towards each
other in the order of time. Lines have their own seeded randomness; nothing else is random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final, NamedTuple

from l2mesh.datapath.interface import Endpoint
from tests.simulator.journal import Journal
from tests.simulator.nat import Nat
from tests.simulator.nat64 import Nat64Gateway
from tests.simulator.schedule import Schedule

__all__ = ["Interface", "Internet", "Line", "Packet", "Segment"]

REORDER_S: Final = 0.02
"""A datagram that is to be overtaken waits up to so much longer."""
_IPV4_BYTES: Final = 28
_IPV6_BYTES: Final = 48

Receiver = Callable[[bytes, Endpoint], None]


@dataclass(slots=True)
class Line:
    """What joins one host to its segment; the same for both directions. Shares are 0..1."""

    latency_s: float = 0.01
    jitter_s: float = 0.0
    loss: float = 0.0
    reordered: float = 0.0
    duplicated: float = 0.0
    mtu: int = 1500
    is_up: bool = True


class Packet(NamedTuple):
    """A datagram as it left its host."""

    time: float
    sender: str
    source: Endpoint
    destination: Endpoint
    data: bytes


@dataclass(slots=True, eq=False)
class Segment:
    """Hosts that reach each other directly; a gateway leads to the segment outside."""

    name: str
    hosts: dict[str, Interface | Gateway] = field(default_factory=dict)
    gateway: Gateway | None = None
    """For IPv4."""
    gateway6: Gateway | None = None

    def gateway_to(self, host: str) -> Gateway | None:
        """The way out for this family of addresses."""
        return self.gateway6 if ":" in host else self.gateway


@dataclass(slots=True, eq=False)
class Gateway:
    """A NAT or firewall between two segments."""

    nat: Nat | Nat64Gateway
    inside: Segment
    outside: Segment


@dataclass(slots=True, eq=False)
class Interface:
    """A host's address on a segment."""

    owner: str
    address: str
    segment: Segment
    line: Line
    receive: Receiver
    sockets: dict[int, Receiver] = field(default_factory=dict)
    """Those of other ports than the daemon's."""
    hear: Receiver | None = None
    """Gets what is announced on the segment."""
    arrived: dict[tuple[str, str], float] = field(default_factory=dict)
    """Sender and address -> when the last datagram arrives: a line that does not reorder keeps the
    order of one way."""


class Internet:
    """All segments, and everything in flight."""

    def __init__(self, schedule: Schedule, random: Random, journal: Journal) -> None:
        self.schedule = schedule
        self.public = Segment("internet")
        self.segments = [self.public]
        self.taps: list[Callable[[Packet], None]] = []
        """Each hears every datagram that a host sends."""
        self.drops: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        """Datagrams by the name of the sending host."""
        self._random = random
        self._journal = journal
        self._cuts: set[tuple[str, str]] = set()

    def attach(
        self, owner: str, address: str, segment: Segment, line: Line, receive: Receiver
    ) -> Interface:
        """Give a host an address."""
        interface = Interface(owner, address, segment, line, receive)
        self._place(interface, segment, address)
        return interface

    def move(self, interface: Interface, address: str, segment: Segment) -> None:
        """The host has roamed: another address, perhaps another segment."""
        interface.segment.hosts.pop(interface.address, None)
        interface.segment, interface.address = segment, address
        self._place(interface, segment, address)

    def put_behind(self, nat: Nat, outside: Segment, name: str) -> Segment:
        """A new segment behind a NAT that has an address on ``outside``."""
        inside = Segment(name)
        gateway = Gateway(nat, inside, outside)
        inside.gateway = gateway
        self.segments.append(inside)
        assert nat.address not in outside.hosts
        outside.hosts[nat.address] = gateway
        return inside

    def renumber(self, nat: Nat, address: str) -> None:
        """The NAT was started anew: no mapping is left, and it has another outside address."""
        nat.reboot()
        for segment in self.segments:
            gateway = segment.hosts.pop(nat.address, None)
            if isinstance(gateway, Gateway):
                segment.hosts[address] = gateway
        nat.address = address

    def wall(self, inside: Segment, nat: Nat | Nat64Gateway, outside: Segment) -> None:
        """Lead a segment's IPv6 out through a firewall, for hosts that are attached afterwards."""
        inside.gateway6 = Gateway(nat, inside, outside)
        if nat.address:
            outside.hosts[nat.address] = inside.gateway6

    def cut(self, one: str, other: str, *, one_way: bool = False) -> None:
        """From now on nothing passes between two hosts, or nothing from the first to the other."""
        self._cuts.add((one, other))
        if not one_way:
            self._cuts.add((other, one))

    def heal(self) -> None:
        """Everybody reaches everybody again."""
        self._cuts.clear()

    def send(
        self,
        interface: Interface,
        port: int,
        data: bytes,
        destination: Endpoint,
        *,
        dies_outside: bool = False,
    ) -> None:
        """A host's socket sends a datagram, perhaps one with too low a TTL to get beyond its own
        NATs."""
        source = Endpoint(interface.address, port)
        self.sent[interface.owner] += 1
        for tap in self.taps:
            tap(Packet(self.schedule.now, interface.owner, source, destination, data))
        header = _IPV6_BYTES if ":" in destination.host else _IPV4_BYTES
        if len(data) + header > interface.line.mtu:
            self._drop("mtu", interface.owner, destination)
            return
        for delay in self._passes(interface.line):
            self._leave(interface, source, destination, data, delay, dies_outside=dies_outside)

    def announce(self, interface: Interface, port: int, data: bytes) -> None:
        """A host's socket sends to the group of its segment; everybody else there hears it."""
        source = Endpoint(interface.address, port)
        self.sent[interface.owner] += 1
        for other in interface.segment.hosts.values():
            if isinstance(other, Interface) and other is not interface and other.hear is not None:
                for late in self._passes(other.line):
                    self.schedule.after(late, partial(other.hear, data, source))

    # --- on the way -----------------------------------------------------------------------------

    def _place(self, interface: Interface, segment: Segment, address: str) -> None:
        assert address not in segment.hosts, f"{address} is taken"
        segment.hosts[address] = interface
        if ":" in address and segment.gateway6 is not None:
            segment.gateway6.outside.hosts[address] = segment.gateway6

    def _leave(
        self,
        interface: Interface,
        source: Endpoint,
        destination: Endpoint,
        data: bytes,
        delay: float,
        *,
        dies_outside: bool,
    ) -> None:
        """Out of the sender's segments, up to that of the receiver."""
        segment, now = interface.segment, self.schedule.now
        gateway: Gateway | None = None
        while (target := segment.hosts.get(destination.host)) is None:
            gateway = segment.gateway_to(destination.host)
            if gateway is None:
                self._drop("unreachable", interface.owner, destination)
                return
            destination = gateway.nat.destination(destination)
            outside = gateway.nat.outbound(source, destination, now)
            if outside is None:
                self._drop("forbidden", interface.owner, destination)
                return
            source, segment = outside, gateway.outside
        if dies_outside and (segment is self.public or segment is not interface.segment):
            self._drop("ttl", interface.owner, destination)
            return
        if target is gateway and not gateway.nat.hairpin:
            self._drop("hairpin", interface.owner, destination)
            return
        if isinstance(target, Interface):
            self._enter(interface.owner, target, source, destination, data, delay)
        else:
            arrive = partial(self._arrive, interface.owner, target, source, destination, data)
            self.schedule.after(delay, arrive)

    def _arrive(
        self,
        sender: str,
        target: Gateway | Interface,
        source: Endpoint,
        destination: Endpoint,
        data: bytes,
    ) -> None:
        """Into the receiver's segments."""
        while isinstance(target, Gateway):
            inside = target.nat.inbound(source, destination, self.schedule.now)
            host = target.inside.hosts.get(inside.host) if inside is not None else None
            if inside is None or host is None:
                self._drop("unsolicited", sender, destination)
                return
            source, destination, target = target.nat.source(source), inside, host
        self._enter(sender, target, source, destination, data, 0.0)

    def _enter(
        self,
        sender: str,
        target: Interface,
        source: Endpoint,
        destination: Endpoint,
        data: bytes,
        delay: float,
    ) -> None:
        """Over the receiver's line."""
        if (sender, target.owner) in self._cuts:
            self._drop("cut", sender, destination)
            return
        header = _IPV6_BYTES if ":" in destination.host else _IPV4_BYTES
        if len(data) + header > target.line.mtu:
            self._drop("mtu", sender, destination)
            return
        for late in self._passes(target.line):
            time = self.schedule.now + delay + late
            if not target.line.reordered:
                way = sender, source.host
                time = max(time, target.arrived.get(way, 0.0))
                target.arrived[way] = time
            self.schedule.at(
                time, partial(self._deliver, sender, target, source, destination, data)
            )

    def _deliver(
        self, sender: str, target: Interface, source: Endpoint, destination: Endpoint, data: bytes
    ) -> None:
        if target.segment.hosts.get(destination.host) is not target:
            self._drop("moved", sender, destination)
            return
        self._journal.note(
            self.schedule.now, target.owner, "datagram", (sender, data[0], len(data), source)
        )
        target.sockets.get(destination.port, target.receive)(data, source)

    def _passes(self, line: Line) -> Iterator[float]:
        """The delay of each copy that a line lets through: none, one or two."""
        random = self._random
        if not line.is_up:
            self.drops["down"] += 1
            return
        if line.loss and random.random() < line.loss:
            self.drops["loss"] += 1
            return
        copies = 2 if line.duplicated and random.random() < line.duplicated else 1
        for _ in range(copies):
            late = random.random() * line.jitter_s if line.jitter_s else 0.0
            if line.reordered and random.random() < line.reordered:
                late += random.random() * REORDER_S
            yield line.latency_s + late

    def _drop(self, reason: str, sender: str, destination: Endpoint) -> None:
        self.drops[reason] += 1
        self._journal.note(self.schedule.now, sender, "lost", (reason, destination))
