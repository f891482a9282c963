"""Opens the database file: checked, private, durable, and never overwritten when damaged.

A new database is built under another name and renamed, so that an empty or half-made file under the
real name is always damage. ``synchronous=FULL`` with a write-ahead log: a commit that returned
survives a crash of the process and of the machine.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, exc, insert, select
from sqlalchemy.pool import QueuePool

from controller.store.schema import APPLICATION_ID, MIGRATIONS, SCHEMA, meta, metadata
from l2mesh.address import format_fingerprint
from l2mesh.errors import ConfigError

__all__ = ["open_database"]

BUSY_TIMEOUT_MS: Final = 30_000
_BEYOND_OWNER: Final = 0o077


def open_database(path: Path, owner: bytes) -> Engine:
    """The engine for the controller whose fingerprint is `owner`; ConfigError in one clear line."""
    try:
        if not path.exists():
            _create(path, owner)
        _check_mode(path)
        engine = _engine(path)
        try:
            _check(engine, path, owner)
        except BaseException:
            engine.dispose()
            raise
    except (exc.DatabaseError, sqlite3.DatabaseError) as error:
        raise _damaged(path, str(getattr(error, "orig", None) or error)) from error
    except OSError as error:
        raise ConfigError(f"cannot use {path}: {error.strerror}") from error
    return engine


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=-1,
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "foreign_keys=ON",
        "journal_mode=WAL",
        "synchronous=FULL",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _on_begin(connection: Connection) -> None:
    """A writer locks at once: a lock taken later could fail half-way through."""
    is_reader = connection.get_execution_options().get("is_reader", False)
    connection.exec_driver_sql("BEGIN" if is_reader else "BEGIN IMMEDIATE")


def _create(path: Path, owner: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    for leftover in (fresh, Path(f"{fresh}-wal"), Path(f"{fresh}-shm")):
        leftover.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    engine = _engine(fresh)
    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
            connection.execute(
                insert(meta).values(key="controller", value=format_fingerprint(owner))
            )
            connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA}")
    finally:
        engine.dispose()
    with contextlib.closing(sqlite3.connect(fresh)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    fresh.rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_mode(path: Path) -> None:
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode) or state.st_size == 0:
        raise _damaged(path, "it is empty" if stat.S_ISREG(state.st_mode) else "it is no file")
    if stat.S_IMODE(state.st_mode) & _BEYOND_OWNER:
        raise ConfigError(
            f"{path} may be read by others than its owner", hint=f"run: chmod 600 {path}"
        )


def _check(engine: Engine, path: Path, owner: bytes) -> None:
    with engine.connect() as connection:
        faults = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        application = connection.exec_driver_sql("PRAGMA application_id").scalar()
        if faults != "ok" or application != APPLICATION_ID:
            raise _damaged(path, str(faults) if faults != "ok" else "it is no l2mesh store")
        _migrate(connection, path)
        held = connection.execute(select(meta.c.value).where(meta.c.key == "controller")).scalar()
        connection.commit()
    if held != format_fingerprint(owner):
        raise ConfigError(
            f"{path} belongs to another controller ({held})",
            hint="restore identity.secret and the database together, from one backup",
        )


def _migrate(connection: Connection, path: Path) -> None:
    schema = connection.exec_driver_sql("PRAGMA user_version").scalar() or 0
    if schema > SCHEMA:
        raise ConfigError(
            f"{path} was written by a newer release (schema {schema}, we know {SCHEMA})",
            hint="start that release, or use another --state",
        )
    while schema < SCHEMA:
        MIGRATIONS[schema](connection)
        schema += 1
        connection.exec_driver_sql(f"PRAGMA user_version={schema}")


def _damaged(path: Path, reason: str) -> ConfigError:
    reason = " ".join(reason.replace("*", " ").split())
    return ConfigError(
        f"{path} is damaged: {reason}; nothing in it was changed",
        hint="restore it from a backup, or move it away to begin without networks",
    )
