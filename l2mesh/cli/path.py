"""``l2mesh path``: all ways to a peer, what was tried, and why each is or is not in use."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.ask import ask
from l2mesh.cli.output import ago, clean, milliseconds, output_option, prose, relayer, show, table

__all__ = ["COMMANDS"]


@click.command()
@click.argument("who", metavar="ADDRESS|NAME")
@output_option()
@click.pass_context
def path(context: click.Context, who: str) -> None:
    """Show all paths to a peer, and why each is or is not in use.

    A peer is a member (by address or name), a planet (by address) or `controller`.
    """
    answer = ask(context, "path", who=who)
    show(context, answer, _lines(answer))


COMMANDS: Final = (path,)

_SOURCES: Final = frozenset({"told", "seen", "lan", "remembered"})
"""How an endpoint became known: the peer told it, a packet came from there, it is on our LAN, or it
worked before a restart."""


def _lines(answer: dict[str, Any]) -> list[str]:
    title = clean(answer["address"])
    if answer["name"]:
        title = f"{clean(answer['name'])} ({title})"
    lines = prose(f"{title}: {_now(answer)}", rest="  ") + prose(answer["summary"], "  ")
    if answer["retry_s"] is not None:
        lines.append(f"  other endpoints are tried again in {answer['retry_s']:.0f} s")
    has_uplinks = any(candidate.get("uplink") for candidate in answer["candidates"])
    rows = [_row(candidate, has_uplinks=has_uplinks) for candidate in answer["candidates"]]
    if rows:
        uplink = ("UPLINK",) if has_uplinks else ()
        headings = ("PATH", "ENDPOINT", *uplink, "STATE", "ANSWERED", "RTT", "WHY")
        lines += ["", *table(headings, rows)]
    if answer["told"]:
        lines += ["", *prose(", ".join(answer["told"]), "it was told of us: ")]
    return lines


def _now(answer: dict[str, Any]) -> str:
    if answer["path"] == "none":
        return f"no path, session {clean(answer['session'])}"
    via = f" via {clean(relayer(answer))}" if answer["via"] else ""
    measured = ""
    if answer["rtt_ms"] is not None:
        measured = f", {milliseconds(answer['rtt_ms'])}, {answer['loss'] * 100:.0f}% lost"
    by = " by TLS" if answer.get("transport") == "tls" else ""
    return f"{clean(answer['path'])}{via} {clean(answer['endpoint'])}{by}{measured}"


def _row(candidate: dict[str, Any], *, has_uplinks: bool) -> tuple[object, ...]:
    uplink = (candidate.get("uplink") or "as routed",) if has_uplinks else ()
    return (
        _kind(candidate),
        _endpoint(candidate),
        *uplink,
        candidate["state"].replace("_", " "),
        _answered(candidate),
        milliseconds(candidate["rtt_ms"]),
        candidate["reason"],
    )


def _kind(candidate: dict[str, Any]) -> str:
    """The path's kind, with who relays or how its endpoint became known."""
    if via := relayer(candidate):
        return f"relay {via}"
    source = candidate["source"]
    return f"{candidate['path']} ({source})" if source in _SOURCES else str(candidate["path"])


def _endpoint(candidate: dict[str, Any]) -> str:
    endpoint, nat64 = candidate["endpoint"], candidate.get("nat64")
    by = " by TLS" if candidate.get("transport") == "tls" else ""
    return f"{endpoint} as {nat64}" if nat64 else f"{endpoint}{by}"


def _answered(candidate: dict[str, Any]) -> str | None:
    """``6 of 7, 3 s ago``: how many probes were answered, and the age of the latest probe."""
    age_s = candidate["probed_s_ago"]
    return (
        None if age_s is None else f"{candidate['answers']} of {candidate['probes']}, {ago(age_s)}"
    )
