import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from l2mesh.datapath.interface import (
    GSO_TCP4,
    Command,
    Deliver,
    Endpoint,
    HandshakeReceived,
    Offload,
    OpenPort,
    Path,
    PortOffloads,
    Received,
    SendDatagram,
    Transmit,
    Upcall,
)
from l2mesh.node.effects import Effect, NetworkChanged
from l2mesh.runtime.driver import BATCH, Driver
from l2mesh.runtime.underlay import Listen, Underlay
from l2mesh.runtime.virtio import emit_header
from tests.unit.runtime.fakes import FakeCore, FakeEngine

NETWORK = 7
FRAME = bytes(range(14)) + b"payload"
DATAGRAM = b"\x80 to the port"
# of TCP over IPv4, whose sender takes marks, behind its virtio header
SUPERFRAME = (
    emit_header(Offload(GSO_TCP4, 1448, 34, 16, needs_csum=True), FRAME[:12] + bytes(60))
    + FRAME[:12]
    + bytes([0x08, 0x00, 0x45, 0b10])
    + bytes(50)
)


@dataclass
class Bench:
    """A started driver, a UDP peer, and the far end of the network's port."""

    engine: FakeEngine
    core: FakeCore
    driver: Driver[Effect]
    peer: socket.socket
    near: socket.socket
    far: socket.socket
    now: list[float]
    effects: list[Effect] = field(default_factory=list)

    @property
    def address(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.driver.underlay.port)

    async def receive(self, sock: socket.socket) -> bytes:
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.sock_recv(sock, 65536), 5)


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    engine, core, now = FakeEngine(NETWORK), FakeCore(), [100.0]
    effects: list[Effect] = []
    underlay = Underlay(Listen("127.0.0.1", 0))
    driver: Driver[Effect] = Driver(engine, core, underlay, lambda: now[0], effects.append)
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0))
    peer.setblocking(False)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setblocking(False)
    far.setblocking(False)
    engine.remote = Endpoint(*peer.getsockname())
    driver.start()
    driver.attach_port(NETWORK, near.fileno())
    yield Bench(engine, core, driver, peer, near, far, now, effects)
    driver.close()
    underlay.close()
    for sock in (peer, near, far):
        sock.close()


async def until(is_true: Callable[[], object]) -> None:
    """Lets the loop run until something holds."""
    async with asyncio.timeout(5):
        while not is_true():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_frame_from_port_leaves_as_datagram(bench: Bench) -> None:
    bench.far.send(FRAME)
    assert await bench.receive(bench.peer) == FRAME


@pytest.mark.asyncio
async def test_datagram_is_delivered_to_port_with_its_source(bench: Bench) -> None:
    bench.peer.sendto(DATAGRAM, bench.address.address)
    assert await bench.receive(bench.far) == DATAGRAM
    assert bench.engine.sources == [Endpoint(*bench.peer.getsockname())]
    assert type(bench.engine.sources[0]) is Endpoint


@pytest.mark.asyncio
async def test_upcall_reaches_core_and_its_outputs_go_their_ways(bench: Bench) -> None:
    command = OpenPort(NETWORK, b"\x02" + bytes(5), 1500)
    bench.core.answers = [command, NetworkChanged(NETWORK)]
    bench.peer.sendto(b"\x01 hello", bench.address.address)
    await until(lambda: bench.effects)
    assert [type(upcall) for upcall in bench.core.upcalls] == [HandshakeReceived]
    assert bench.engine.executed == [command]
    assert bench.effects == [NetworkChanged(NETWORK)]


@pytest.mark.asyncio
async def test_what_an_upcall_brings_about_stands_before_the_next_datagram(bench: Bench) -> None:
    # the first lets the core install what the second needs; both wait in the socket
    bench.core.answers = [OpenPort(9, bytes(6), 1500)]
    handle, executed = bench.engine.handle_datagram, []

    def watch(datagram: bytes, source: Endpoint, now: float) -> None:
        executed.append(len(bench.engine.executed))
        handle(datagram, source, now)

    bench.engine.handle_datagram = watch  # type: ignore[method-assign]
    for datagram in (b"\x01 ready", DATAGRAM):
        bench.peer.sendto(datagram, bench.address.address)
    assert await bench.receive(bench.far) == DATAGRAM
    assert executed == [0, 1]


