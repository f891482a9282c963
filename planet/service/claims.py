"""The file of first claims: rows that are only ever appended.

     0    5  address
     5  128  public identity
   133    3  check: BLAKE2b-3 over the bytes before

A kill in the middle of a write leaves a short last row, which is cut off at the next start; a row
whose check is wrong is left out. When more than half of the rows are out of use the file is
written anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from l2mesh.errors import ConfigError
from l2mesh.service.state import StateDirectory
from planet.directory import MAX_ADDRESSES, FirstClaim

__all__ = ["ClaimsFile"]

log = logging.getLogger(__name__)

NAME: Final = "directory"
_ADDRESS_BYTES: Final = 5
_BODY_BYTES: Final = 133
_CHECK_BYTES: Final = 3
_ROW_BYTES: Final = _BODY_BYTES + _CHECK_BYTES


class ClaimsFile:
    """The rows on disk. Appending is one write; nothing is synced, since a lost row comes again."""

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._path = state.path / NAME
        self._fd: int | None = None

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
        """Adds rows; ConfigError when the disk does not take them."""
        data = b"".join(_encode(claim) for claim in claims)
        try:
            if self._fd is None:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                self._fd = os.open(self._path, flags, 0o600)
            os.write(self._fd, data)
        except OSError as error:
            raise ConfigError(f"cannot write {self._path}: {error.strerror}") from error

    def close(self) -> None:
        """May be called twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _encode(claim: FirstClaim) -> bytes:
    body = claim.address + claim.public
    return body + _check(body)


def _check(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES).digest()
