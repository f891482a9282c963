"""A socket for a moment, towards one endpoint."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.datapath.streams import SCOUT, is_stream
from l2mesh.runtime import scout as module
from l2mesh.runtime.scout import Scout
from l2mesh.runtime.underlay import Listen, Underlay

Got = asyncio.Queue[tuple[bytes, Endpoint]]


@pytest.fixture
def underlay() -> Iterator[Underlay]:
    underlay = Underlay(Listen("127.0.0.1", 0))
    yield underlay
    underlay.close()


@pytest.fixture
def planet() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5.0)
        yield sock


def queue_of(underlay: Underlay) -> Got:
    """What goes up to the engine."""
    got: Got = asyncio.Queue()
    underlay.streams.deliver = lambda datagram, endpoint: got.put_nowait((datagram, endpoint))
    return got


def place(sock: socket.socket) -> Endpoint:
    return Endpoint(*sock.getsockname())


@pytest.mark.asyncio
async def test_datagrams_pass_by_a_port_of_its_own(
    underlay: Underlay, planet: socket.socket
) -> None:
    got, scout = queue_of(underlay), Scout(underlay)
    assert is_stream(SCOUT)
    scout.open(place(planet))
    underlay.send(b"where", SCOUT)
    question, source = planet.recvfrom(100)
    assert question == b"where" and source[1] != underlay.port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"here", source)
    planet.sendto(b"there", source)
    assert await got.get() == (b"there", SCOUT) and got.empty()
    scout.close()
    underlay.send(b"late", SCOUT)
    assert underlay.counters["stream_closed"] == 1
    scout.close()


@pytest.mark.asyncio
async def test_next_one_takes_the_place_of_the_last(
    underlay: Underlay, planet: socket.socket
) -> None:
    scout = Scout(underlay)
    sources = []
    for _ in range(2):
        scout.open(place(planet))
        underlay.send(b"where", SCOUT)
        sources.append(planet.recvfrom(100)[1])
    assert sources[0] != sources[1]
    scout.close()


@pytest.mark.asyncio
async def test_ends_by_itself(
    underlay: Underlay, planet: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVES_S", 0.01)
    closed: asyncio.Queue[Endpoint] = asyncio.Queue()
    underlay.streams.on_closed = closed.put_nowait
    Scout(underlay).open(place(planet))
    assert await closed.get() == SCOUT


@pytest.mark.asyncio
async def test_nowhere_to_go_is_no_failure(underlay: Underlay) -> None:
    """IPv6 from an IPv4 address."""
    scout = Scout(underlay)
    scout.open(Endpoint("2001:db8::1", 9993))
    underlay.send(b"where", SCOUT)
    assert underlay.counters["stream_closed"] == 1
    scout.close()
