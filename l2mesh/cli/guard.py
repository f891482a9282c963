"""``l2mesh guard``: who forwards for our LAN where several members bridge it, and why."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.ask import ask, check_network
from l2mesh.cli.output import ago, clean, output_option, show, table

__all__ = ["COMMANDS"]


@click.command()
@click.argument("network", metavar="[ID]", required=False)
@output_option()
@click.pass_context
def guard(context: click.Context, network: str | None) -> None:
    """Show which bridge forwards for our LAN.

    In each VLAN, with the reason, and loops that were seen.
    """
    answer = ask(context, "guard", network=None if network is None else check_network(network))
    show(context, answer, _lines(answer))


COMMANDS: Final = (guard,)


def _lines(answer: dict[str, Any]) -> list[str]:
    rows = [
        (
            network["id"],
            vlan["vlan"],
            vlan["state"],
            vlan["forwarder"],
            ago(vlan["since_s"]),
            vlan["neighbours"],
            vlan["reason"],
        )
        for network in answer["networks"]
        for vlan in network["vlans"]
    ]
    headings = ("NETWORK", "VLAN", "STATE", "FORWARDER", "SINCE", "OTHER BRIDGES", "WHY")
    lines = table(headings, rows) if rows else ["no network is up"]
    loops = [
        f"{clean(network['id'])}: loop in VLAN {loop['vlan']}: {_loop(loop)}"
        for network in answer["networks"]
        for loop in network["loops"]
    ]
    return [*lines, "", *loops] if loops else lines


def _loop(loop: dict[str, Any]) -> str:
    seen = f"seen {loop['count']} times, last {ago(loop['last_s'])}"
    if loop["mac"]:
        return f"station {clean(loop['mac'])} flaps between bridges, {seen}"
    return f"our own beacons come back from the LAN, {seen}"
