"""The file of first claims: rows that are only ever appended.

     0    5  address
     5  128  public identity
   133    3  check: BLAKE2b-3 over the bytes before

A kill in the middle of a write leaves a short last row, which is cut off at the next start; a row
whose check is wrong is left out. When more than half of the rows are out of use the file is
written anew.

Rows are written beside the event loop: while a disk is slow the planet relays on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from hashlib import blake2b
from threading import Lock
from typing import Final

from l2mesh.service.state import StateDirectory
from l2mesh.service.statewriter import StateWriter
from planet.directory import MAX_ADDRESSES, FirstClaim

__all__ = ["ClaimsFile"]

log = logging.getLogger(__name__)

NAME: Final = "directory"
_ADDRESS_BYTES: Final = 5
_BODY_BYTES: Final = 133
_CHECK_BYTES: Final = 3
_ROW_BYTES: Final = _BODY_BYTES + _CHECK_BYTES
_MAX_WAITING_BYTES: Final = 65_536 * _ROW_BYTES
"""Rows beyond these, behind a disk that hangs, are not kept."""


class ClaimsFile:
    """The rows on disk. Nothing is synced, since a lost row comes again."""

    def __init__(self, state: StateDirectory, writer: StateWriter) -> None:
        self._state = state
        self._writer = writer
        self._path = state.path / NAME
        self._lock = Lock()
        self._waiting = bytearray()
        """Guarded by the lock, which is held for no longer than it takes to look."""

    def read(self) -> list[FirstClaim]:
        """All good rows, oldest first; ConfigError when the file cannot be read."""
        data = self._state.read(NAME) or b""
        rows: dict[bytes, FirstClaim] = {}
        bad = 0
        for start in range(0, len(data), _ROW_BYTES):
            row = data[start : start + _ROW_BYTES]
            body = row[:_BODY_BYTES]
            if len(row) < _ROW_BYTES or _check(body) != row[_BODY_BYTES:]:
                bad += 1
                continue
            claim = FirstClaim(body[:_ADDRESS_BYTES], body[_ADDRESS_BYTES:])
            rows.setdefault(claim.address, claim)
        if bad:
            log.warning("%s: %d damaged rows are left out", self._path, bad)
        kept = list(rows.values())[-MAX_ADDRESSES:]
        if bad or 2 * len(kept) * _ROW_BYTES < len(data):
            self._state.write(NAME, b"".join(_encode(claim) for claim in kept))
        return kept

    def append(self, claims: Iterable[FirstClaim]) -> None:
        """Has rows added soon; never waits."""
        rows = b"".join(_encode(claim) for claim in claims)
        with self._lock:
            is_first = not self._waiting
            if len(self._waiting) + len(rows) <= _MAX_WAITING_BYTES:
                self._waiting += rows
        if is_first:
            self._writer.submit(self._write)

    def _write(self) -> None:
        with self._lock:
            rows, self._waiting = self._waiting, bytearray()
        with open(self._path, "ab", opener=_open) as file:
            whole = file.tell() // _ROW_BYTES * _ROW_BYTES
            os.ftruncate(file.fileno(), whole)  # a full disk has cut off the last row
            file.write(rows)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _encode(claim: FirstClaim) -> bytes:
    body = claim.address + claim.public
    return body + _check(body)


def _check(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES).digest()
