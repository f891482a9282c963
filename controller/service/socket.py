"""The admin socket's place, also where the state directory's path is too long for a socket.

A Unix socket's path has room for 107 bytes. Behind ``/proc/self/fd`` any directory has a short one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["SOCKET", "socket_path"]

SOCKET: Final = "controller.sock"
MAX_PATH_BYTES: Final = 107


@contextmanager
def socket_path(state: Path) -> Iterator[Path]:
    """A path of the socket in `state` that can be bound and connected to, inside the block."""
    path = state / SOCKET
    if len(os.fsencode(path)) <= MAX_PATH_BYTES or not state.is_dir():
        yield path
        return
    descriptor = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}") / SOCKET
    finally:
        os.close(descriptor)
