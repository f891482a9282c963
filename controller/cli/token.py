"""``token create``."""

from __future__ import annotations

import click

from controller.cli.options import ask
from l2mesh.cli.ask import check_network
from l2mesh.cli.options import state_option
from l2mesh.cli.output import clean, output_option, show

__all__ = ["token"]


@click.group()
@state_option()
@output_option()
def token() -> None:
    """Join tokens."""


@token.command()
@click.argument("network", metavar="ID")
@click.option(
    "--uses", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="How often."
)
@click.option("--expires", default="24h", show_default=True, help="How long: 30m, 24h, 7d.")
@state_option()
@output_option()
@click.pass_context
def create(context: click.Context, network: str, uses: int, expires: str) -> None:
    """Make a token that admits whoever shows it. It is shown once and stored as a hash."""
    answer = ask(
        context, "token_create", network=check_network(network), uses=uses, expires=expires
    )
    lines = [
        f"token  {clean(answer['token'])}",
        f"join   {clean(answer['join'])}",
        "",
        "on the node: l2mesh join JOIN",
    ]
    show(context, answer, lines)
