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
@click.option("--device", metavar="NAME", help="Name of the device.")
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
    """Join a network, and wait until it is up."""
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
    """Leave a network; its device vanishes."""
    answer = ask(context, "leave", network=check_network(network))
    show(context, answer, [f"left network {clean(answer['id'])}"])


@click.command("set")
@click.argument("network", metavar="ID")
@click.argument("options", metavar="KEY=VALUE...", nargs=-1, required=True)
@output_option()
@click.pass_context
def set_options(context: click.Context, network: str, options: tuple[str, ...]) -> None:
    """Change what this host does in a network; kept across restarts.

    \b
    bridge=br0             put the device into that Linux bridge; bridge= takes it out
    broadcast_route=true   255.255.255.255 and 224.0.0.0/4 leave by the device
    routes=true            take the network's routes
    default_route=true     take its default route as well
    dns=true               use its name servers
    bond=true              spread flows over all uplinks of this host
    carry=false            relay for no other members, whatever the controller says
    replicate=false        carry no other members' broadcasts on
    """
    network = check_network(network)
    chosen = pairs(options, example="bridge=br0")
    answer = ask(context, "set", network=network, options=chosen)
    show(context, answer, [_network_line(answer)])


@click.command("relay-only")
@click.argument("choice", type=click.Choice(["on", "off"]))
@output_option()
@click.pass_context
def relay_only(context: click.Context, choice: str) -> None:
    """Use relays alone (on), or direct paths as well (off)."""
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
    return ", ".join(words) + (f"; {clean(problem)}" if (problem := network.get("problem")) else "")
