"""What went wrong, and the exit status that tells scripts."""

from __future__ import annotations

from typing import Final

from l2mesh.errors import L2meshError

__all__ = ["EXIT_STATUS", "Failure"]

EXIT_STATUS: Final = {
    "failed": 1,
    "usage": 2,
    "unreachable": 3,
    "not_permitted": 4,
    "not_found": 5,
    "denied": 5,
    "timed_out": 6,
}


class Failure(L2meshError):
    """A command that did not do what was asked; `code` is a key of `EXIT_STATUS`."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code

    @property
    def status(self) -> int:
        """The exit status; a code that a newer daemon knows and we do not is a plain failure."""
        return EXIT_STATUS.get(self.code, 1)
