"""What the command lines have in common: how a command ends, and what its errors look like.

Exit status: 0 ok, 1 failed, 2 usage, 3 daemon unreachable, 4 not permitted, 5 not found or denied,
6 timed out, 130 interrupted. An error is one line ``error: ...`` on stderr, followed by one
``hint: ...`` where something helps.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

from l2mesh.cli.failure import EXIT_STATUS, Failure
from l2mesh.cli.output import clean
from l2mesh.errors import L2meshError

__all__ = ["SETTINGS", "run", "version_option"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])

INTERRUPTED: Final = 130
SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""click's ``context_settings`` of a program."""


def version_option(program: str) -> Callable[[FunctionT], FunctionT]:
    """Adds ``--version``."""
    return click.version_option(package_name="l2mesh", prog_name=program, allow_from_autoenv=False)


def run(group: click.Group, program: str, arguments: Sequence[str] | None) -> int:
    """Runs one command of a program, None: the one on our own command line; its exit status."""
    try:
        status = group.main(
            args=None if arguments is None else list(arguments),
            prog_name=program,
            standalone_mode=False,
        )
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EXIT_STATUS["usage"]
    except click.ClickException as error:
        return _fail(Failure("usage", error.format_message(), hint=_usage_hint(error, program)))
    except click.Abort:
        return INTERRUPTED
    except BrokenPipeError:  # `l2mesh peers | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_STATUS["failed"]
    except Failure as failure:
        return _fail(failure)
    except L2meshError as error:  # an argument that cannot be right
        return _fail(Failure("usage", str(error), hint=error.hint))
    return status if isinstance(status, int) else 0


def _fail(failure: Failure) -> int:
    click.echo(f"error: {clean(str(failure))}", err=True)
    if failure.hint:
        click.echo(f"hint: {clean(failure.hint)}", err=True)
    return failure.status


def _usage_hint(error: Any, program: str) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else program} --help"
