"""``identity``."""

from __future__ import annotations

import os

import click

from l2mesh.cli.failure import not_usage
from l2mesh.cli.identity import show_identity
from l2mesh.cli.options import state_of, state_option
from l2mesh.cli.output import output_option
from l2mesh.service.options import config_option

__all__ = ["identity"]


@click.command()
@config_option()
@state_option()
@output_option()
@click.pass_context
def identity(context: click.Context) -> None:
    """Show this planet's identity; make it if there is none."""
    from l2mesh.crypto import SodiumCrypto
    from l2mesh.service.state import StateDirectory

    with not_usage():
        public = StateDirectory(state_of(context)).identity(SodiumCrypto(), os.urandom).public
    show_identity(context, public)
