"""What monitors are told over HTTP, and what a rude client gets."""

import asyncio
import json
from typing import Any

import pytest

from controller.api import health
from controller.api.health import HealthServer
from l2mesh.errors import ConfigError, StateError
from l2mesh.runtime.underlay import Listen

pytestmark = pytest.mark.asyncio


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def serve(check: Any = lambda: {"networks": 2}) -> HealthServer:
    server = HealthServer(Listen("127.0.0.1", 0), check)
    await server.start()
    return server


async def test_a_healthy_controller_says_ok() -> None:
    server = await serve()
    answer = await ask(server.ports[0], b"GET /healthz?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    head, body = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(body) == {"schema": "l2mesh.health/1", "status": "ok", "networks": 2}
    assert f"Content-Length: {len(body)}".encode() in head
    await server.close()


async def test_a_store_that_fails_is_503() -> None:
    def check() -> dict[str, Any]:
        raise StateError("no disk")

    server = await serve(check)
    answer = await ask(server.ports[0], b"GET /healthz HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ") and b"no disk" not in answer
    await server.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /healthz HTTP/1.1\r\n\r\n", b"405"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /healthz/../x HTTP/1.1\r\n\r\n", b"404"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"\xff\xfe \xff \xff\r\n\r\n", b"400"),
    ],
)
async def test_everything_else_is_refused(request_: bytes, status: bytes) -> None:
    server = await serve()
    answer = await ask(server.ports[0], request_)
    assert answer.startswith(b"HTTP/1.1 " + status)
    await server.close()


async def test_head_has_no_body() -> None:
    server = await serve()
    answer = await ask(server.ports[0], b"HEAD /healthz HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n")
    await server.close()


async def test_a_long_head_and_a_slow_client_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CLIENT_S", 0.05)
    server = await serve()
    assert await ask(server.ports[0], b"GET /healthz HTTP/1.1\r\nA: " + b"a" * 20_000) == b""
    assert await ask(server.ports[0], b"GET /hea") == b""
    await server.close()


async def test_a_taken_address_is_said_in_one_line() -> None:
    server = await serve()
    other = HealthServer(Listen("127.0.0.1", server.ports[0]), dict)
    with pytest.raises(ConfigError, match=r"cannot serve the API at 127\.0\.0\.1") as caught:
        await other.start()
    assert "--api" in caught.value.hint
    await server.close()
