import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import pytest
import pytest_asyncio

from l2mesh.cli.client import request
from l2mesh.cli.failure import Failure
from l2mesh.errors import ConfigError, StateError
from l2mesh.service import api
from l2mesh.service.api import ApiError, ApiServer, Method


async def echo(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return dict(arguments)


async def refuse(arguments: Mapping[str, Any]) -> dict[str, Any]:
    raise ApiError("not_found", "nothing here", hint="look elsewhere")


async def fail(arguments: Mapping[str, Any]) -> dict[str, Any]:
    raise {"config": ConfigError("bad"), "state": StateError("no"), "bug": KeyError("k")}[
        arguments["how"]
    ]


waiting: list[asyncio.Event] = []


async def wait(arguments: Mapping[str, Any]) -> dict[str, Any]:
    try:
        await asyncio.Event().wait()
    finally:
        waiting[0].set()
    return {}


async def count(arguments: Mapping[str, Any], send: Any) -> dict[str, Any]:
    for number in range(3):
        await send({"number": number})
    if arguments.get("fails"):
        raise ApiError("failed", "lost count")
    return {"total": 3}


METHODS = {
    "count": Method(count, sends=True),
    "echo": Method(echo),
    "refuse": Method(refuse),
    "fail": Method(fail),
    "wait": Method(wait),
    "write": Method(echo, writes=True),
}


@pytest.mark.asyncio
async def test_socket_may_be_below_any_path(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 30) / ("path" * 30) / "node.sock"
    server = ApiServer(path, METHODS)
    await server.start()
    assert await asyncio.to_thread(request, str(path), "echo", {"a": 1}) == {"a": 1}
    with pytest.raises(ConfigError, match="running and answers"):
        ApiServer(path, METHODS)
    await server.close()
    assert not path.exists()
    with pytest.raises(Failure, match=r"no daemon answers at .*longlong"):
        request(str(path), "echo", {})


@pytest.mark.asyncio
async def test_what_changes_something_is_answered_once_it_is_kept(tmp_path: Path) -> None:
    settled, asked = asyncio.Event(), asyncio.Event()

    async def settle() -> None:
        asked.set()
        await settled.wait()

    server = ApiServer(tmp_path / "node.sock", METHODS, settled=settle)
    await server.start()
    socket_path = str(server.path)
    assert await asyncio.to_thread(request, socket_path, "echo", {"a": 1}) == {"a": 1}
    assert not asked.is_set()
    writing = asyncio.create_task(asyncio.to_thread(request, socket_path, "write", {"b": 2}))
    await asked.wait()
    assert not writing.done()
    settled.set()
    assert await writing == {"b": 2}
    await server.close()


@pytest_asyncio.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    waiting[:] = [asyncio.Event()]
    server = ApiServer(tmp_path / "run" / "node.sock", METHODS)
    await server.start()
    yield server.path
    await server.close()
    assert not server.path.exists()


async def ask(path: Path, request: object) -> Any:
    return await ask_bytes(path, msgpack.packb(request))


async def ask_bytes(path: Path, data: bytes) -> Any:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(struct.pack(">I", len(data)) + data[:100_000])
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return msgpack.unpackb(answer[4:]) if answer else None


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", [False, True])
async def test_parts_come_before_the_answer(path: Path, *, fails: bool) -> None:
    parts: list[dict[str, Any]] = []
    ask = partial(request, str(path), "count", {"fails": fails}, on_part=parts.append)
    if fails:
        with pytest.raises(Failure, match="lost count"):
            await asyncio.to_thread(ask)
    else:
        assert await asyncio.to_thread(ask) == {"total": 3}
    assert parts == [{"number": 0}, {"number": 1}, {"number": 2}]


@pytest.mark.asyncio
async def test_request_is_answered(path: Path) -> None:
    assert await ask(path, {"verb": "echo", "arguments": {"a": 1}}) == {"result": {"a": 1}}
    assert await ask(path, {"verb": "echo", "new": 1}) == {"result": {}}


@pytest.mark.asyncio
async def test_socket_is_for_owner_and_group(path: Path) -> None:
    assert os.stat(path).st_mode & 0o777 == 0o660


@pytest.mark.asyncio
async def test_refusals_carry_code_message_and_hint(path: Path) -> None:
    assert await ask(path, {"verb": "refuse"}) == {
        "error": {"code": "not_found", "message": "nothing here", "hint": "look elsewhere"}
    }
    for how, code in {"config": "usage", "state": "failed", "bug": "failed"}.items():
        answer = await ask(path, {"verb": "fail", "arguments": {"how": how}})
        assert answer["error"]["code"] == code
    answer = await ask(path, {"verb": "fail", "arguments": {"how": "bug"}})
    assert answer["error"]["message"] == "internal error: KeyError"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "request_",
    [{}, [], 1, {"verb": 1}, {"verb": "echo", "arguments": []}, {"verb": "none"}, {1: 2}],
)
async def test_request_that_is_none_is_a_usage_error(path: Path, request_: object) -> None:
    assert (await ask(path, request_))["error"]["code"] == "usage"


