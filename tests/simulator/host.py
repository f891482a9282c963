"""A host: addresses, a disk, ports and devices in memory, and a daemon that comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from l2mesh.datapath.interface import Endpoint, Engine
from l2mesh.datapath.streams import SCOUT
from l2mesh.node.effects import (
    ConfigureDevice,
    NetworkChanged,
    OpenScout,
    OpenStream,
    Persist,
    RemoveDevice,
    SendOpener,
)
from l2mesh.node.face import ReachableFace
from l2mesh.path.nat64 import Nat64
from l2mesh.wire.datagram import OPENER
from tests.simulator.internet import Interface, Internet, Line, Segment
from tests.simulator.journal import Journal
from tests.simulator.machine import AnyCore, Machine
from tests.simulator.schedule import Schedule

__all__ = ["PORT", "Boot", "Host", "Port"]

PORT: Final = 9993
SCOUT_S: Final = 1.0
"""A scout is closed after so long."""
RESOLVED_S: Final = 0.1
"""The resolver's answer."""

CoreT = TypeVar("CoreT", bound=AnyCore)
CoreT_co = TypeVar("CoreT_co", bound=AnyCore, covariant=True)


class Boot(Protocol[CoreT_co]):
    """Makes engine and core of a new process from what is on the disk."""

    def __call__(self, files: dict[str, bytes], now: float) -> tuple[Engine, CoreT_co]: ...


class Port:
    """A network's port in memory: what the host sends into it, and what came out of it."""

    def __init__(self, send: Callable[[bytes], None], clock: Callable[[], float]) -> None:
        self.send = send
        self.received: list[bytes] = []
        self.times: list[float] = []
        """When each of ``received`` came."""
        self.listeners: dict[str, Callable[[bytes], None]] = {}
        """Called for each frame, after it is in ``received``: programs on the host, by name."""
        self.keeps = True
        """Whether frames are remembered; a long run may do without."""
        self._clock = clock

    def deliver(self, frame: bytes) -> None:
        """A frame has come out of the port."""
        if self.keeps:
            self.received.append(frame)
            self.times.append(self._clock())
        for listen in list(self.listeners.values()):
            listen(frame)

    def forget(self) -> None:
        """Begin to remember anew."""
        self.received.clear()
        self.times.clear()


