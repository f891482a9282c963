"""``member list|authorize|deauthorize|delete|set``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from controller.cli.options import ask
from l2mesh.address import parse_address, parse_fingerprint
from l2mesh.cli.ask import check_network, pairs
from l2mesh.cli.options import state_option
from l2mesh.cli.output import clean, output_option, show, table

__all__ = ["member"]


@click.group()
@state_option()
@output_option()
def member() -> None:
    """Members of a network, and who asks to be one."""


@member.command("list")
@click.argument("network", metavar="ID")
@state_option()
@output_option()
@click.pass_context
def list_(context: click.Context, network: str) -> None:
    """Everybody whom a network knows."""
    answer = ask(context, "member_list", network=check_network(network))
    rows = [
        (
            m["address"],
            m["name"],
            m["status"],
            m["online"],
            m["addresses"],
            [right for right in ("bridge", "router", "dhcp", "ra", "relay") if m[right]],
            m["mac"],
            m["fingerprint"],
        )
        for m in answer["members"]
    ]
    headings = ("ADDRESS", "NAME", "STATUS", "ONLINE", "ADDRESSES", "RIGHTS", "MAC", "FINGERPRINT")
    show(context, answer, table(headings, rows) if rows else ["no members"])


def _command(verb: str, done: str, text: str) -> Callable[..., None]:
    def run(context: click.Context, network: str, who: str) -> None:
        answer = ask(
            context, f"member_{verb}", network=check_network(network), member=_check_member(who)
        )
        show(context, answer, [_line(answer, done)])

    run.__doc__ = text
    return run


def _line(answer: dict[str, Any], done: str) -> str:
    addresses = f", addresses {clean(answer['addresses'])}" if answer["addresses"] else ""
    return f"member {clean(answer['address'])} {done}{addresses}"


for verb, done, text in (
    ("authorize", "authorized", "Admit a member; with @FINGERPRINT also before it has asked."),
    ("deauthorize", "deauthorized", "Refuse a member; it is cut off wherever there is a path."),
    ("delete", "deleted", "Cut a member off and forget it; it may ask again."),
):
    command = click.pass_context(_command(verb, done, text))
    command = output_option()(state_option()(command))
    command = click.argument("who", metavar="ADDRESS[@FINGERPRINT]")(command)
    member.command(verb)(click.argument("network", metavar="ID")(command))


@member.command("set")
@click.argument("network", metavar="ID")
@click.argument("who", metavar="ADDRESS[@FINGERPRINT]")
@click.argument("settings", metavar="KEY=VALUE...", nargs=-1, required=True)
@state_option()
@output_option()
@click.pass_context
def set_(context: click.Context, network: str, who: str, settings: tuple[str, ...]) -> None:
    """Change a member.

    Keys: name, bridge, router, dhcp, ra, relay (true or false), groups (a,b), tags (site:berlin),
    addresses (10.9.0.7/24,...; nothing: from the pools again).
    """
    answer = ask(
        context,
        "member_set",
        network=check_network(network),
        member=_check_member(who),
        settings=pairs(settings, example="bridge=true"),
    )
    show(context, answer, [_line(answer, "changed")])


def _check_member(text: str) -> str:
    address, at, fingerprint = text.partition("@")
    parse_address(address)
    if at:
        parse_fingerprint(fingerprint)
    return text.lower()
