"""``l2mesh``: asks the daemon on this host, and shows what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from l2mesh.cli import capture, change, fdb, groups, guard, netcheck, path, ping, program, read
from l2mesh.cli.options import anywhere
from l2mesh.cli.output import output_option

__all__ = ["cli", "main"]

PROGRAM: Final = "l2mesh"
DEFAULT_SOCKET: Final = "/run/l2mesh/node.sock"


@click.group(context_settings=program.SETTINGS)
@anywhere(
    "--socket",
    envvar="L2MESH_SOCKET",
    default=DEFAULT_SOCKET,
    show_default=True,
    metavar="PATH",
    help="The daemon's socket; also L2MESH_SOCKET.",
)
@output_option()
@program.version_option(PROGRAM)
def cli() -> None:
    """Join virtual Ethernet networks and see who is there."""


for command in (
    *read.COMMANDS,
    *fdb.COMMANDS,
    *change.COMMANDS,
    *ping.COMMANDS,
    *path.COMMANDS,
    *netcheck.COMMANDS,
    *capture.COMMANDS,
    *groups.COMMANDS,
    *guard.COMMANDS,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    return program.run(cli, PROGRAM, arguments)
