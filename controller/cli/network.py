"""``network create|list|show|delete|set``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import click

from controller.cli.options import ask
from l2mesh.cli.ask import check_network, pairs
from l2mesh.cli.options import state_option
from l2mesh.cli.output import clean, output_option, show, table

__all__ = ["network"]

_SHOWN: Final = (
    "name",
    "public",
    "members",
    "pending",
    "mtu",
    "pools",
    "routes",
    "dns",
    "guard",
    "broadcast",
    "multicast",
    "unknown_unicast",
    "arp",
    "nd",
    "discovery",
    "bpdu",
    "snooping",
    "querier",
    "unknown_groups",
    "replicate_above",
    "revision",
)


@click.group()
@state_option()
@output_option()
def network() -> None:
    """Networks of this controller."""


@network.command()
@click.option("--name", help="For people; need not be unique.")
@click.option("--number", metavar="000001", help="Last six digits of the ID.  [default: lowest]")
@click.option("--public", is_flag=True, help="Everybody who asks is a member.")
@click.option("--pool", "pools", multiple=True, metavar="10.9.0.0/24", help="Hand out addresses.")
@click.option("--mtu", help="576 to 9000.  [default: 1500]")
@state_option()
@output_option()
@click.pass_context
def create(
    context: click.Context,
    name: str | None,
    number: str | None,
    public: bool,  # noqa: FBT001 - click gives it by name
    pools: tuple[str, ...],
    mtu: str | None,
) -> None:
    """Begin a network; it is private unless --public."""
    given = {"name": name, "mtu": mtu, "pools": ",".join(pools) or None}
    settings = {key: value for key, value in given.items() if value is not None}
    if public:
        settings["public"] = "true"
    answer = ask(context, "network_create", number=number, settings=settings)
    show(context, answer, [f"network {clean(answer['id'])} created"])


@network.command("list")
@state_option()
@output_option()
@click.pass_context
def list_(context: click.Context) -> None:
    """All networks."""
    answer = ask(context, "network_list")
    rows = [
        (n["id"], n["name"], n["public"], n["members"], n["pending"], n["pools"])
        for n in answer["networks"]
    ]
    headings = ("ID", "NAME", "PUBLIC", "MEMBERS", "PENDING", "POOLS")
    show(context, answer, table(headings, rows) if rows else ["no networks"])


@network.command("show")
@click.argument("network_id", metavar="ID")
@state_option()
@output_option()
@click.pass_context
def show_(context: click.Context, network_id: str) -> None:
    """One network with its settings."""
    answer = ask(context, "network_show", network=check_network(network_id))
    show(context, answer, _lines(answer))


@network.command()
@click.argument("network_id", metavar="ID")
@state_option()
@output_option()
@click.pass_context
def delete(context: click.Context, network_id: str) -> None:
    """End a network: every membership becomes invalid."""
    answer = ask(context, "network_delete", network=check_network(network_id))
    show(context, answer, [f"network {clean(answer['id'])} deleted"])


@network.command("set")
@click.argument("network_id", metavar="ID")
@click.argument("settings", metavar="KEY=VALUE...", nargs=-1, required=True)
@state_option()
@output_option()
@click.pass_context
def set_(context: click.Context, network_id: str, settings: tuple[str, ...]) -> None:
    """Change settings.

    Keys: name, mtu, public, pools, routes (10.0.0.0/8@10.9.0.1), dns, guard (default, strict, off),
    broadcast, multicast, unknown_unicast, arp, nd, discovery (pass, drop or frames a second; what
    is ARP, neighbour discovery, or mDNS, SSDP and LLMNR counts neither as broadcast nor as
    multicast), bpdu (block, pass, tunnel: from bridges to bridges), snooping and querier (true,
    false: whether IP groups go only to members that want them, and whether members ask their
    hosts), unknown_groups (flood, drop: what happens to those that nobody wants),
    replicate_above (with more members those with the right relay carry broadcasts on; 0: never).
    """
    answer = ask(
        context,
        "network_set",
        network=check_network(network_id),
        settings=pairs(settings, example="mtu=1400"),
    )
    show(context, answer, _lines(answer))


def _lines(answer: dict[str, Any]) -> Iterable[str]:
    yield f"network          {clean(answer['id'])}"
    for key in _SHOWN:
        value = answer[key]
        if key == "routes":
            value = [f"{r['destination']}@{r['via'] or 'link'}" for r in value]
        yield f"{key:<15}  {clean(value)}"
