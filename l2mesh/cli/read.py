"""Commands that only look: status, networks, peers, counters."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.ask import ask
from l2mesh.cli.output import clean, milliseconds, output_option, prose, relayer, show, table
from l2mesh.cli.report import counter_lines, engine_text, health_lines, offload_lines

__all__ = ["COMMANDS"]

KILO: Final = 1000.0
TEN: Final = 9.95
UNITS: Final = ("B", "kB", "MB", "GB", "TB")


@click.command()
@output_option()
@click.pass_context
def status(context: click.Context) -> None:
    """Show who this node is, its planets, and what is wrong."""
    answer = ask(context, "status")
    show(context, answer, _status_lines(answer))


@click.command()
@output_option()
@click.pass_context
def networks(context: click.Context) -> None:
    """Show the networks that this node has joined."""
    answer = ask(context, "networks")
    show(context, answer, _network_lines(answer))


@click.command()
@output_option()
@click.pass_context
def peers(context: click.Context) -> None:
    """Show the peers this node talks to, and by which path."""
    answer = ask(context, "peers")
    show(context, answer, _peer_lines(answer))


@click.command()
@output_option()
@click.pass_context
def counters(context: click.Context) -> None:
    """Show counters, and why frames and datagrams were dropped."""
    answer = ask(context, "counters")
    show(context, answer, counter_lines(answer))


COMMANDS: Final = (status, networks, peers, counters)


def _status_lines(answer: dict[str, Any]) -> list[str]:
    lines = [
        f"address      {clean(answer['address'])}",
        f"fingerprint  {clean(answer['fingerprint'])}",
        f"version      {clean(answer['version'])}",
        f"engine       {engine_text(answer)}",
        f"online       {clean(answer['online'])}",
    ]
    if carried := answer.get("carried_relays"):
        lines.append(f"relays for   {carried} pair{'s' if carried > 1 else ''} of other members")
    lines.append("")
    rows = [
        (
            planet["address"],
            planet["endpoint"],
            milliseconds(planet["rtt_ms"]),
            f"{planet['state']}, home" if planet.get("home") else planet["state"],
            planet.get("transport"),
        )
        for planet in answer["planets"]
    ]
    lines += table(("PLANET", "ENDPOINT", "RTT", "STATE", "BY"), rows) if rows else ["no planets"]
    return lines + offload_lines(answer) + health_lines(answer)


def _network_lines(answer: dict[str, Any]) -> list[str]:
    rows = [
        (
            network["id"],
            network["name"],
            network["status"],
            network["device"],
            network["addresses"],
            network["bridge"],
            network["mac"],
            network["mtu"],
        )
        for network in answer["networks"]
    ]
    if not rows:
        return ["no networks; join one with `l2mesh join ID`"]
    headings = ("ID", "NAME", "STATUS", "DEVICE", "ADDRESSES", "BRIDGE", "MAC", "MTU")
    lines = table(headings, rows)
    reasons = [
        line
        for network in answer["networks"]
        for why in (network.get("reason"), network.get("problem"))
        if why
        for line in prose(f"{clean(network['id'])}: {clean(why)}", rest="  ")
    ]
    return [*lines, "", *reasons] if reasons else lines


def _peer_lines(answer: dict[str, Any]) -> list[str]:
    rows = [
        (
            peer["address"],
            peer["name"],
            f"{peer['path']} x{len(peer['spread'])}" if peer.get("spread") else peer["path"],
            f"via {via}" if (via := relayer(peer)) else peer["endpoint"],
            milliseconds(peer["rtt_ms"]),
            f"{peer['loss'] * 100:.0f}%",
            _bytes(peer["tx_bytes"]),
            _bytes(peer["rx_bytes"]),
        )
        for peer in answer["peers"]
    ]
    headings = ("PEER", "NAME", "PATH", "ENDPOINT", "RTT", "LOSS", "SENT", "GOT")
    return table(headings, rows) if rows else ["no peers"]


def _bytes(count: float) -> str:
    """A count of bytes with a decimal unit; a decimal only where there is one digit before it."""
    power = 0
    while count >= KILO and power < len(UNITS) - 1:
        count, power = count / KILO, power + 1
    decimals = 1 if power and count < TEN else 0
    return f"{count:.{decimals}f} {UNITS[power]}"
