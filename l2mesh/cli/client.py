"""One request to the daemon: a u32 length and MessagePack each way (see ``service/api.py``)."""

from __future__ import annotations

import socket
import struct
from typing import Any, Final

from l2mesh.cli.failure import Failure

__all__ = ["request"]

MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
CONNECT_S: Final = 5.0
_LENGTH: Final = struct.Struct(">I")


def request(path: str, verb: str, arguments: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """The daemon's document; Failure when it refuses, is not there, or may not be asked."""
    import msgpack

    with _connect(path) as sock:
        data = msgpack.packb({"verb": verb, "arguments": arguments})
        sock.settimeout(timeout_s)
        try:
            sock.sendall(_LENGTH.pack(len(data)) + data)
            (size,) = _LENGTH.unpack(_receive(sock, _LENGTH.size))
            answer = msgpack.unpackb(_receive(sock, size)) if size <= MAX_ANSWER_BYTES else None
        except TimeoutError:
            raise Failure("timed_out", "the daemon did not answer in time") from None
        except (OSError, EOFError):
            raise Failure("unreachable", "the daemon ended while it was asked") from None
        except (ValueError, msgpack.UnpackException):
            answer = None
    if not isinstance(answer, dict):
        raise Failure("unreachable", f"what answers at {path} is no l2meshd")
    error = answer.get("error")
    if error is not None:
        raise Failure(error["code"], error["message"], hint=error.get("hint", ""))
    result: dict[str, Any] = answer["result"]
    return result


def _connect(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(CONNECT_S)
    try:
        sock.connect(path)
    except PermissionError:
        sock.close()
        raise Failure(
            "not_permitted",
            f"you may not use {path}",
            hint="run the command with sudo, or become a member of the group l2mesh",
        ) from None
    except OSError as error:
        sock.close()
        raise Failure(
            "unreachable",
            f"no daemon answers at {path}: {error.strerror or error}",
            hint="start l2meshd, or name its socket with --socket or L2MESH_SOCKET",
        ) from None
    return sock


def _receive(sock: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes; EOFError when the other end closes before."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
