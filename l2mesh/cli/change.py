"""Commands that change something: join, leave, set."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.ask import ask, check_network, check_target, pairs
from l2mesh.cli.client import ANSWER_S
from l2mesh.cli.output import clean, output_option, show

__all__ = ["COMMANDS"]

JOIN_WAIT_S: Final = 30.0


@click.command()
@click.argument("target", metavar="ID[@FINGERPRINT]|JOINSTRING")
@click.option("--token", envvar="L2MESH_TOKEN", help="Join token, where the network asks for one.")
@click.option("--device", metavar="NAME", help="Name of the interface.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0, max=86400),
    default=JOIN_WAIT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until the network is up; 0 does not wait.",
)
@output_option()
@click.pass_context
def join(
    context: click.Context, target: str, token: str | None, device: str | None, wait: float
) -> None:
    """Join a network."""
    answer = ask(
        context,
        "join",
        timeout_s=wait + ANSWER_S,
        target=check_target(target),
        token=token,
        device=device,
        wait=wait,
    )
    show(context, answer, [_network_line(answer)])


@click.command()
@click.argument("network", metavar="ID")
@output_option()
@click.pass_context
def leave(context: click.Context, network: str) -> None:
    """Leave a network; its interface vanishes."""
    answer = ask(context, "leave", network=check_network(network))
    show(context, answer, [f"left network {clean(answer['id'])}"])


@click.command("set")
@click.argument("network", metavar="ID")
@click.argument("options", metavar="KEY=VALUE...", nargs=-1, required=True)
@output_option()
@click.pass_context
def set_options(context: click.Context, network: str, options: tuple[str, ...]) -> None:
    """Make local choices: bridge=br0, broadcast_route=true, routes=, default_route=, dns=."""
    network = check_network(network)
    chosen = pairs(options, example="bridge=br0")
    answer = ask(context, "set", network=network, options=chosen)
    show(context, answer, [_network_line(answer)])


@click.command("relay-only")
@click.argument("choice", type=click.Choice(["on", "off"]))
@output_option()
@click.pass_context
def relay_only(context: click.Context, choice: str) -> None:
    """Use relays alone until told otherwise, or direct paths again."""
    answer = ask(context, "relay_only", on=choice == "on")
    now = "relays alone are used" if answer["relay_only"] else "direct paths are used"
    show(context, answer, [now])


COMMANDS: Final = (join, leave, set_options, relay_only)


def _network_line(network: dict[str, Any]) -> str:
    words = [f"network {clean(network['id'])} is {clean(network['status'])}"]
    if network["device"]:
        words.append(f"device {clean(network['device'])}")
    if network["bridge"]:
        words.append(f"bridge {clean(network['bridge'])}")
    if network["addresses"]:
        words.append(f"addresses {clean(network['addresses'])}")
    return ", ".join(words)
