"""``status``: asks the running planet."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.client import Wording, request
from l2mesh.cli.options import state_of, state_option
from l2mesh.cli.output import clean, milliseconds, output_option, show, table
from l2mesh.cli.report import counter_lines, engine_text, health_lines, offload_lines
from l2mesh.service.options import config_option

__all__ = ["status", "status_lines"]

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
    show(context, answer, status_lines(answer))


def status_lines(answer: dict[str, Any]) -> list[str]:
    """What it is, whom it serves, the other planets, what is wrong, and counters."""
    lines = [
        f"address    {clean(answer['address'])}",
        f"engine     {engine_text(answer)}",
        f"world      revision {answer['world_revision']}",
        f"draining   {clean(answer['draining'])}",
        f"clients    {answer['sessions']} sessions, {answer['streams']} by TLS",
        f"directory  {answer['directory']} nodes",
        f"relays     {answer['relays']}, {answer['links']} of them to clients of other planets",
        f"relayed    {answer['relayed_packets']} datagrams, {answer['relayed_bytes']} bytes",
    ]
    if answer["planets"]:
        rows = [(p["address"], p["state"], milliseconds(p["rtt_ms"])) for p in answer["planets"]]
        lines += ["", *table(("PLANET", "STATE", "RTT"), rows)]
    return [*lines, *offload_lines(answer), *health_lines(answer), "", *counter_lines(answer)]
