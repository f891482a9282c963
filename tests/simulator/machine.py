"""One running daemon: an engine and a core, driven as ``l2mesh.runtime.driver`` drives them.

The order of calls is the driver's, step for step; sockets, ports and the event loop's timer are the
simulator's. A fault that the driver would log and survive ends the simulation here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, get_args

from l2mesh.datapath.interface import Command, Deliver, Endpoint, Engine, Transmit, Upcall
from tests.simulator.journal import Journal
from tests.simulator.schedule import Schedule

__all__ = ["AnyCore", "Machine", "Surroundings"]

ROUNDS: Final = 32
MAX_WAKES: Final = 1000
"""A core that asks to be woken so often at one moment never gets on."""

_COMMANDS: Final[frozenset[type]] = frozenset(get_args(Command))


class AnyCore(Protocol):
    """What the three daemons have in common."""

    def handle_upcall(self, upcall: Upcall, now: float) -> None: ...
    def handle_timeout(self, now: float) -> None: ...
    def next_timeout(self) -> float | None: ...
    def poll_output(self) -> Any: ...
    def set_local_endpoints(self, endpoints: tuple[Endpoint, ...], now: float) -> None: ...


class Surroundings(Protocol):
    """The host around a machine."""

    name: str

    def transmit(self, datagram: bytes, endpoint: Endpoint) -> None:
        """Send by the UDP socket."""

    def deliver(self, network: int, frame: bytes) -> None:
        """Write to a port."""

    def carry_out(self, effect: Any) -> None:
        """What is not for the engine."""


class Machine:
    """Engine and core of one process. ``is_dead`` ends all it does, in the middle of anything."""

    def __init__(
        self,
        engine: Engine,
        core: AnyCore,
        host: Surroundings,
        schedule: Schedule,
        journal: Journal,
    ) -> None:
        self.engine = engine
        self.core = core
        self.is_dead = False
        self.sleeps_until = float("-inf")
        """Suspended until then: nothing is heard, and what is due comes late."""
        self.dies_after: int | None = None
        """So many outputs of the core are carried out, then the process is killed."""
        self.on_death: Callable[[], None] = lambda: None
        self._host = host
        self._schedule = schedule
        self._journal = journal
        self._armed = float("inf")
        self._core_due: float | None = None
        self._pumping = False
        self._wakes = 0
        self._woken_at = float("-inf")

    def handle_datagram(self, datagram: bytes, source: Endpoint) -> None:
        """The socket has received something."""
        if not self.is_dead and self._schedule.now >= self.sleeps_until:
            now = self._schedule.now
            self.engine.handle_datagram(datagram, source, now)
            self._flush(now)

    def handle_frame(self, network: int, frame: bytes) -> None:
        """The host has sent a frame into a port."""
        if not self.is_dead and self._schedule.now >= self.sleeps_until:
            now = self._schedule.now
            self.engine.handle_frame(network, frame, now)
            self._flush(now)

    def pump(self) -> None:
        """Carry out what the core wants by now; after every call of the core."""
        if self._pumping or self.is_dead:
            return
        now = self._schedule.now
        self._converse(None, now)
        self._rearm(now)

    def _flush(self, now: float) -> None:
        self._send_outputs()
        upcall = self.engine.poll_upcall()
        if upcall is not None:
            self._converse(upcall, now)
        self._rearm(now)

    def _send_outputs(self) -> None:
        while not self.is_dead and (output := self.engine.poll_output()) is not None:
            if isinstance(output, Transmit):
                self._host.transmit(output.datagram, output.endpoint)
            elif isinstance(output, Deliver):
                self._host.deliver(output.network, output.frame)

    def _converse(self, upcall: Upcall | None, now: float) -> None:
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
        finally:
            self._pumping = False
            self._core_due = self.core.next_timeout()
        self._schedule.after(0.0, self.pump)

    def _raise_upcalls(self, upcall: Upcall | None, now: float) -> None:
        if upcall is None:
            upcall = self.engine.poll_upcall()
        while upcall is not None and not self.is_dead:
            self._journal.note(now, self._host.name, "upcall", upcall)
            self.core.handle_upcall(upcall, now)
            upcall = self.engine.poll_upcall()

    def _carry_out(self, now: float) -> bool:
        carried = False
        while not self.is_dead and (output := self.core.poll_output()) is not None:
            carried = True
            self._journal.note(now, self._host.name, "output", output)
            if type(output) in _COMMANDS:
                self.engine.execute(output, now)
            else:
                self._host.carry_out(output)
            self._count_down()
        return carried

    def _count_down(self) -> None:
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after <= 0:
                self.is_dead = True
                self.on_death()

    def _rearm(self, now: float) -> None:
        due = min(
            (at for at in (self.engine.next_timeout(), self._core_due) if at is not None),
            default=None,
        )
        if due is not None and due < self._armed and not self.is_dead:
            self._armed = max(due, now)
            self._schedule.at(self._armed, lambda at=self._armed: self._on_timer(at))  # type: ignore[misc]

    def _on_timer(self, armed: float) -> None:
        if self.is_dead or armed != self._armed:
            return
        now = self._schedule.now
        if now < self.sleeps_until:
            self._armed = self.sleeps_until
            self._schedule.at(self._armed, lambda at=self._armed: self._on_timer(at))  # type: ignore[misc]
            return
        self._notice_spinning(now)
        self._armed = float("inf")
        engine_due = self.engine.next_timeout()
        if engine_due is not None and engine_due <= now:
            self.engine.handle_timeout(now)
        if self._core_due is not None and self._core_due <= now:
            self.core.handle_timeout(now)
        self._send_outputs()
        self._converse(None, now)
        self._rearm(now)

    def _notice_spinning(self, now: float) -> None:
        self._wakes = self._wakes + 1 if now == self._woken_at else 0
        self._woken_at = now
        if self._wakes > MAX_WAKES:
            due = (self.engine.next_timeout(), self.core.next_timeout())
            raise AssertionError(f"{self._host.name} does not get on at {now}: {due}")
