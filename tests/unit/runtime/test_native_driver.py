"""The native engine's threads carry datagrams; the event loop keeps the core's time."""

import asyncio
import os

import pytest

from l2mesh.datapath.interface import Command, Endpoint, Path, SendDatagram
from l2mesh.node.effects import Effect
from l2mesh.runtime.clock import boot_clock
from l2mesh.runtime.underlay import Listen, Underlay
from tests.unit.runtime.fakes import FakeCore

native = pytest.importorskip("l2mesh.datapath.native", reason="the native engine is not built")


class Clockwork(FakeCore):
    """A core that wants to be called once, and then sends one datagram."""

    def __init__(self, command: Command) -> None:
        super().__init__()
        self.command = command
        self.due = boot_clock() + 0.05

    def handle_timeout(self, now: float) -> None:
        super().handle_timeout(now)
        self.outputs.append(self.command)


@pytest.mark.asyncio
async def test_the_core_is_called_in_time_and_the_engine_sends_what_it_says() -> None:
    from l2mesh.runtime.native_driver import NativeDriver

    underlay = Underlay(Listen("127.0.0.1", 0))
    heard: list[Effect] = []
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[bytes] = asyncio.Queue()

    class Peer(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            received.put_nowait(data)

    transport, _ = await loop.create_datagram_endpoint(Peer, local_addr=("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")
    core = Clockwork(SendDatagram(b"in time", Path(Endpoint(host, port))))
    engine = native.NativeEngine(os.urandom)
    driver = NativeDriver(engine, core, underlay, boot_clock, heard.append, engine)
    try:
        driver.start()
        assert await asyncio.wait_for(received.get(), 5) == b"in time"
        assert len(core.timeouts) == 1
    finally:
        driver.close()
        transport.close()
        underlay.close()


@pytest.mark.asyncio
async def test_an_engine_that_has_ended_is_told_and_a_fault_is_not() -> None:
    from l2mesh.runtime.native_driver import NativeDriver

    troubles = [native.Trouble(kind, 0, 0, "injected") for kind in ("panicked", "stopped")]

    class Troubled(native.NativeEngine):  # type: ignore[misc, name-defined]
        def poll_trouble(self) -> native.Trouble | None:  # type: ignore[name-defined]
            return troubles.pop(0) if troubles else None

    underlay = Underlay(Listen("127.0.0.1", 0))
    engine, told = Troubled(), list[str]()
    driver = NativeDriver(engine, FakeCore(), underlay, boot_clock, told.append, engine)
    driver.on_broken = told.append
    try:
        driver._on_reports()
        assert told == ["a thread of the engine has ended: injected"]
        assert driver.counters()["internal_errors"] == 2
    finally:
        driver.close()
        underlay.close()
