"""``l2mesh path``: all ways to a peer, what was tried, and why each is or is not in use."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.ask import ask
from l2mesh.cli.output import ago, clean, milliseconds, output_option, relayer, show, table

__all__ = ["COMMANDS"]


@click.command()
@click.argument("who", metavar="ADDRESS|NAME")
@output_option()
@click.pass_context
def path(context: click.Context, who: str) -> None:
    """Show every way to a member, planet or controller, and why it is or is not in use."""
    answer = ask(context, "path", who=who)
    show(context, answer, _lines(answer))


COMMANDS: Final = (path,)


def _lines(answer: dict[str, Any]) -> list[str]:
    title = clean(answer["address"])
    if answer["name"]:
        title = f"{clean(answer['name'])} ({title})"
    lines = [f"{title}: {_now(answer)}", f"  {clean(answer['summary'])}"]
    if answer["retry_s"] is not None:
        lines.append(f"  other endpoints are tried again in {answer['retry_s']:.0f} s")
    has_uplinks = any(candidate.get("uplink") for candidate in answer["candidates"])
    rows = [_row(candidate, has_uplinks=has_uplinks) for candidate in answer["candidates"]]
    if rows:
        uplink = ("UPLINK",) if has_uplinks else ()
        headings = ("WAY", "ENDPOINT", *uplink, "KNOWN BY", "STATE", "ASKED", "ANSWERED")
        headings += ("RTT", "WHY")
        lines += ["", *table(headings, rows)]
    if answer["told"]:
        lines += ["", f"it has heard of us: {', '.join(map(clean, answer['told']))}"]
    return lines


def _now(answer: dict[str, Any]) -> str:
    if answer["path"] == "none":
        return f"no path, session {clean(answer['session'])}"
    via = f" via {clean(relayer(answer))}" if answer["via"] else ""
    measured = ""
    if answer["rtt_ms"] is not None:
        measured = f", {milliseconds(answer['rtt_ms'])}, {answer['loss'] * 100:.0f}% lost"
    return f"{clean(answer['path'])}{via} {clean(answer['endpoint'])}{measured}"


def _row(candidate: dict[str, Any], *, has_uplinks: bool) -> tuple[object, ...]:
    uplink = (candidate.get("uplink") or "as routed",) if has_uplinks else ()
    via = relayer(candidate)
    return (
        f"relay {via}" if via else candidate["path"],
        _endpoint(candidate),
        *uplink,
        candidate["source"],
        candidate["state"].replace("_", " "),
        _times(candidate["probes"], candidate["probed_s_ago"]),
        _times(candidate["answers"], candidate["answered_s_ago"]),
        milliseconds(candidate["rtt_ms"]),
        candidate["reason"],
    )


def _endpoint(candidate: dict[str, Any]) -> str:
    endpoint, nat64 = candidate["endpoint"], candidate.get("nat64")
    return f"{endpoint} as {nat64}" if nat64 else str(endpoint)


def _times(count: int, age_s: float | None) -> str | None:
    """``7x, 3 s ago``."""
    return None if age_s is None else f"{count}x, {ago(age_s)}"
