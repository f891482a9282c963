"""State on disk: a directory that only its daemon reads and writes.

::

    DIR/                  0700
      lock                held (flock) while a daemon runs
      schema              "1": the layout of what lies here
      identity.secret     0600, made once, never overwritten
      <name>              0600, whatever a core persists (`Persist`), relative paths

Every write goes to a temporary file, is synced, renamed over the old one, and the directory is
synced: a kill at any point leaves the old or the new file, whole. What we cannot read is never
overwritten; the daemon stops with a line that names the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from pathlib import Path
from typing import Final

from l2mesh.crypto import Crypto, Random
from l2mesh.errors import ConfigError
from l2mesh.identity import Identity

__all__ = ["SCHEMA", "StateDirectory"]

SCHEMA: Final = 1
IDENTITY: Final = "identity.secret"
RESERVED: Final = frozenset({"lock", "schema", IDENTITY, "node.sock"})
PUBLIC: Final = frozenset({"world"})
"""Files whose mode is not checked: there is nothing secret in them."""
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
TEMPORARY: Final = ".tmp-"

_NAME: Final = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,127}){0,3}"
)
_BEYOND_OWNER: Final = 0o077


class StateDirectory:
    """An open state directory. Blocking, but every operation is short."""

    def __init__(self, path: Path, *, reserved: frozenset[str] = frozenset()) -> None:
        """Makes the directory if need be and checks it; ConfigError says what is wrong with it.

        `reserved` are names of files that the service keeps for itself: `load` leaves them out.
        """
        self.path = path
        self._reserved = RESERVED | reserved
        self._lock_fd: int | None = None
        _prepare(path)
        self._check_schema()

    # --- one daemon -----------------------------------------------------------------------------

    def lock(self) -> None:
        """Holds the directory for this process; ConfigError when another one holds it."""
        fd = self._open("lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise ConfigError(
                f"{self.path} is in use by another daemon (process {holder})",
                hint="stop that one, or give this one a --state of its own",
            ) from error
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._lock_fd = fd
        self._remove_leftovers()

    def close(self) -> None:
        """Lets go of the lock; may be called twice."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    # --- files ----------------------------------------------------------------------------------

    def read(self, name: str) -> bytes | None:
        """A file's bytes, None when there is none; ConfigError when others may read it too."""
        path = self._path(name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error
        with os.fdopen(fd, "rb") as file:
            state = os.fstat(fd)
            if name not in PUBLIC and stat.S_IMODE(state.st_mode) & _BEYOND_OWNER:
                raise ConfigError(
                    f"{path} may be read by others than its owner", hint=f"run: chmod 600 {path}"
                )
            if state.st_size > MAX_FILE_BYTES:
                raise _corrupt(path, f"it is larger than {MAX_FILE_BYTES} bytes")
            return file.read()

    def write(self, name: str, data: bytes) -> None:
        """Puts a file in place of the old one, which stays whole if that fails (ConfigError)."""
        path = self._path(name)
        try:
            _make_directories(path.parent, self.path)
            temporary = _write_temporary(path, data)
            os.rename(temporary, path)
            _sync_directory(path.parent)
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}") from error

    def delete(self, name: str) -> None:
        """Removes a file; nothing happens when there is none."""
        path = self._path(name)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            _sync_directory(path.parent)

    def load(self) -> dict[str, bytes]:
        """All that cores have persisted, by name."""
        files: dict[str, bytes] = {}
        for path in sorted(self.path.rglob("*")):
            name = str(path.relative_to(self.path))
            if path.is_file() and name not in self._reserved and _NAME.fullmatch(name):
                data = self.read(name)
                if data is not None:
                    files[name] = data
        return files

    # --- the identity ---------------------------------------------------------------------------

    def identity(self, crypto: Crypto, random: Random) -> Identity:
        """Ours; drawn (a second of work at most) and kept if there is none yet."""
        path = self.path / IDENTITY
        data = self.read(IDENTITY)
        if data is None:
            fresh = Identity.generate(crypto, random)
            temporary = _write_temporary(path, fresh.encode_secret())
            with contextlib.suppress(FileExistsError):  # another process was first: take its own
                os.link(temporary, path)
            temporary.unlink()
            _sync_directory(self.path)
            data = self.read(IDENTITY) or b""
        try:
            return Identity.decode_secret(data, crypto)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}", hint=error.hint) from error

    # --- inside ---------------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no name of a state file")
        return self.path / name

    def _open(self, name: str, flags: int) -> int:
        try:
            return os.open(self.path / name, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot open {self.path / name}: {error.strerror}") from error

    def _check_schema(self) -> None:
        data = self.read("schema")
        if data is None:
            self.write("schema", f"{SCHEMA}\n".encode())
            return
        try:
            schema = int(data)
        except ValueError:
            raise _corrupt(self.path / "schema", "it holds no number") from None
        if schema > SCHEMA:
            raise ConfigError(
                f"{self.path} was written by a newer release (schema {schema}, we know {SCHEMA})",
                hint="start that release, or use another --state",
            )

    def _remove_leftovers(self) -> None:
        """Temporary files of a daemon that was killed while writing."""
        for path in self.path.rglob(f"{TEMPORARY}*"):
            with contextlib.suppress(OSError):
                path.unlink()


def _corrupt(path: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"{path} is damaged: {reason}",
        hint="restore it from a backup, or move it away and start again",
    )


def _prepare(path: Path) -> None:
    """The directory exists, is ours and closed to others."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = path.stat()
    except OSError as error:
        raise ConfigError(f"cannot use the state directory {path}: {error.strerror}") from error
    if state.st_uid != os.geteuid():
        raise ConfigError(
            f"the state directory {path} belongs to user {state.st_uid}, not to {os.geteuid()}",
            hint="start as that user, or use another --state",
        )
    if stat.S_IMODE(state.st_mode) & _BEYOND_OWNER:
        if any(path.iterdir()):
            raise ConfigError(
                f"the state directory {path} is open to others than its owner",
                hint=f"run: chmod 700 {path}",
            )
        path.chmod(0o700)  # nothing has been in it yet that anybody could have seen


def _make_directories(path: Path, top: Path) -> None:
    if path != top:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write_temporary(path: Path, data: bytes) -> Path:
    """A synced file of mode 0600 beside `path`; gone again if that fails."""
    temporary = path.parent / f"{TEMPORARY}{os.getpid()}-{path.name}"
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync_directory(path: Path) -> None:
    """Makes a rename in the directory last through a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
