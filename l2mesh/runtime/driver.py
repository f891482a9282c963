"""The driver: carries bytes and time between sockets, ports, an engine and the core above it.

::

    UDP sockets -- handle_datagrams -> engine -- poll_upcall --> core
    port fds ---- handle_frame -----> engine <--- execute ----- core
    UDP sockets, port fds <-- poll_output -- engine       core -- effects --> on_effect

With the reference engine this loop *is* the data path, so it is written for speed: one flush a wake
and one reading of the clock (and one for each answer that the core gets while it talks), at most
`BATCH` datagrams or frames and `BATCH_BYTES` of one descriptor a wake (the event loop then visits
the other descriptors, so neither side starves), and the core is called only when the engine has
something to tell it. A queue that is not found empty for long is told to its senders (`standing`).

Everything runs in the event loop's thread. Whoever calls the core from outside (the local API, a
netlink watcher) does it in that thread and calls `pump` afterwards.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar, get_args

from l2mesh.datapath.interface import (
    GSO_UDP,
    Command,
    Deliver,
    Endpoint,
    Engine,
    PortOffloads,
    Received,
    SetPortOffloads,
    Transmit,
    TransmitTrain,
    Upcall,
)
from l2mesh.runtime.alarm import Alarm
from l2mesh.runtime.clock import Clock
from l2mesh.runtime.core import Core
from l2mesh.runtime.faults import FaultLog
from l2mesh.runtime.port import Port, SuperFrameRefused
from l2mesh.runtime.scout import Scout
from l2mesh.runtime.standing import Standing
from l2mesh.runtime.underlay import Underlay
from l2mesh.wire.data import Flag
from l2mesh.wire.datagram import DATA_BIT, DatagramType
from l2mesh.wire.relay import RELAY_HEADER_BYTES

__all__ = ["BATCH", "Driver"]

logger = logging.getLogger(__name__)

EffectT = TypeVar("EffectT")

BATCH: Final = 64
"""Datagrams or frames read from one descriptor a wake."""
BATCH_BYTES: Final = 128 * 1024
"""No more is read in that wake; what comes together is merged together."""
ROUNDS: Final = 32
"""How often core and engine may answer each other before the descriptors get their turn."""
KNOWN_ENDPOINTS: Final = 4096
"""Endpoints kept as objects, so that a peer's datagrams do not each make one; then cleared."""

_RELAY: Final = bytes([DatagramType.RELAY])
_CONTROL: Final = int(Flag.CONTROL)
_new = tuple.__new__  # a NamedTuple made without its own __new__ takes half the time
_COMMANDS: Final[frozenset[type]] = frozenset(get_args(Command))
_PORT_GONE: Final = frozenset({errno.EBADFD, errno.EBADF, errno.ENODEV, errno.ENXIO})


