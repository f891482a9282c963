"""``l2mesh-controller``: runs a controller, and administers a running one.

Exit status: 0 ok, 1 failed, 2 usage, 3 no controller runs, 4 not permitted, 5 not found, 6 timed
out, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from controller.cli.member import member
from controller.cli.network import network
from controller.cli.options import config_option, state_option
from controller.cli.serve import identity, serve
from controller.cli.token import token
from l2mesh.cli.failure import EXIT_STATUS, Failure
from l2mesh.cli.output import clean, output_option
from l2mesh.errors import L2meshError

__all__ = ["cli", "main"]

INTERRUPTED: Final = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@state_option()
@config_option()
@output_option()
@click.version_option(package_name="l2mesh", prog_name="l2mesh-controller")
def cli() -> None:
    """Say who belongs to l2mesh networks."""


for command in (serve, identity, network, member, token):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    try:
        status = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="l2mesh-controller",
            standalone_mode=False,
            obj={},
        )
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EXIT_STATUS["usage"]
    except click.ClickException as error:
        return _fail(Failure("usage", error.format_message(), hint=_usage_hint(error)))
    except click.Abort:
        return INTERRUPTED
    except BrokenPipeError:  # `l2mesh-controller member list ID | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_STATUS["failed"]
    except Failure as failure:
        return _fail(failure)
    except L2meshError as error:  # an argument or a file that cannot be right
        return _fail(Failure("usage", str(error), hint=error.hint))
    return status if isinstance(status, int) else 0


def _fail(failure: Failure) -> int:
    click.echo(f"error: {clean(str(failure))}", err=True)
    if failure.hint:
        click.echo(f"hint: {clean(failure.hint)}", err=True)
    return failure.status


def _usage_hint(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context is not None else "l2mesh-controller --help"
