"""The way out through an HTTP proxy, and proxies that are hostile."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import ConfigError
from l2mesh.runtime import dial
from l2mesh.runtime.streams import proxy as proxies
from l2mesh.runtime.streams.proxy import MAX_HEAD, Proxy, ProxyError, connect, judge, parse_proxy
from tests.unit.runtime.test_streams import Node, serving

TARGET = Endpoint("192.0.2.1", 9993)
YES = b"HTTP/1.1 200 Connection established\r\n\r\n"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[Proxy]:
    """A proxy that does what a test wants."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except OSError:
            pass  # the client is gone
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(handle(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield Proxy("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(answer: bytes, *, more: bytes = b"") -> Handler:
    """Answers to CONNECT; `more` follows again and again until nobody listens."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        while more:
            writer.write(more)
            await writer.drain()
        await reader.read()

    return handle


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction of a tunnel."""
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
    writer.close()


def leading_on(asked: list[bytes]) -> Handler:
    """An honest proxy, which keeps what it was asked."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head)
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(YES)
        try:
            await asyncio.gather(relay(reader, far_writer), relay(far_reader, writer))
        finally:
            far_writer.close()

    return handle


@pytest.mark.asyncio
async def test_stream_passes_a_proxy_that_wants_a_password(tmp_path: Path) -> None:
    asked: list[bytes] = []
    async with listening(leading_on(asked)) as there, serving(tmp_path) as (planet, at):
        url = f"http://user%40house:pass:word@{there.host}:{there.port}"
        node = Node(proxy=parse_proxy(url))
        stream = await node.open(at)
        assert stream is not None
        node.streams.send(b"through", stream)
        assert (await planet.got.get())[0] == b"through"
        await node.dialler.close()
    first, *fields = asked[0].decode().split("\r\n")
    assert first == f"CONNECT 127.0.0.1:{at.port} HTTP/1.1"
    assert f"Host: 127.0.0.1:{at.port}" in fields
    assert "Proxy-Authorization: Basic dXNlckBob3VzZTpwYXNzOndvcmQ=" in fields


@pytest.mark.asyncio
async def test_the_socket_to_the_proxy_carries_our_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[Endpoint] = []

    async def note(endpoint: Endpoint) -> socket.socket:
        dialled.append(endpoint)
        return await dial.dial(endpoint)

    monkeypatch.setattr(proxies, "dial", note)
    async with listening(saying(YES)) as there:
        sock = await connect(Proxy("localhost", there.port), TARGET)
        assert sock.getpeername() == (there.host, there.port)
        sock.close()
    assert dialled[-1] == Endpoint(there.host, there.port)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "more", "reason"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            b"",
            "wants a user name",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\nX: y\r\n\r\n",
            b"",
            "192.0.2.1:9993: 403 Forbidden",
        ),
        (b"HTTP/1.0 502 \x1b[2J\xff\r\n\r\n", b"", r"502 \?\[2J"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", b"", "302 Found"),
        (b"HTTP/1.1 200 OK\r\n", b"X: endless\r\n" * 500, "no end within 8192 bytes"),
        (b"HTTP/1.1 200 ", b"O" * 5000, "no end within 8192 bytes"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", b"", "no HTTP proxy"),
        (b"HTTP/2 200\r\n\r\n", b"", "no HTTP proxy"),
        (b"HTTP/1.1 999999\r\n\r\n", b"", "no HTTP proxy"),
        (b"\x16\x03\x01\x02\x00", b"", "no HTTP proxy"),
        (YES + b"hello", b"", "speaks for the planet"),
        (YES + YES, b"", "speaks for the planet"),
    ],
)
async def test_a_proxy_that_does_not_lead_on_is_told_apart(
    answer: bytes, more: bytes, reason: str
) -> None:
    async with listening(saying(answer, more=more)) as there:
        with pytest.raises(ProxyError, match=reason):
            await connect(there, TARGET)


@pytest.mark.asyncio
async def test_wrong_password_is_named_and_not_shown() -> None:
    async with listening(saying(b"HTTP/1.1 407 No\r\n\r\n")) as there:
        proxy = parse_proxy(f"http://user:secret@127.0.0.1:{there.port}")
        with pytest.raises(ProxyError, match="refuses ours") as refused:
            await connect(proxy, TARGET)
    assert proxy.basic is not None
    for text in (str(refused.value), refused.value.hint, str(proxy), repr(proxy)):
        assert "secret" not in text
        assert proxy.basic not in text


@pytest.mark.asyncio
async def test_silent_proxy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "ANSWER_S", 0.05)
    async with listening(saying(b"")) as there:
        with pytest.raises(ProxyError, match=r"did not answer within 0\.05 s"):
            await connect(there, TARGET)


@pytest.mark.asyncio
async def test_proxy_that_hangs_up_or_is_not_there() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with listening(hang_up) as there:
        with pytest.raises(ProxyError, match="closed the connection without an answer"):
            await connect(there, TARGET)
    with pytest.raises(ProxyError, match="cannot be reached: "):
        await connect(there, TARGET)
    for unknown in ("proxy.invalid", "x" * 100):
        with pytest.raises(ProxyError, match="is not known"):
            await connect(Proxy(unknown, 3128), TARGET)


@pytest.mark.asyncio
async def test_the_operator_hears_once_what_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(saying(b"HTTP/1.1 407 No\r\n\r\n")) as there:
        node = Node(proxy=there)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert await node.open(TARGET) is None
                await asyncio.sleep(0)
    warnings = [each.getMessage() for each in caplog.records if "no way out" in each.getMessage()]
    assert len(warnings) == 1
    assert "wants a user name" in warnings[0] and "--proxy http://USER:PASSWORD@" in warnings[0]


def test_an_answer_is_bounded_by_one_page_or_two() -> None:
    assert MAX_HEAD == 8192


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://192.0.2.5:3128", Proxy("192.0.2.5", 3128)),
        ("http://proxy.example/", Proxy("proxy.example", 80)),
        ("http://[2001:db8::5]:8080", Proxy("2001:db8::5", 8080)),
        ("http://a:b@h:1", Proxy("h", 1, "YTpi")),
        ("http://a@h:1", Proxy("h", 1, "YTo=")),
    ],
)
def test_url_of_a_proxy(url: str, proxy: Proxy) -> None:
    assert parse_proxy(url) == proxy


@pytest.mark.parametrize(
    "url",
    [
        "",
        "192.0.2.5:3128",
        "https://192.0.2.5:3128",
        "socks5://192.0.2.5",
        "http://",
        "http://:3128",
        "http://h:99999",
        "http://h:port",
        "http://h/path",
        "http://h?query",
        "http://[::1",
        "http://us%3Aer:secret@h",
        "http://us\udc80:secret@h",
        "http://a b",
        "http://h\x00",
    ],
)
def test_url_of_no_proxy_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="URL of the proxy") as refused:
        parse_proxy(url)
    assert "secret" not in str(refused.value)


@given(st.text(max_size=80) | st.from_regex(r"http://[^/]*(:[0-9]*)?/?", fullmatch=True))
def test_any_text_is_a_proxy_or_refused(text: str) -> None:
    try:
        proxy = parse_proxy(text)
    except ConfigError:
        return
    assert 0 <= proxy.port <= 65535 and proxy.host.isascii()


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 ", b"HTTP/1.0 407 "]),
)
def test_any_answer_leads_on_or_is_refused(answer: bytes, start: bytes) -> None:
    head = start + answer + b"\r\n\r\n"
    refused = ""
    try:
        judge(head, Proxy("h", 1), "192.0.2.1:1")
    except ProxyError as error:
        refused = str(error)
    is_success = re.match(rb"HTTP/1\.[01] 2\d\d( [^\r\n]*)?\r\n", head) is not None
    assert bool(refused) != (is_success and head.count(b"\r\n\r\n") == 1)
    assert refused.isprintable()
