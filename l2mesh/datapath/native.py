"""The native engine: the data path in Rust, of which `l2mesh.datapath._native` is the binding.

It is an engine like the reference one, with the same answers to the same calls. Importing this
module fails with ImportError where the extension has not been built; `tools/setup` builds it.
"""

from collections.abc import Sequence

from l2mesh.crypto import Random
from l2mesh.datapath import _native
from l2mesh.datapath.interface import (
    Activity,
    Command,
    DropReason,
    Endpoint,
    FdbEntry,
    Offload,
    Output,
    Received,
    Upcall,
)

__all__ = ["NativeEngine"]


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

    def execute(self, command: Command, now: float) -> None:
        """Carry out one command."""
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
        """Age tables."""
        self._engine.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is next needed."""
        return self._engine.next_timeout()

    def poll_output(self) -> Output | None:
        """The next datagram or frame to send out."""
        return self._engine.poll_output()

    def poll_upcall(self) -> Upcall | None:
        """The next upcall."""
        return self._engine.poll_upcall()

    def fdb(self, network: int, now: float) -> list[FdbEntry]:
        """The forwarding database of a network."""
        return self._engine.fdb(network, now)

    def activity(self, peer: bytes) -> Activity:
        """Traffic with a peer, as it is now."""
        return self._engine.activity(peer)

    def counters(self) -> dict[str, int]:
        """Totals by name."""
        return self._engine.counters()

    def drops(self) -> dict[DropReason, int]:
        """Drops by reason."""
        return self._engine.drops()
