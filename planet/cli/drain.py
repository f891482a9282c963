"""``drain``: tells the running planet that it is about to stop."""

from __future__ import annotations

import click

from l2mesh.cli.client import request
from l2mesh.cli.options import state_of, state_option
from l2mesh.cli.output import output_option, show
from l2mesh.service.options import config_option
from planet.cli.status import WORDING, status_lines

__all__ = ["drain"]


@click.command()
@config_option()
@state_option()
@click.option("--off", is_flag=True, help="Serve again.")
@output_option()
@click.pass_context
def drain(context: click.Context, /, *, off: bool) -> None:
    """Send nodes to other planets; what is relayed goes on.

    It may stop without loss once `relays` is 0, which takes about two minutes. A restart ends it.
    """
    from planet.service.daemon import SOCKET

    path = str(state_of(context) / SOCKET)
    answer = request(path, "drain", {"draining": not off}, wording=WORDING)
    show(context, answer, status_lines(answer))
