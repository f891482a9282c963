"""Commands that only look: status, networks, peers, counters."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.ask import ask
from l2mesh.cli.output import clean, milliseconds, output_option, relayer, show, table

__all__ = ["COMMANDS"]

KILO: Final = 1000.0


@click.command()
@output_option()
@click.pass_context
def status(context: click.Context) -> None:
    """Who this node is, and which planets it reaches."""
    answer = ask(context, "status")
    show(context, answer, _status_lines(answer))


@click.command()
@output_option()
@click.pass_context
def networks(context: click.Context) -> None:
    """The networks this node has joined."""
    answer = ask(context, "networks")
    show(context, answer, _network_lines(answer))


@click.command()
@output_option()
@click.pass_context
def peers(context: click.Context) -> None:
    """The nodes it talks to, and by which path."""
    answer = ask(context, "peers")
    show(context, answer, _peer_lines(answer))


@click.command()
@output_option()
@click.pass_context
def counters(context: click.Context) -> None:
    """What was counted, and why frames and datagrams were dropped."""
    answer = ask(context, "counters")
    show(context, answer, _counter_lines(answer))


COMMANDS: Final = (status, networks, peers, counters)


def _status_lines(answer: dict[str, Any]) -> list[str]:
    lines = [
        f"address      {clean(answer['address'])}",
        f"fingerprint  {clean(answer['fingerprint'])}",
        f"version      {clean(answer['version'])}, {clean(answer['engine'])} engine",
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
            "up, home" if planet.get("home") else planet["state"],
            planet.get("transport"),
        )
        for planet in answer["planets"]
    ]
    lines += table(("PLANET", "ENDPOINT", "RTT", "STATE", "BY"), rows) if rows else ["no planets"]
    offloads = answer.get("offloads", {}).items()
    off = [(name, offload["why"]) for name, offload in offloads if not offload["on"]]
    if off:
        lines += ["", *table(("OFFLOAD OFF", "WHY"), off)]
    if answer["health"]:
        lines += ["", "health", *(f"  - {clean(line)}" for line in answer["health"])]
    return lines


def _network_lines(answer: dict[str, Any]) -> list[str]:
    rows = [
        (
            network["id"],
            network["name"],
            network["status"],
            network["device"],
            network["bridge"],
            network["mac"],
            network["mtu"],
            network["addresses"],
        )
        for network in answer["networks"]
    ]
    if not rows:
        return ["no networks; join one with `l2mesh join ID`"]
    headings = ("ID", "NAME", "STATUS", "DEVICE", "BRIDGE", "MAC", "MTU", "ADDRESSES")
    reasons = [
        f"{clean(network['id'])}: {clean(network['reason'])}"
        for network in answer["networks"]
        if network.get("reason")
    ]
    return [*table(headings, rows), *reasons]


def _peer_lines(answer: dict[str, Any]) -> list[str]:
    rows = [
        (
            peer["address"],
            peer["name"],
            f"{peer['path']} x{len(peer['spread'])}" if peer.get("spread") else peer["path"],
            peer["endpoint"],
            relayer(peer),
            milliseconds(peer["rtt_ms"]),
            f"{peer['loss'] * 100:.0f}%",
            peer["cipher"],
            _bytes(peer["tx_bytes"]),
            _bytes(peer["rx_bytes"]),
        )
        for peer in answer["peers"]
    ]
    headings = ("PEER", "NAME", "PATH", "ENDPOINT", "VIA", "RTT", "LOSS", "CIPHER", "SENT", "GOT")
    return table(headings, rows) if rows else ["no peers"]


def _counter_lines(answer: dict[str, Any]) -> list[str]:
    lines = table(("COUNTER", "COUNT"), sorted(answer["counters"].items()))
    if answer["drops"]:
        lines += ["", *table(("DROPPED", "COUNT"), sorted(answer["drops"].items()))]
    return lines


def _bytes(count: float) -> str:
    """A count of bytes with a decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < KILO:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KILO
    return f"{count:.1f} TB"