@pytest.mark.asyncio
@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x81", b"\x81\xa4verb", b"\x91" * 5000])
async def test_bytes_that_are_no_request_are_a_usage_error(path: Path, data: bytes) -> None:
    assert (await ask_bytes(path, data))["error"]["code"] == "usage"


@pytest.mark.asyncio
async def test_large_request_is_refused_unread(path: Path) -> None:
    answer = await ask_bytes(path, bytes(api.MAX_REQUEST_BYTES + 1))
    assert "at most" in answer["error"]["message"]


@pytest.mark.asyncio
async def test_silent_client_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "REQUEST_S", 0.01)
    reader, writer = await asyncio.open_unix_connection(path)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await writer.wait_closed()


@pytest.mark.asyncio
async def test_client_that_goes_away_ends_its_request(path: Path) -> None:
    _, writer = await asyncio.open_unix_connection(path)
    data = msgpack.packb({"verb": "wait"})
    writer.write(struct.pack(">I", len(data)) + data)
    await writer.drain()
    writer.close()
    await asyncio.wait_for(waiting[0].wait(), 5)
    await writer.wait_closed()


@pytest.mark.asyncio
async def test_only_root_and_the_daemons_user_may_write(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await ask(path, {"verb": "write"}) == {"result": {}}
    monkeypatch.setattr(api, "_CREDENTIALS", FakeCredentials(uid=os.getuid() + 4242))
    answer = await ask(path, {"verb": "write"})
    assert answer["error"]["code"] == "not_permitted"
    assert await ask(path, {"verb": "echo"}) == {"result": {}}


class FakeCredentials:
    size = 12

    def __init__(self, uid: int) -> None:
        self.uid = uid

    def unpack(self, data: bytes) -> tuple[int, int, int]:
        return 1, self.uid, self.uid


@pytest.mark.asyncio
async def test_too_many_clients_are_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, writer = await asyncio.open_unix_connection(path)
    assert await ask(path, {"verb": "echo"}) == {"result": {}}
    monkeypatch.setattr(api, "MAX_CLIENTS", 1)
    answer = await ask(path, {"verb": "echo"})
    assert "busy" in answer["error"]["message"]
    writer.close()
    await writer.wait_closed()


@pytest.mark.asyncio
async def test_live_socket_is_not_taken_over(path: Path) -> None:
    with pytest.raises(ConfigError, match="a daemon is running and answers"):
        ApiServer(path, METHODS)
    assert await ask(path, {"verb": "echo"}) == {"result": {}}


def test_dead_socket_is_replaced_and_anything_else_left(tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(dead))

    async def take_over() -> None:
        server = ApiServer(dead, METHODS)
        await server.start()
        await server.close()

    asyncio.run(take_over())
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(ConfigError, match="it is no socket"):
        ApiServer(file, METHODS)
    assert file.read_text() == "precious"


def test_path_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot serve the local API"):
        ApiServer(tmp_path / ("x" * 120), METHODS)
