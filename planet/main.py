"""``l2mesh-planet``: runs a planet, and does the few things that an operator does beside it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from l2mesh.cli.options import state_option
from l2mesh.cli.output import output_option
from l2mesh.cli.program import run, version_option
from l2mesh.service.options import config_option, daemon_settings
from planet.cli.drain import drain
from planet.cli.identity import identity
from planet.cli.options import DEFAULT_STATE, PREFIX, PROGRAM
from planet.cli.serve import serve
from planet.cli.status import status
from planet.cli.world import world

__all__ = ["cli", "main"]


@click.group(context_settings=daemon_settings(PREFIX))
@state_option(DEFAULT_STATE)
@config_option()
@output_option()
@version_option(PROGRAM)
def cli() -> None:
    """Introduce l2mesh nodes to each other, and relay for those without a direct path."""


for command in (serve, identity, status, drain, world):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    return run(cli, PROGRAM, arguments)
