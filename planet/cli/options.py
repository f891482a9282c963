"""What the commands share: the program's names and defaults, and how arguments are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from l2mesh.errors import ConfigError

__all__ = ["DEFAULT_STATE", "PREFIX", "PROGRAM", "argument"]

PROGRAM: Final = "l2mesh-planet"
PREFIX: Final = "L2MESH_PLANET"
DEFAULT_STATE: Final = Path("/var/lib/l2mesh/planet")


@contextmanager
def argument() -> Iterator[None]:
    """In a click callback: a ConfigError is told as the fault of the option or argument."""
    try:
        yield
    except ConfigError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise click.BadParameter(f"{error}{hint}") from error