@pytest.mark.asyncio
async def test_outputs_of_a_command_are_sent_at_once(bench: Bench) -> None:
    def execute(command: object, now: float) -> None:
        assert isinstance(command, SendDatagram)
        bench.engine.outputs.append(Transmit(command.datagram, command.path.endpoint))

    bench.engine.execute = execute  # type: ignore[method-assign]
    bench.core.answers = [SendDatagram(b"answer", Path(Endpoint(*bench.peer.getsockname())))]
    bench.peer.sendto(b"\x01 hello", bench.address.address)
    assert await bench.receive(bench.peer) == b"answer"


@pytest.mark.asyncio
async def test_broken_handler_is_logged_and_counted_and_traffic_goes_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.core.breaks = True
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            bench.peer.sendto(b"\x01", bench.address.address)
        await until(lambda: len(bench.core.upcalls) == 3)
    await until(lambda: bench.driver.counters()["internal_errors"] == 3)
    assert [record.getMessage() for record in caplog.records] == [
        "internal error in core.handle_upcall of HandshakeReceived: broken core"
    ]
    bench.peer.sendto(DATAGRAM, bench.address.address)
    assert await bench.receive(bench.far) == DATAGRAM


@pytest.mark.asyncio
async def test_broken_engine_stops_no_reader(bench: Bench) -> None:
    bench.engine.breaks = True
    bench.peer.sendto(DATAGRAM, bench.address.address)
    await until(lambda: "internal_errors" in bench.driver.counters())
    bench.engine.breaks = False
    bench.peer.sendto(DATAGRAM, bench.address.address)
    assert await bench.receive(bench.far) == DATAGRAM


@pytest.mark.asyncio
async def test_due_timers_of_engine_and_core_run(bench: Bench) -> None:
    bench.engine.due = bench.core.due = bench.now[0]
    bench.driver.pump()
    await until(lambda: bench.engine.timeouts and bench.core.timeouts)
    assert bench.engine.timeouts == bench.core.timeouts == [100.0]


@pytest.mark.asyncio
async def test_failing_timer_does_not_spin(bench: Bench) -> None:
    bench.core.breaks, bench.core.due = True, bench.now[0]
    bench.driver.pump()
    await until(lambda: bench.core.timeouts)
    for _ in range(50):
        bench.driver.pump()
        await asyncio.sleep(0)
    assert len(bench.core.timeouts) == 1


@pytest.mark.asyncio
async def test_one_wake_reads_a_bounded_batch_of_frames(bench: Bench) -> None:
    bench.driver.detach_port(NETWORK)
    for _ in range(BATCH + 1):
        bench.far.send(FRAME)
    bench.driver.attach_port(NETWORK, bench.near.fileno())
    seen = []
    bench.engine.handle_frame = lambda *frame: seen.append(frame)  # type: ignore[method-assign]
    wakes = []
    bench.engine.poll_upcall = lambda: wakes.append(len(seen))  # type: ignore[method-assign]
    await until(lambda: len(seen) == BATCH + 1)
    assert wakes[0] == BATCH