class Driver(Generic[EffectT]):
    """Drives one engine and one core on the running event loop.

    `on_effect` carries out what is not for the engine. `on_port_lost`, when set, hears of a port
    whose descriptor died under us (somebody deleted the device); the port is detached by then.
    `on_broken` hears why nothing is carried any more, when that is for good.
    """

    def __init__(
        self,
        engine: Engine,
        core: Core[EffectT],
        underlay: Underlay,
        clock: Clock,
        on_effect: Callable[[EffectT], None],
    ) -> None:
        self.engine = engine
        self.core = core
        self.underlay = underlay
        self.clock = clock
        self.scout = Scout(underlay)
        self.on_port_lost: Callable[[int], None] | None = None
        self.on_broken: Callable[[str], None] | None = None
        self._on_effect = on_effect
        self._counters: Counter[str] = Counter()
        self._ports: dict[int, Port] = {}
        self._known: dict[Any, Endpoint] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: Alarm | None = None
        self._core_due: float | None = None
        self._pumping = False
        self._failed = FaultLog(clock, self._counters).note
        underlay.streams.deliver = self._on_stream

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to read; call it inside the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._loop, self._on_timer)
        self._listen(self._loop)
        self.pump()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Has the loop call us for whatever comes."""
        for sock in self.underlay.sockets:
            receive = partial(self.underlay.receive, sock)
            queue = Standing(self._counters)
            loop.add_reader(sock.fileno(), partial(self._on_datagrams, receive, queue))
        for network, port in self._ports.items():
            self._read_port(loop, network, port)

    def _read_port(self, loop: asyncio.AbstractEventLoop, network: int, port: Port) -> None:
        queue = Standing(self._counters)
        loop.add_reader(port.fd, partial(self._on_frames, network, port, queue))

    def close(self) -> None:
        """Stops reading and timing. Sockets and ports stay open: they are their owners'."""
        if self._loop is None:
            return
        for sock in self.underlay.sockets:
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())
        for network in list(self._ports):
            self.detach_port(network)
        self.scout.close()
        if self._alarm is not None:
            self._alarm.cancel()
        self._loop = self._alarm = None

    def attach_port(
        self,
        network: int,
        fd: int,
        offloads: PortOffloads | None = None,
        queues: Sequence[int] = (),
    ) -> None:
        """Reads frames of `network` from `fd` and writes them to it, one frame a call.

        With `queues`, of which there are as many as workers, they are read there instead.
        `fd` is non-blocking and stays open until after `detach_port`; a port attached before is
        replaced. With `offloads` there is a virtio header before each frame, and whoever is behind
        `fd` understands these. The engine knows the port already.
        """
        assert not queues, "this driver has one worker"
        self.detach_port(network)
        port = self._ports[network] = Port(fd, offloads)
        if offloads is not None:
            self.engine.execute(SetPortOffloads(network, offloads), self.clock())
        if self._loop is not None:
            self._read_port(self._loop, network, port)

    def detach_port(self, network: int) -> None:
        """Lets go of a network's descriptor; nothing happens when there is none."""
        port = self._ports.pop(network, None)
        if port is None:
            return
        if port.offloads is not None:
            self.engine.execute(SetPortOffloads(network, PortOffloads()), self.clock())
        if self._loop is not None:
            self._loop.remove_reader(port.fd)

    def counters(self) -> dict[str, int]:
        """What the driver and its sockets counted; names are those of ``l2mesh counters``."""
        return dict(self._counters + self.underlay.counters)

    def name_uplinks(self, uplinks: tuple[int, ...]) -> None:
        """Datagrams that come by these interfaces have them as their uplink from now on."""
        self.underlay.name_uplinks(uplinks)

    # --- the data path --------------------------------------------------------------------------

    def _on_datagrams(self, receive: Callable[[], tuple[bytes, int, Any]], queue: Standing) -> None:
        now, is_left = self.clock(), True
        batch: list[Received] = []
        known, room = self._known, BATCH_BYTES
        try:
            while room > 0 and len(batch) < BATCH:
                datagrams, stride, source = receive()
                endpoint = known.get(source)
                if endpoint is None:
                    endpoint = self._remember(source)
                batch.append(_new(Received, (datagrams, stride, endpoint)))
                room -= len(datagrams)
                if _is_for_core(datagrams):
                    break  # the next datagram may need what comes of it: a relay's leg, a key
        except BlockingIOError:
            queue.emptied()
            is_left = False
        except OSError as error:
            self.underlay.count_receive(error)
        try:
            self.engine.handle_datagrams(batch, now)
        except Exception as error:  # noqa: BLE001 - a fault of ours on one datagram stops no daemon
            self._failed("engine.handle_datagrams", error)
        self._flush(now, queue if is_left else None)

    def _on_stream(self, datagram: bytes, endpoint: Endpoint) -> None:
        now = self.clock()
        try:
            self.engine.handle_datagrams([Received(datagram, 0, endpoint)], now)
        except Exception as error:  # noqa: BLE001 - nor one that came over a stream
            self._failed("engine.handle_datagrams", error)
        self._flush(now)

    def _on_frames(self, network: int, port: Port, queue: Standing) -> None:
        now = self.clock()
        handle, read, room = self.engine.handle_frame, port.read, BATCH_BYTES
        pass_on = queue.pass_on
        try:
            for _ in range(BATCH):
                frame, offload = read()
                if not frame:
                    self._lose_port(network, "closed")
                    break
                room -= len(frame)
                passed = pass_on(frame, offload, now)
                if passed is not None:
                    handle(network, passed, now, offload)
                if room <= 0:
                    break
        except BlockingIOError:
            queue.emptied()
        except OSError as error:
            self._on_read_error(network, error)
        except Exception as error:  # noqa: BLE001 - nor one on a frame
            self._failed("engine.handle_frame", error)
        self._flush(now)

    def _flush(self, now: float, queue: Standing | None = None) -> None:
        """Sends out what the engine has, and runs the core if the engine has something to tell.

        What is delivered came from `queue`, if that was left with something in it.
        """
        self._send_outputs(queue)
        upcall = self.engine.poll_upcall()
        if upcall is not None:
            self._converse(upcall, now)
        self._rearm(now)

    def _send_outputs(self, queue: Standing | None = None) -> None:
        poll, underlay = self.engine.poll_output, self.underlay
        while (output := poll()) is not None:
            if type(output) is Deliver:
                if queue is None or output.offload is None:
                    self._write(output)
                else:
                    self._write_on(output, queue)
            elif type(output) is TransmitTrain:
                underlay.send_train(*output)
            elif type(output) is Transmit:
                underlay.send(*output)

    def _write_on(self, deliver: Deliver, queue: Standing) -> None:
        """Writes what came from a queue that may stand, unless it is dropped for that."""
        frame = queue.pass_on(deliver.frame, deliver.offload, self.clock())
        if frame is not None:
            self._write(deliver._replace(frame=frame))

    def _write(self, deliver: Deliver) -> None:
        port = self._ports.get(deliver.network)
        if port is None:
            self._counters["port_write_no_port"] += 1
            return
        try:
            port.write(deliver)
        except SuperFrameRefused as error:
            self._refuse_superframes(deliver, port, error)
        except OSError as error:
            self._count_write(error)

    def _refuse_superframes(self, deliver: Deliver, port: Port, error: OSError) -> None:
        """The kernel takes none of this kind: do without, on all ports that come later, too."""
        assert port.offloads is not None and deliver.offload is not None
        is_udp = deliver.offload.gso_type == GSO_UDP
        kind = "tap_uso" if is_udp else "tap_tso"
        self._counters[f"{kind}_refused"] += 1
        self.underlay.offloads.leave_out(kind, f"the kernel refused it: {error}")
        port.offloads = port.offloads._replace(**{"uso" if is_udp else "tso": False})
        command = SetPortOffloads(deliver.network, port.offloads)
        self.engine.execute(command, self.clock())
        logger.warning("port of network=%016x: %s", deliver.network, error)

    def _remember(self, source: Any) -> Endpoint:
        """The endpoint of a socket address, from now on without making one."""
        if len(self._known) >= KNOWN_ENDPOINTS:
            self._known.clear()
        endpoint = source if isinstance(source, Endpoint) else Endpoint(source[0], source[1])
        self._known[source] = endpoint
        return endpoint

    # --- the core -------------------------------------------------------------------------------

    def pump(self) -> None:
        """Carries out what the core wants by now; call it after every call of the core."""
        if self._pumping:  # an effect called the core: the loop below sees its outputs
            return
        now = self.clock()
        self._converse(None, now)
        self._rearm(now)

    def set_local_endpoints(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Tells the core which addresses this host has."""
        self.core.set_local_endpoints(endpoints, self.clock())
        self.pump()

    def _converse(self, upcall: Upcall | None, now: float) -> None:
        """Lets core and engine talk until neither has more to say, or `ROUNDS` are over."""
        self._pumping = True
        try:
            for _ in range(ROUNDS):
                self._raise_upcalls(upcall, now)
                if not self._carry_out(now):
                    return
                self._send_outputs()
                upcall = self.engine.poll_upcall()
                if upcall is None:
                    return
                now = self.clock()  # it may answer, by another thread, what was sent just now
        finally:
            self._pumping = False
            self._core_due = self.core.next_timeout()
        self._call_soon(self.pump)

    def _raise_upcalls(self, upcall: Upcall | None, now: float) -> None:
        poll, handle = self.engine.poll_upcall, self.core.handle_upcall
        if upcall is None:
            upcall = poll()
        while upcall is not None:
            try:
                handle(upcall, now)
            except Exception as error:  # noqa: BLE001 - nor one in a handler
                self._failed(f"core.handle_upcall of {type(upcall).__name__}", error)
            upcall = poll()

    def _carry_out(self, now: float) -> bool:
        """Executes the core's outputs; whether there were any."""
        poll, execute, carried = self.core.poll_output, self.engine.execute, False
        while (output := poll()) is not None:
            carried = True
            try:
                if type(output) in _COMMANDS:
                    execute(output, now)  # type: ignore[arg-type]
                else:
                    self._on_effect(output)  # type: ignore[arg-type]
            except Exception as error:  # noqa: BLE001 - nor one in an effect
                self._failed(f"carrying out {type(output).__name__}", error)
        return carried

    # --- time -----------------------------------------------------------------------------------

    def _rearm(self, now: float) -> None:
        """Sets the timer. The core's deadline moves only when it is called, so it is not asked."""
        if self._alarm is not None:
            self._alarm.set(self.engine.next_timeout(), self._core_due, now)

    def _on_timer(self) -> None:
        now = self.clock()
        for name, machine in (("engine", self.engine), ("core", self.core)):
            due = machine.next_timeout()
            if due is None or due > now:
                continue
            try:
                machine.handle_timeout(now)
            except Exception as error:  # noqa: BLE001 - nor one in a timer
                self._failed(f"{name}.handle_timeout", error)
                if self._alarm is not None:
                    self._alarm.hold_off()
        self._send_outputs()
        self._converse(None, now)
        self._rearm(now)

    # --- what goes wrong ------------------------------------------------------------------------

    def _on_read_error(self, network: int, error: OSError) -> None:
        if error.errno in _PORT_GONE:
            self._lose_port(network, error.strerror or "gone")
        else:
            self._counters["port_read_errors"] += 1

    def _lose_port(self, network: int, reason: str) -> None:
        logger.error("port of network=%016x is lost: %s", network, reason)
        self._counters["ports_lost"] += 1
        self.detach_port(network)
        if self.on_port_lost is not None:
            self._call_soon(partial(self.on_port_lost, network))

    def _count_write(self, error: OSError) -> None:
        name = errno.errorcode.get(error.errno or 0, "unknown").lower()
        self._counters[f"port_write_{name}"] += 1

    def _call_soon(self, call: Callable[[], None]) -> None:
        if self._loop is not None:
            self._loop.call_soon(call)


def _is_for_core(datagram: bytes) -> bool:
    """Whether the engine will hand it up: a handshake or CONTROL, inside RELAY or not."""
    first = datagram[:1]
    if first == _RELAY:
        first = datagram[RELAY_HEADER_BYTES : RELAY_HEADER_BYTES + 1]
    return bool(first) and (first[0] < DATA_BIT or bool(first[0] & _CONTROL))
