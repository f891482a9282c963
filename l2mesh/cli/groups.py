"""``l2mesh groups``: who wants which IP group, and who asks for it."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.ask import ask, check_network
from l2mesh.cli.output import output_option, show, table

__all__ = ["COMMANDS"]


@click.command()
@click.argument("network", metavar="[ID]", required=False)
@output_option()
@click.pass_context
def groups(context: click.Context, network: str | None) -> None:
    """Show who wants which multicast group.

    And who asks the hosts behind our port which groups they want (the querier).
    """
    answer = ask(context, "groups", network=None if network is None else check_network(network))
    show(context, answer, _lines(answer))


COMMANDS: Final = (groups,)


def _lines(answer: dict[str, Any]) -> list[str]:
    rows = [(one["network"], one["vlan"], one["group"], one["members"]) for one in answer["groups"]]
    lines = table(("NETWORK", "VLAN", "GROUP", "MEMBERS"), rows) if rows else ["no groups"]
    ports = [
        (one["network"], one["vlan"], f"IPv{one['version']}", one["state"], _querier(one))
        for one in answer["port"]
    ]
    headings = ("NETWORK", "VLAN", "OUR PORT", "GETS", "QUERIER")
    return [*lines, "", *table(headings, ports)] if ports else lines


def _querier(one: dict[str, Any]) -> str:
    return str(one["querier"] or "nobody")
