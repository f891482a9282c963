"""The native engine: the data path in Rust, of which `l2mesh.datapath._native` is the binding.

It is an engine like the reference one, with the same answers to the same calls. After `run` it
carries sockets and ports by itself, on threads that never take the GIL: commands and questions go
there, upcalls come from there, and frames and datagrams do not pass Python any more. Importing this
module fails with ImportError where the extension has not been built; `tools/setup` builds it.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from l2mesh.crypto import Random
from l2mesh.datapath import _native
from l2mesh.datapath.interface import (
    Activity,
    Captured,
    Command,
    DropReason,
    Endpoint,
    FdbEntry,
    Offload,
    Output,
    PortOffloads,
    Received,
    Upcall,
)

__all__ = ["LOST", "STOPPED", "NativeEngine", "Trouble"]

LOST: Final = "lost"
STOPPED: Final = "stopped"


class Trouble(NamedTuple):
    """What a running engine tells besides upcalls."""

    kind: str
    """``lost``: the device of a port is gone; ``panicked``: a fault of ours, it goes on;
    ``stopped``: it does not."""
    network: int
    """Whose port, else 0."""
    code: int
    """errno, else 0."""
    reason: str


class NativeEngine:
    """See `l2mesh.datapath.interface.Engine`. Any thread may call it; calls wait for each other."""

    name = "native"

    def __init__(self, random: Random | None = None, bounds: object | None = None) -> None:
        """Without `random` the operating system's is used; both arguments are for tests.

        `bounds` has the attributes of `l2mesh.datapath.reference.Bounds`.
        """
        self._engine = engine = _native.Engine(random, bounds)
        # called for each frame or datagram: without a step in between
        self._handle_frame = engine.handle_frame
        self._handle_datagram = engine.handle_datagram
        self._runner: _native.Runner | None = None
        self._troubles: deque[Trouble] = deque()

    # --- running --------------------------------------------------------------------------------

    def run(
        self,
        groups: Sequence[Sequence[int]],
        *,
        tap_tso: bool = True,
        tap_uso: bool = True,
        udp_gso: bool = True,
        udp_gro: bool = True,
        nice: int = 0,
        busy_poll_us: int = 0,
    ) -> None:
        """Carries what comes from sockets and ports from now on, with one worker for each group.

        A group has at most one UDP socket of each family, all groups listen on the same port; and
        each names the same side door. What was given out before and not polled is lost. The
        descriptors are non-blocking, stay their owner's, and open until after `stop`. `nice` is
        added to the niceness of each worker's thread; where that is not permitted it is counted.
        One without work stays awake for `busy_poll_us` where more is likely to come within that.
        """
        self._runner = _native.Runner(
            self._engine,
            [list(group) for group in groups],
            tap_tso=tap_tso,
            tap_uso=tap_uso,
            udp_gso=udp_gso,
            udp_gro=udp_gro,
            nice=nice,
            busy_poll_us=busy_poll_us,
        )

    def attach_port(
        self, network: int, queues: Sequence[int], write: int, offloads: PortOffloads | None
    ) -> None:
        """Reads frames of a network from `queues`, one for each worker, and writes them to `write`.

        With `offloads` they are behind virtio headers. OSError when that cannot be done.
        """
        if self._runner is not None:
            self._runner.attach_port(network, list(queues), write, offloads)

    def detach_port(self, network: int) -> None:
        """Lets go of a port's descriptors: when this returns they may be closed."""
        if self._runner is not None:
            self._runner.detach_port(network)

    def set_uplinks(self, uplinks: Sequence[int]) -> None:
        """What comes by these interfaces has them as its uplink from now on."""
        if self._runner is not None:
            self._runner.set_uplinks(list(uplinks))

    def report_fd(self) -> int:
        """Readable when `poll_upcall` or `poll_trouble` has something; poll until neither has."""
        assert self._runner is not None
        return self._runner.report_fd()

    def poll_trouble(self) -> Trouble | None:
        """The next trouble that `poll_upcall` came across."""
        return self._troubles.popleft() if self._troubles else None

    def io_counters(self) -> dict[str, int]:
        """What happened to sockets and ports, by name."""
        return self._runner.io_counters() if self._runner is not None else {}

    def stop(self) -> None:
        """Carries out what was asked so far and ends the threads; may be called twice."""
        if self._runner is not None:
            self._runner.stop()

    def _sort_report(self, report: tuple[object, ...]) -> None:
        if report[0] == LOST:
            _, network, code = cast("tuple[str, int, int]", report)
            self._troubles.append(Trouble(LOST, network, code, ""))
        else:
            kind, reason = cast("tuple[str, str]", report)
            self._troubles.append(Trouble(kind, 0, 0, reason))

    # --- as every engine ------------------------------------------------------------------------

    def execute(self, command: Command, now: float) -> None:
        """Carry out one command."""
        if self._runner is not None:
            self._runner.execute(command)
        else:
            self._engine.execute(command, now)

    def handle_frame(
        self, network: int, frame: bytes, now: float, offload: Offload | None = None
    ) -> None:
        """One frame or super-frame read from a port."""
        self._handle_frame(network, frame, now, offload)

    def handle_datagram(self, datagram: bytes, source: Endpoint, now: float) -> None:
        """One datagram received by the UDP socket: a batch of one."""
        self._handle_datagram(datagram, source, now)

    def handle_datagrams(self, batch: Sequence[Received], now: float) -> None:
        """What one wake received."""
        self._engine.handle_datagrams(batch, now)

    def handle_timeout(self, now: float) -> None:
        """Age tables; a running engine does so by itself."""
        if self._runner is None:
            self._engine.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is next needed: never while it runs."""
        return None if self._runner is not None else self._engine.next_timeout()

    def poll_output(self) -> Output | None:
        """The next datagram or frame to send out: none while it runs."""
        return None if self._runner is not None else self._engine.poll_output()

    def poll_upcall(self) -> Upcall | None:
        """The next upcall."""
        if self._runner is None:
            return self._engine.poll_upcall()
        while (report := self._runner.poll_report()) is not None:
            if type(report) is not tuple:
                return cast("Upcall", report)
            self._sort_report(report)
        return None

    def fdb(self, network: int, now: float) -> list[FdbEntry]:
        """The forwarding database of a network."""
        return (self._runner or self._engine).fdb(network, now)

    def captured(self, network: int) -> list[Captured]:
        """What a capture keeps."""
        return (self._runner or self._engine).captured(network)

    def activity(self, peer: bytes) -> Activity:
        """Traffic with a peer, as it is now."""
        return (self._runner or self._engine).activity(peer)

    def counters(self) -> dict[str, int]:
        """Totals by name."""
        return (self._runner or self._engine).counters()

    def drops(self) -> dict[DropReason, int]:
        """Drops by reason."""
        return (self._runner or self._engine).drops()
