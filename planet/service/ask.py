"""Ask a running planet: one request and one answer over its Unix socket (`l2mesh.service.api`)."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Any, Final

import msgpack

from l2mesh.errors import MalformedPacket
from l2mesh.service.api import ApiError

__all__ = ["ask"]

ANSWER_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_LENGTH: Final = struct.Struct(">I")


def ask(path: Path, verb: str) -> dict[str, Any]:
    """The planet's answer.

    Raises OSError where no planet answers, TimeoutError after 10 s, ApiError where it refuses.
    """
    request = msgpack.packb({"verb": verb, "arguments": {}})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(ANSWER_S)
        sock.connect(str(path))
        sock.sendall(_LENGTH.pack(len(request)) + request)
        (size,) = _LENGTH.unpack(_read(sock, _LENGTH.size))
        if size > MAX_ANSWER_BYTES:
            raise MalformedPacket(f"an answer of {size} bytes is too long")
        answer = msgpack.unpackb(_read(sock, size))
    if "error" in answer:
        error = answer["error"]
        raise ApiError(error["code"], error["message"], hint=error.get("hint", ""))
    result: dict[str, Any] = answer["result"]
    return result


def _read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionResetError("the planet closed the connection")
        data += piece
    return data