class Host(Generic[CoreT]):
    """One computer. Its ``files`` outlive the daemon, as do its devices' names."""

    def __init__(self, name: str, internet: Internet, schedule: Schedule, journal: Journal) -> None:
        self.name = name
        self.internet = internet
        self.schedule = schedule
        self.journal = journal
        self.interfaces: list[Interface] = []
        self.port = PORT
        self.files: dict[str, bytes] = {}
        self.devices: dict[int, ConfigureDevice] = {}
        self.ports: dict[int, Port] = {}
        self.machine: Machine | None = None
        self.boots = 0
        self.boot: Boot[CoreT] | None = None
        self.named: tuple[int, ...] = ()
        """Interfaces, from 1, that the daemon knows as uplinks beside the host's own choice."""
        self.nat64: Nat64 | None = None
        """By which its network leads to IPv4; the daemon hears of it 0.1 s after its start."""
        self.scout: tuple[Endpoint, int] | None = None
        """Whom the last scout speaks to, and its port."""
        self.scouts = 0
        self.unplugged: set[int] = set()
        self.lost_frames = 0
        """Delivered to a port that does not exist."""

    # --- addresses ------------------------------------------------------------------------------

    def attach(self, address: str, segment: Segment, line: Line | None = None) -> Interface:
        """Give the host an address."""
        hear = partial(self._receive_by, len(self.interfaces) + 1)
        interface = self.internet.attach(self.name, address, segment, line or Line(), hear)
        self.interfaces.append(interface)
        return interface

    def name_uplinks(self, *uplinks: int) -> None:
        """Tell the daemon of uplinks (1 is the first interface) beside the host's own choice."""
        self.named = uplinks
        if self.machine is not None:
            self._tell_uplinks(lost=False)

    def unplug(self, uplink: int) -> None:
        """A link goes down: the kernel tells, and routes elsewhere."""
        self._set_plugged(uplink, is_up=False)

    def plug_in(self, uplink: int) -> None:
        """It comes back, and the kernel's routes with it."""
        self._set_plugged(uplink, is_up=True)

    def _set_plugged(self, uplink: int, *, is_up: bool) -> None:
        first = self._first_up()
        self.interfaces[uplink - 1].line.is_up = is_up
        (self.unplugged.discard if is_up else self.unplugged.add)(uplink)
        self._tell_uplinks(lost=first != self._first_up())
        self.addresses_changed()

    def _first_up(self) -> int:
        return min(set(range(1, len(self.interfaces) + 1)) - self.unplugged, default=0)

    def _tell_uplinks(self, *, lost: bool) -> None:
        named = tuple(each for each in self.named if each not in self.unplugged)

        def tell(core: Any, now: float) -> None:
            assert isinstance(core, ReachableFace)
            core.set_uplinks(named, now, lost=lost)

        self.call(tell)

    def resolve_nat64(self, nat64: Nat64 | None) -> None:
        """The resolver tells of a prefix, another one, or none any more."""
        self.nat64 = nat64
        self._tell_nat64()

    def _tell_nat64(self) -> None:
        def tell(core: Any, now: float) -> None:
            assert isinstance(core, ReachableFace)
            core.set_nat64(self.nat64, now)

        if self.machine is not None:
            self.call(tell)

    def move(self, address: str, segment: Segment) -> None:
        """The host roams with its first interface, and the daemon hears of it."""
        self.internet.move(self.interfaces[0], address, segment)
        self.addresses_changed()

    def addresses_changed(self) -> None:
        """The daemon hears what addresses the host has."""
        self.call(lambda core, now: core.set_local_endpoints(self.endpoints, now))

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Own addresses with the daemon's port."""
        plugged = (each for each in self.interfaces if self._number(each) not in self.unplugged)
        return tuple(Endpoint(each.address, self.port) for each in plugged)

    @property
    def line(self) -> Line:
        """The line of the first interface."""
        return self.interfaces[0].line

    # --- the daemon -----------------------------------------------------------------------------

    @property
    def core(self) -> CoreT:
        """The running daemon's core."""
        assert self.machine is not None, f"{self.name} is down"
        return self.machine.core  # type: ignore[return-value]

    @property
    def engine(self) -> Engine:
        """The running daemon's engine."""
        assert self.machine is not None, f"{self.name} is down"
        return self.machine.engine

    def start(self) -> None:
        """Start the daemon from its files."""
        assert self.machine is None and self.boot is not None
        self.boots += 1
        now = self.schedule.now
        self.journal.note(now, self.name, "start", self.boots)
        engine, core = self.boot(self.files, now)
        self.machine = Machine(engine, core, self, self.schedule, self.journal)
        core.set_local_endpoints(self.endpoints, now)
        if self.named:
            self._tell_uplinks(lost=False)
        self.machine.pump()
        if self.nat64 is not None:
            self.schedule.after(RESOLVED_S, self._tell_nat64)

    def crash(self) -> None:
        """SIGKILL: nothing more is said, sent or written. Devices vanish with the process."""
        self.journal.note(self.schedule.now, self.name, "crash")
        if self.machine is not None:
            self.machine.is_dead = True
        self.machine = None
        self.devices.clear()

    def crash_after(self, outputs: int) -> None:
        """Be killed in the middle of what the core wants done, so many outputs from now."""
        assert self.machine is not None
        self.machine.dies_after = outputs
        self.machine.on_death = self.crash

    def restart(self) -> None:
        """Crash and start again at once."""
        self.crash()
        self.start()

    def suspend(self, seconds: float) -> None:
        """Close the lid: the clock goes on, nothing else does."""
        assert self.machine is not None
        self.machine.sleeps_until = self.schedule.now + seconds

    def call(self, function: Callable[[CoreT, float], Any]) -> Any:
        """Call the core from outside, as the local API does, and carry out what follows."""
        assert self.machine is not None, f"{self.name} is down"
        machine = self.machine
        result = function(self.core, self.schedule.now)
        machine.pump()
        return result

    # --- what the machine asks ------------------------------------------------------------------

    def receive(self, datagram: bytes, source: Endpoint) -> None:
        """A datagram has arrived."""
        if self.machine is not None:
            self.machine.handle_datagram(datagram, source)

    def transmit(self, datagram: bytes, endpoint: Endpoint) -> None:
        """Send by the endpoint's uplink, or the interface that leads to its family and segment."""
        port = self.port
        if endpoint == SCOUT:
            assert self.scout is not None
            endpoint, port = self.scout
        interface = self._interface_of(endpoint)
        if interface is not None:
            self.internet.send(interface, port, datagram, endpoint._replace(uplink=0))

    def open_nat(self, endpoint: Endpoint) -> None:
        """Send an opener as `transmit` sends."""
        interface = self._interface_of(endpoint)
        if interface is not None:
            to = endpoint._replace(uplink=0)
            self.internet.send(interface, self.port, OPENER, to, dies_outside=True)

    def _open_scout(self, endpoint: Endpoint) -> None:
        """Another socket, which hears nobody but this endpoint; those before it are closed."""
        self.scouts += 1
        port = self.port + self.scouts
        self.scout = endpoint, port

        closes_at = self.schedule.now + SCOUT_S

        def hear(datagram: bytes, source: Endpoint) -> None:
            if self.scout == (source, port) and self.schedule.now < closes_at:
                self.receive(datagram, SCOUT)

        interface = self._interface_of(endpoint)
        if interface is not None:
            interface.sockets = {port: hear}

    def _interface_of(self, endpoint: Endpoint) -> Interface | None:
        if endpoint.uplink:
            return self.interfaces[endpoint.uplink - 1]
        return self._interface_to(endpoint.host)

    def _receive_by(self, number: int, datagram: bytes, source: Endpoint) -> None:
        self.receive(datagram, source._replace(uplink=number if number in self.named else 0))

    def deliver(self, network: int, frame: bytes) -> None:
        """A frame for a port."""
        if network in self.devices:
            self.network_port(network).deliver(frame)
        else:
            self.lost_frames += 1

    def carry_out(self, effect: Any) -> None:
        """Effects that every daemon may have; roles add theirs."""
        match effect:
            case Persist(name, data) if data is not None:
                self.files[name] = data
            case Persist(name):
                self.files.pop(name, None)
            case ConfigureDevice():
                self.devices[effect.network] = effect
                self.device_made(effect.network, effect.name or f"lm{effect.network:x}"[:15])
            case RemoveDevice(network):
                self.devices.pop(network, None)
            case NetworkChanged():
                pass
            case SendOpener(endpoint):
                self.open_nat(endpoint)
            case OpenScout(endpoint):
                self._open_scout(endpoint)
            case OpenStream(planet, _):  # no TCP in this internet
                self.schedule.after(1.0, lambda: self._refuse_stream(planet))
            case _:
                raise AssertionError(f"{self.name}: nobody answers {effect!r}")

    def _refuse_stream(self, planet: bytes) -> None:
        if self.machine is None:
            return
        core = self.core
        assert isinstance(core, ReachableFace)
        core.stream_changed(planet, None, self.schedule.now)
        self.machine.pump()

    def device_made(self, network: int, name: str) -> None:
        """Tell the core that a device is there; only nodes have any."""

    def network_port(self, network: int) -> Port:
        """The port of a network; it outlives the daemon, so that a test can keep it."""
        port = self.ports.get(network)
        if port is None:
            port = Port(lambda frame: self._send_frame(network, frame), lambda: self.schedule.now)
            self.ports[network] = port
        return port

    def _send_frame(self, network: int, frame: bytes) -> None:
        if self.machine is not None and network in self.devices:
            self.machine.handle_frame(network, frame)

    def _number(self, interface: Interface) -> int:
        return self.interfaces.index(interface) + 1

    def _interface_to(self, address: str) -> Interface | None:
        family = ":" in address
        up = (each for each in self.interfaces if self._number(each) not in self.unplugged)
        usable = [each for each in up if (":" in each.address) == family]
        for each in usable:
            if address in each.segment.hosts:
                return each
        return usable[0] if usable else None
