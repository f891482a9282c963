"""Datagrams over TLS: a planet's server, a node's dialler, and what is between them."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.datapath.streams import is_stream, stream_endpoint
from l2mesh.errors import ConfigError
from l2mesh.node.effects import CloseStream, OpenStream
from l2mesh.path.candidate import acceptable
from l2mesh.runtime.streams import link, server
from l2mesh.runtime.streams.dialler import Dialler
from l2mesh.runtime.streams.door import SideDoor
from l2mesh.runtime.streams.proxy import Proxy
from l2mesh.runtime.streams.registry import Streams
from l2mesh.runtime.streams.server import StreamServer, bind
from l2mesh.runtime.underlay import Listen
from l2mesh.service.state import StateDirectory
from planet.service.certificate import tls_context

PLANET = b"p" * 32


class End:
    """Streams of one process, and what they brought."""

    def __init__(self) -> None:
        self.streams = Streams(Counter())
        self.streams.deliver = lambda datagram, endpoint: self.got.put_nowait((datagram, endpoint))
        self.got: asyncio.Queue[tuple[bytes, Endpoint]] = asyncio.Queue()


class Node(End):
    def __init__(self, *, proxy: Proxy | None = None) -> None:
        super().__init__()
        self.changes: asyncio.Queue[Endpoint | None] = asyncio.Queue()
        self.dialler = Dialler(
            self.streams, lambda _, stream: self.changes.put_nowait(stream), proxy=proxy
        )

    async def open(self, *endpoints: Endpoint) -> Endpoint | None:
        """The stream that came of dialling, if any."""
        self.dialler.carry_out(OpenStream(PLANET, endpoints))
        return await self.changes.get()


def context(folder: Path) -> ssl.SSLContext:
    """TLS of a planet whose state is in a folder."""
    folder.chmod(0o700)
    return tls_context(StateDirectory(folder))


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[End, Endpoint]]:
    """A planet's end, and where it listens."""
    end = End()
    sockets = bind(Listen("127.0.0.1", 0))
    at = Endpoint(*sockets[0].getsockname())
    stream_server = StreamServer(end.streams, sockets, context(folder))
    await stream_server.start()
    try:
        yield end, at
    finally:
        await stream_server.close()


@pytest.mark.asyncio
async def test_datagrams_pass_both_ways_and_keep_their_bounds(tmp_path: Path) -> None:
    async with serving(tmp_path) as (planet, at):
        node = Node()
        stream = await node.open(at)
        assert stream is not None
        sent = [os.urandom(size) for size in (1, 100, 2048)]
        for datagram in sent:
            node.streams.send(datagram, stream)
        got = [await planet.got.get() for _ in sent]
        assert [datagram for datagram, _ in got] == sent
        planet.streams.send(b"back", got[0][1])
        assert await node.got.get() == (b"back", stream)
        node.dialler.carry_out(CloseStream(stream))
        assert await node.changes.get() is None
        node.streams.send(b"late", stream)
        assert node.streams.counters["stream_closed"] == 1


@pytest.mark.asyncio
async def test_oversize_message_ends_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path) as (planet, at):
        node = Node()
        stream = await node.open(at)
        assert stream is not None
        node.streams.send(bytes(2049), stream)
        assert await node.changes.get() is None
        assert planet.got.empty()


@pytest.mark.asyncio
async def test_nobody_there_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, at):
        pass
    assert await Node().open(at) is None


@pytest.mark.asyncio
async def test_too_many_from_one_address_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_FROM_ONE", 1)
    async with serving(tmp_path) as (planet, at):
        first, second = Node(), Node()
        assert await first.open(at) is not None
        assert await second.open(at) is None
        assert planet.streams.counters["stream_refused"] == 1
        await first.dialler.close()


@pytest.mark.asyncio
async def test_idle_stream_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "IDLE_S", 0.01)
    async with serving(tmp_path) as (_, at):
        node = Node()
        assert await node.open(at) is not None
        assert await node.changes.get() is None


class Slow:
    """A stream whose queue is full."""

    def offer(self, datagram: bytes) -> bool:
        del datagram
        return False


def test_full_stream_drops_and_counts() -> None:
    streams = Streams(Counter())
    closed: list[Endpoint] = []
    streams.on_closed = closed.append
    endpoint = streams.add(Slow())
    streams.send(b"x", endpoint)
    assert streams.counters == {"stream_overflow": 1}
    streams.remove(endpoint)
    streams.remove(endpoint)
    assert closed == [endpoint]


def test_numbers_are_taken_up_again_as_late_as_possible() -> None:
    streams = Streams(Counter())
    first = streams.add(Slow())
    streams.remove(first)
    assert streams.add(Slow()) == stream_endpoint(2) != first
    assert is_stream(first)
    assert not is_stream(Endpoint("fd6c:326d:6574:1::1", 443))


def test_a_stream_is_no_candidate_of_anybody() -> None:
    assert not acceptable(stream_endpoint(7))


def test_certificate_is_made_once_and_a_broken_one_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    state = StateDirectory(tmp_path)
    tls_context(state)
    made = state.read("tls.pem")
    tls_context(state)
    assert state.read("tls.pem") == made
    state.write("tls.pem", b"nonsense")
    with pytest.raises(ConfigError, match="no key and certificate"):
        tls_context(state)


def test_port_that_is_taken_is_named() -> None:
    (taken,) = bind(Listen("127.0.0.1", 0))
    with taken, pytest.raises(ConfigError, match="cannot listen for TLS"):
        bind(Listen("127.0.0.1", taken.getsockname()[1]))


def test_side_door_passes_datagrams_with_their_endpoint() -> None:
    streams = Streams(Counter())
    sent: list[bytes] = []

    class Fast:
        def offer(self, datagram: bytes) -> bool:
            sent.append(datagram)
            return True

    endpoint = streams.add(Fast())
    door = SideDoor(streams)
    streams.receive(b"in", endpoint)
    message = os.read(door.engine_fd, 4096)
    assert message[18:] == b"in"
    os.write(door.engine_fd, message[:18] + b"out")
    door.receive()
    assert sent == [b"out"]
    for _ in range(5000):
        streams.receive(bytes(1400), endpoint)
    assert streams.counters["stream_overflow"] > 0
    door.close()
