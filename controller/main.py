"""``l2mesh-controller``: runs a controller, and administers a running one."""

from __future__ import annotations

from collections.abc import Sequence

import click

from controller.cli.member import member
from controller.cli.network import network
from controller.cli.options import DEFAULT_STATE, PREFIX, PROGRAM
from controller.cli.serve import identity, serve
from controller.cli.token import token
from l2mesh.cli.options import state_option
from l2mesh.cli.output import output_option
from l2mesh.cli.program import run, version_option
from l2mesh.service.options import config_option, daemon_settings

__all__ = ["cli", "main"]


@click.group(context_settings=daemon_settings(PREFIX))
@state_option(DEFAULT_STATE)
@config_option()
@output_option()
@version_option(PROGRAM)
def cli() -> None:
    """Say who belongs to l2mesh networks."""


for command in (serve, identity, network, member, token):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    return run(cli, PROGRAM, arguments)