@pytest.mark.asyncio
@pytest.mark.parametrize(("at_once", "marks"), [(BATCH - 1, 0), (2 * BATCH + 1, 1)])
async def test_port_whose_queue_stands_tells_its_senders(
    bench: Bench, at_once: int, marks: int
) -> None:
    # each frame takes 2 ms: when the third wake reads its first one, 256 ms have passed
    seen: list[bytes] = []

    def watch(network: int, frame: bytes, now: float, offload: Offload | None = None) -> None:
        seen.append(frame)
        bench.now[0] += 0.002

    bench.engine.handle_frame = watch  # type: ignore[method-assign]
    bench.driver.attach_port(NETWORK, bench.near.fileno(), PortOffloads(checksum=True, tso=True))
    for total in range(at_once, 3 * BATCH, at_once):
        for _ in range(at_once):
            bench.far.send(SUPERFRAME)
        await until(lambda total=total: len(seen) == total)  # type: ignore[misc]
    assert [frame[15] for frame in seen].count(0b11) == marks
    assert bench.driver.counters().get("congestion_marks", 0) == marks


@pytest.mark.asyncio
async def test_socket_whose_queue_stands_tells_its_senders(bench: Bench) -> None:
    offload = Offload(GSO_TCP4, 1448, 34, 16, needs_csum=True)

    def deliver(batch: Sequence[Received], now: float) -> None:
        for _ in batch:
            bench.engine.outputs.append(Deliver(NETWORK, SUPERFRAME[10:], offload))
        bench.now[0] += 0.12

    bench.engine.handle_datagrams = deliver  # type: ignore[method-assign]
    bench.driver.attach_port(NETWORK, bench.near.fileno(), PortOffloads(checksum=True, tso=True))
    for count, is_marked in ((BATCH - 1, False), (2 * BATCH + 1, False), (3 * BATCH, True)):
        for _ in range(count):
            bench.peer.sendto(DATAGRAM, bench.address.address)
        written = [(await bench.receive(bench.far))[10:] for _ in range(count)]
        assert (0b11 in {frame[15] for frame in written}) == is_marked
        bench.now[0] += 1


@pytest.mark.asyncio
async def test_lost_port_is_detached_and_told(bench: Bench) -> None:
    lost: list[int] = []
    bench.driver.on_port_lost = lost.append
    bench.far.close()
    await until(lambda: lost)
    assert lost == [NETWORK]
    bench.peer.sendto(DATAGRAM, bench.address.address)
    await until(lambda: "port_write_no_port" in bench.driver.counters())


@pytest.mark.asyncio
async def test_effect_that_calls_the_core_needs_no_second_pump(bench: Bench) -> None:
    class Service:
        def __init__(self) -> None:
            self.seen: list[Effect] = []

        def __call__(self, effect: Effect) -> None:
            self.seen.append(effect)
            if len(self.seen) == 1:
                bench.core.outputs.append(NetworkChanged(2))
                driver.pump()

    service = Service()
    driver: Driver[Effect] = Driver(
        bench.engine, bench.core, bench.driver.underlay, lambda: 1.0, service
    )
    bench.core.outputs.append(NetworkChanged(1))
    driver.pump()
    assert service.seen == [NetworkChanged(1), NetworkChanged(2)]


@pytest.mark.asyncio
async def test_local_endpoints_reach_core(bench: Bench) -> None:
    bench.driver.set_local_endpoints((Endpoint("192.0.2.1", 9993),))
    assert bench.core.endpoints == (Endpoint("192.0.2.1", 9993),)


@pytest.mark.asyncio
async def test_an_answer_that_comes_while_core_and_engine_talk_is_not_dated_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the native engine's threads receive meanwhile; else a round trip would seem to take no time
    heard: list[float] = []

    def execute(command: Command, now: float) -> None:
        bench.now[0] += 0.003
        bench.engine.upcalls.append(HandshakeReceived(b"\1", Path(bench.address)))

    def handle_upcall(upcall: Upcall, now: float) -> None:
        heard.append(now)
        if len(heard) == 1:
            bench.core.outputs.append(SendDatagram(b"\1", Path(bench.address)))

    monkeypatch.setattr(bench.engine, "execute", execute)
    monkeypatch.setattr(bench.core, "handle_upcall", handle_upcall)
    bench.engine.upcalls.append(HandshakeReceived(b"\1", Path(bench.address)))
    bench.driver.pump()
    assert heard == [100.0, 100.003]
