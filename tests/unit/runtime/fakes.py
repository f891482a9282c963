"""An engine and a core of a few lines, for the tests of what drives them."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from l2mesh.datapath.interface import (
    Activity,
    Captured,
    Command,
    Deliver,
    DropReason,
    Endpoint,
    FdbEntry,
    HandshakeReceived,
    Offload,
    Output,
    Path,
    Received,
    Transmit,
    Upcall,
)


class FakeEngine:
    """Datagrams that begin with 1 go up, others to the port; frames go to `remote`."""

    name = "reference"

    def __init__(self, network: int = 7) -> None:
        self.network = network
        self.remote: Endpoint | None = None
        self.outputs: deque[Output] = deque()
        self.upcalls: deque[Upcall] = deque()
        self.executed: list[Command] = []
        self.sources: list[Endpoint] = []
        self.timeouts: list[float] = []
        self.due: float | None = None
        self.breaks = False

    def execute(self, command: Command, now: float) -> None:
        self.executed.append(command)

    def handle_frame(
        self, network: int, frame: bytes, now: float, offload: Offload | None = None
    ) -> None:
        if self.remote is not None:
            self.outputs.append(Transmit(frame, self.remote))

    def handle_datagram(self, datagram: bytes, source: Endpoint, now: float) -> None:
        self.sources.append(source)
        if self.breaks:
            raise RuntimeError("broken engine")
        if datagram[0] == 1:
            self.upcalls.append(HandshakeReceived(datagram, Path(source)))
        else:
            self.outputs.append(Deliver(self.network, datagram))

    def handle_datagrams(self, batch: Sequence[Received], now: float) -> None:
        for datagrams, stride, source in batch:
            for at in range(0, len(datagrams), stride or len(datagrams)):
                self.handle_datagram(datagrams[at : at + (stride or len(datagrams))], source, now)

    def handle_timeout(self, now: float) -> None:
        self.timeouts.append(now)
        self.due = None

    def next_timeout(self) -> float | None:
        return self.due

    def poll_output(self) -> Output | None:
        return self.outputs.popleft() if self.outputs else None

    def poll_upcall(self) -> Upcall | None:
        return self.upcalls.popleft() if self.upcalls else None

    def fdb(self, network: int, now: float) -> list[FdbEntry]:
        return []

    def captured(self, network: int) -> list[Captured]:
        return []

    def activity(self, peer: bytes) -> Activity:
        return Activity()

    def counters(self) -> dict[str, int]:
        return {"frames_in": 1}

    def drops(self) -> dict[DropReason, int]:
        return {}


class FakeCore:
    """Answers each upcall with what `answers` holds and remembers what it was told."""

    def __init__(self) -> None:
        self.upcalls: list[Upcall] = []
        self.outputs: deque[Any] = deque()
        self.answers: list[Any] = []
        self.endpoints: tuple[Endpoint, ...] = ()
        self.timeouts: list[float] = []
        self.due: float | None = None
        self.breaks = False

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        self.upcalls.append(upcall)
        if self.breaks:
            raise RuntimeError("broken core")
        self.outputs.extend(self.answers)

    def handle_timeout(self, now: float) -> None:
        self.timeouts.append(now)
        if self.breaks:
            raise RuntimeError("broken core")
        self.due = None

    def next_timeout(self) -> float | None:
        return self.due

    def poll_output(self) -> Any:
        return self.outputs.popleft() if self.outputs else None

    def set_local_endpoints(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        self.endpoints = endpoints
