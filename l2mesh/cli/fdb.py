"""``l2mesh fdb``: which MAC lives behind which peer, and static entries that say so."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.ask import ask, check_network
from l2mesh.cli.output import output_option, show, table
from l2mesh.errors import ConfigError

__all__ = ["COMMANDS"]

MAX_VLAN: Final = 4094
_USAGE: Final = "l2mesh fdb ID add MAC PEER, or l2mesh fdb ID del MAC"


@click.command()
@click.argument("network", metavar="[ID]", required=False)
@click.argument("action", metavar="[add|del]", type=click.Choice(["add", "del"]), required=False)
@click.argument("mac", metavar="[MAC]", required=False)
@click.argument("peer", metavar="[PEER]", required=False)
@click.option(
    "--vlan",
    type=click.IntRange(0, MAX_VLAN),
    default=0,
    show_default=True,
    metavar="VID",
    help="VLAN of a static entry; 0 is untagged.",
)
@output_option()
@click.pass_context
def fdb(
    context: click.Context,
    network: str | None,
    action: str | None,
    mac: str | None,
    peer: str | None,
    vlan: int,
) -> None:
    """Show which MAC lives behind which peer.

    In the network with this ID, or in all.

    With add or del: say that a station is behind PEER (address, name, or local for this host)
    whatever is heard of it, or take that back.
    """
    if network is None or action is None:
        answer = ask(context, "fdb", network=None if network is None else check_network(network))
    else:
        network, mac = check_network(network), _check(action, mac, peer)
        answer = ask(context, f"fdb_{action}", network=network, vlan=vlan, mac=mac, peer=peer)
    show(context, answer, _lines(answer))


COMMANDS: Final = (fdb,)


def _check(action: str, mac: str | None, peer: str | None) -> str:
    """The MAC; ConfigError for a wrong one, and when there are too few arguments or too many."""
    if mac is None or (peer is None) is (action == "add"):
        raise ConfigError(f"{action} needs other arguments", hint=_USAGE)
    from l2mesh.address import format_mac, parse_mac

    return format_mac(parse_mac(mac))


def _lines(answer: dict[str, Any]) -> list[str]:
    rows = [
        (
            entry["network"],
            entry["vlan"],
            entry["mac"],
            entry["peer"],
            _age(entry),
        )
        for entry in answer["entries"]
    ]
    headings = ("NETWORK", "VLAN", "MAC", "PEER", "AGE")
    return table(headings, rows) if rows else ["no entries"]


def _age(entry: dict[str, Any]) -> str:
    return str(entry.get("kind", "static")) if entry["static"] else f"{entry['age_s']:.0f} s"
