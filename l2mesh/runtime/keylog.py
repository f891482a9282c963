"""The key log: for looking into captures of a mesh under test, never for a mesh in use.

Whoever has the log reads all that the node sends and receives. It is written only on demand
(``L2MESHD_KEY_LOG=FILE``), to a file of mode 0600, and the daemon says so loudly. One JSON object a
line for each key that the engine is given:

    {"direction": "receive", "session": 7, "network": "0000000000000000", "index": 1193046,
     "cipher": "AES_256_GCM", "key": "<64 hex>", "salt": "<8 hex>", "elided": ""}

``tools/dissect`` reads it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from l2mesh.datapath.interface import Command, Engine, InstallReceive, InstallSend
from l2mesh.errors import ConfigError

__all__ = ["WARNING", "KeyLoggingEngine"]

WARNING: Final = "all keys are written to a key log: whoever has it reads every frame"
"""What the log and ``status`` say while a key log is written."""


class KeyLoggingEngine:
    """An engine that writes down every key it is given; in all else the engine that it wraps.

    Frames and datagrams go to that engine without a detour: its methods are this one's.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        """Opens the log for appending; ConfigError when that is not possible.

        A file that others may read, and a symbolic link, are refused.
        """
        self._engine = engine
        self._fd = _open_private(path)
        self.name = engine.name
        self.handle_frame = engine.handle_frame
        self.handle_datagram = engine.handle_datagram
        self.handle_datagrams = engine.handle_datagrams
        self.handle_timeout = engine.handle_timeout
        self.next_timeout = engine.next_timeout
        self.poll_output = engine.poll_output
        self.poll_upcall = engine.poll_upcall
        self.fdb = engine.fdb
        self.captured = engine.captured
        self.activity = engine.activity
        self.counters = engine.counters
        self.drops = engine.drops

    def execute(self, command: Command, now: float) -> None:
        """Carries out one command, after writing down the key in it; OSError if the disk fails."""
        if isinstance(command, InstallReceive | InstallSend):
            os.write(self._fd, _line(command))
        self._engine.execute(command, now)

    def close(self) -> None:
        """Closes the log, once."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open_private(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except OSError as error:
        raise ConfigError(f"cannot write the key log {path}: {error.strerror}") from error
    if os.fstat(fd).st_mode & 0o077:
        os.close(fd)
        raise ConfigError(f"the key log {path} can be read by others", hint=f"chmod 600 {path}")
    return fd


def _line(command: InstallReceive | InstallSend) -> bytes:
    is_receive = isinstance(command, InstallReceive)
    elided = command.elided if isinstance(command, InstallReceive) else None
    entry = {
        "direction": "receive" if is_receive else "send",
        "session": command.session,
        "network": f"{command.network:016x}",
        "index": command.index,
        "cipher": command.cipher.name,
        "key": command.key.hex(),
        "salt": command.salt.hex(),
        "elided": (elided or b"").hex(),
    }
    return json.dumps(entry).encode() + b"\n"
