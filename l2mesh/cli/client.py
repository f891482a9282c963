"""One request to the daemon: a u32 length and MessagePack each way (see ``service/api.py``)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from l2mesh.cli.failure import Failure
from l2mesh.socketpath import short_path

__all__ = ["ANSWER_S", "NODE", "Wording", "request"]

MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
CONNECT_S: Final = 5.0
ANSWER_S: Final = 30.0
_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Wording:
    """How errors speak of a daemon."""

    name: str
    """What it is: `no NAME answers at ...`."""
    start_hint: str
    """What to do where none answers."""
    permit_hint: str
    """What to do where the socket is closed to us."""


NODE: Final = Wording(
    name="daemon",
    start_hint="start l2meshd, or name its socket with --socket or L2MESH_SOCKET",
    permit_hint="run the command with sudo, or become a member of the group l2mesh",
)


def request(
    path: str,
    verb: str,
    arguments: dict[str, Any],
    *,
    timeout_s: float = ANSWER_S,
    wording: Wording = NODE,
    on_part: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """The daemon's document; Failure when it refuses, is not there, or may not be asked.

    `on_part` gets what is sent ahead of it; then there is no end to the time the answer may take.
    """
    import msgpack

    with _connect(path, wording) as sock:
        data = msgpack.packb({"verb": verb, "arguments": arguments})
        sock.settimeout(timeout_s if on_part is None else None)
        try:
            sock.sendall(_LENGTH.pack(len(data)) + data)
            answer = _answer(sock)
            while on_part is not None and isinstance(answer, dict) and "part" in answer:
                on_part(answer["part"])
                answer = _answer(sock)
        except TimeoutError:
            raise Failure("timed_out", f"the {wording.name} did not answer in time") from None
        except (OSError, EOFError):
            raise Failure("unreachable", f"the {wording.name} ended while it was asked") from None
        except (ValueError, msgpack.UnpackException):
            answer = None
    if not isinstance(answer, dict):
        raise Failure("unreachable", f"what answers at {path} is no l2mesh {wording.name}")
    error = answer.get("error")
    if error is not None:
        raise Failure(error["code"], error["message"], hint=error.get("hint", ""))
    result: dict[str, Any] = answer["result"]
    return result


def _connect(path: str, wording: Wording) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(CONNECT_S)
    try:
        with short_path(Path(path)) as reachable:
            sock.connect(reachable)
    except OSError as error:
        sock.close()
        raise _unconnected(error, path, wording) from None
    return sock


def _unconnected(error: OSError, path: str, wording: Wording) -> Failure:
    match error:
        case PermissionError():
            return Failure("not_permitted", f"you may not use {path}", hint=wording.permit_hint)
        case FileNotFoundError() | ConnectionRefusedError():
            reason = ""
        case _:
            reason = f": {error.strerror or error}"
    message = f"no {wording.name} answers at {path}{reason}"
    return Failure("unreachable", message, hint=wording.start_hint)


def _answer(sock: socket.socket) -> Any:
    """One document; ValueError for one that is too long."""
    import msgpack

    (size,) = _LENGTH.unpack(_receive(sock, _LENGTH.size))
    if size > MAX_ANSWER_BYTES:
        raise ValueError("too long")
    return msgpack.unpackb(_receive(sock, size))


def _receive(sock: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes; EOFError when the other end closes before."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
