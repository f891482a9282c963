"""``l2mesh netcheck``: what this host's network lets through, and what to do about the rest."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.ask import ask
from l2mesh.cli.output import clean, milliseconds, output_option, prose, show, table

__all__ = ["COMMANDS"]

_NAT: Final = {
    "independent": "it keeps one port for all destinations: direct paths are easy",
    "sequential": "it counts on to another port for every destination: a symmetric NAT",
    "random": "it draws another port for every destination: a symmetric NAT",
    "unknown": "one planet alone cannot tell what kind of NAT it is",
}
_PROTOCOLS: Final = {"pcp": "PCP", "nat-pmp": "NAT-PMP", "upnp": "UPnP"}


@click.command()
@output_option()
@click.pass_context
def netcheck(context: click.Context) -> None:
    """Check what this host's network lets through.

    Asks every planet by UDP and TCP for two seconds, and says what is in the way and what to do.
    """
    answer = ask(context, "netcheck")
    show(context, answer, _lines(answer))


COMMANDS: Final = (netcheck,)


def _lines(answer: dict[str, Any]) -> list[str]:
    lines = prose(_udp(answer), "UDP   ")
    for version in (4, 6):
        label = f"IPv{version}  "
        for sentence in _family(answer[f"ipv{version}"]):
            lines += prose(sentence, label)
            label = " " * len(label)
    if (nat64 := answer.get("nat64") or {}).get("needed"):
        lines += prose(_nat64(nat64), "NAT64 ")
    if here := answer.get("lan"):
        lines += prose(", ".join(f"{who} at {at}" for who, at in here.items()), "LAN   ")
    if mapping := answer.get("port_mapping"):
        lines += prose(_port(mapping), "Port  ")
    if (pinhole := answer.get("pinhole") or {}).get("enabled") and answer["ipv6"]["has_address"]:
        lines += prose(_pinhole(pinhole), "Port6 ")
    if len(uplinks := answer.get("uplinks") or ()) > 1:
        for uplink in uplinks:
            lines += prose(_uplink(uplink), "Link  ")
    rows = [_row(planet) for planet in answer["planets"]]
    if rows:
        headings = ("PLANET", "ENDPOINT", "UDP", "RTT", "LOSS", "TCP", "SEES US AS")
        lines += ["", *table(headings, rows)]
    lines += ["", *_advice(answer["advice"])]
    return lines


def _udp(answer: dict[str, Any]) -> str:
    planets = {planet["address"] for planet in answer["planets"]}
    heard = {planet["address"] for planet in answer["planets"] if planet["udp"] == "answers"}
    if answer["blocked"]:
        ports = ", ".join(map(clean, answer["blocked"]))
        return f"blocked ({ports} gets no answer, though planets answer by TCP)"
    if not planets:
        return "not checked: this node knows no planet"
    count = f"{len(heard)} of {len(planets)} planets answer"
    return f"works, {count}" if heard else f"no answer from any of {len(planets)} planets"


def _family(family: dict[str, Any]) -> list[str]:
    if not family["has_address"] and not family["works"]:
        return ["this host has no address of this kind"]
    if not family["works"]:
        return [f"no planet answers; own address {clean(family['local'])}"]
    public = clean(family["public"])
    if family["nat"] == "open":
        return [f"works without a NAT, address {public}"]
    same = " (our own port)" if family["keeps_port"] else ""
    return [
        f"works through a NAT, outside {public}{same}",
        _NAT.get(family["nat"], clean(family["nat"])),
    ]


def _nat64(nat64: dict[str, Any]) -> str:
    if nat64["prefix"] is None:
        return f"no prefix: {clean(nat64['problem'])}"
    return f"{clean(nat64['prefix'])} leads to IPv4"


def _port(mapping: dict[str, Any]) -> str:
    if not mapping["enabled"]:
        return "mapping is off"
    if mapping["outside"] is None:
        return f"not mapped: {clean(mapping['problem'])}"
    how = _PROTOCOLS.get(mapping["protocol"], clean(mapping["protocol"]))
    return f"{clean(mapping['outside'])} leads here, by {how} from {clean(mapping['gateway'])}"


def _pinhole(mapping: dict[str, Any]) -> str:
    if mapping["outside"] is None:
        return f"no pinhole: {clean(mapping['problem'])}"
    return f"{clean(mapping['gateway'])} lets in what is for {clean(mapping['outside'])}, by PCP"


def _uplink(uplink: dict[str, Any]) -> str:
    device = clean(uplink["device"])
    if not uplink["up"]:
        return f"{device} is down"
    if not uplink["used"]:
        return f"{device} is not used"
    role = "the host's own choice" if uplink["own_choice"] else "used where it is better"
    heard = f"{uplink['planets']} planets answer"
    rtt = f" in {milliseconds(uplink['rtt_ms'])}" if uplink["rtt_ms"] is not None else ""
    return f"{device}: {role}, {heard}{rtt}"


def _row(planet: dict[str, Any]) -> tuple[object, ...]:
    is_asked = planet["sent"] and planet["udp"] != "no_address"
    return (
        planet["address"],
        planet["endpoint"],
        planet["udp"].replace("_", " "),
        milliseconds(planet["rtt_ms"]),
        f"{planet['loss'] * 100:.0f}%" if is_asked else None,
        None if planet["udp"] == "no_address" else _tcp(planet["tcp"]),
        planet["observed"],
    )


def _tcp(states: dict[str, str]) -> str | None:
    """The ports that are open, or what the first one says instead."""
    ports = [port for port, state in states.items() if state == "open"]
    if ports:
        return f"{'+'.join(ports)} open"
    return next((state.replace("_", " ") for state in states.values()), None)


def _advice(advice: list[str]) -> list[str]:
    if not advice:
        return ["nothing to mend: this network lets direct paths through"]
    lines = ["advice"]
    for sentence in advice:
        lines += prose(sentence, "  - ")
    return lines
