"""``l2mesh``: asks the daemon on this host, and shows what it answers.

Exit status: 0 ok, 1 failed, 2 usage, 3 daemon unreachable, 4 not permitted, 5 not found or denied,
6 timed out, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from l2mesh.cli import change, ping, read
from l2mesh.cli.failure import EXIT_STATUS, Failure
from l2mesh.cli.output import clean, output_option
from l2mesh.errors import L2meshError

__all__ = ["cli", "main"]

DEFAULT_SOCKET: Final = "/run/l2mesh/node.sock"
INTERRUPTED: Final = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--socket",
    "path",
    envvar="L2MESH_SOCKET",
    default=DEFAULT_SOCKET,
    show_default=True,
    metavar="PATH",
    help="The daemon's socket; also L2MESH_SOCKET.",
)
@output_option()
@click.version_option(package_name="l2mesh", prog_name="l2mesh")
@click.pass_context
def cli(context: click.Context, path: str) -> None:
    """Join virtual Ethernet networks and see who is there."""
    context.ensure_object(dict)["socket"] = path


for command in (*read.COMMANDS, *change.COMMANDS, *ping.COMMANDS):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    try:
        status = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="l2mesh",
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


def _usage_hint(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context is not None else "l2mesh --help"
