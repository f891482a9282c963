"""``status``: asks the running planet."""

from __future__ import annotations

from typing import Final

import click

from l2mesh.cli.client import Wording, request
from l2mesh.cli.options import state_of, state_option
from l2mesh.cli.output import outline, output_option, show
from l2mesh.service.options import config_option

__all__ = ["status"]

WORDING: Final = Wording(
    name="planet",
    start_hint="start `l2mesh-planet serve`, or name its directory with --state",
    permit_hint="run the command as root or as the user that runs `serve`",
)


@click.command()
@config_option()
@state_option()
@output_option()
@click.pass_context
def status(context: click.Context) -> None:
    """Show what the running planet does."""
    from planet.service.daemon import SOCKET

    answer = request(str(state_of(context) / SOCKET), "status", {}, wording=WORDING)
    show(context, answer, outline(answer))
