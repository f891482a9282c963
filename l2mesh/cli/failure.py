"""What went wrong, and the exit status that tells scripts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from l2mesh.errors import L2meshError

__all__ = ["EXIT_STATUS", "Failure", "not_usage"]

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


@contextmanager
def not_usage() -> Iterator[None]:
    """What is refused inside is no wrong usage but a plain failure: a file, not an argument."""
    try:
        yield
    except Failure:
        raise
    except L2meshError as error:
        raise Failure("failed", str(error), hint=error.hint) from error
