"""Unix sockets below paths of any length.

A socket's address has room for a path of 107 bytes. Behind ``/proc/self/fd`` every directory has a
short one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["short_path"]

MAX_PATH_BYTES: Final = 107
"""sun_path of unix(7) without its zero byte."""


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A path of the same socket that can be bound and connected to, inside the block.

    OSError when the directory of a path that is too long cannot be opened.
    """
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
