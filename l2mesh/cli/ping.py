"""``l2mesh ping``: does a member answer, by which path, and how fast?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import click

from l2mesh.cli.ask import ask
from l2mesh.cli.failure import Failure
from l2mesh.cli.output import clean, is_json, output_option, relayer, show

__all__ = ["COMMANDS"]

COUNT: Final = 10
"""At most so many while the path is not direct."""
INTERVAL_S: Final = 1.0


@click.command()
@click.argument("who", metavar="ADDRESS|NAME")
@click.option(
    "-c",
    "--count",
    type=click.IntRange(1),
    metavar="N",
    help="Ask so often, whatever the path.  [default: 10]",
)
@click.option(
    "-i",
    "--interval",
    type=click.FloatRange(min=0.01),
    default=INTERVAL_S,
    show_default=True,
    metavar="SECONDS",
    help="Time between two questions.",
)
@click.option(
    "--until-direct/--no-until-direct",
    default=None,
    help="Stop at the first answer by a direct path; the default without --count.",
)
@output_option()
@click.pass_context
def ping(
    context: click.Context,
    who: str,
    count: int | None,
    interval: float,
    until_direct: bool | None,  # noqa: FBT001 - click passes it
) -> None:
    """Ask a member until it answers by a direct path.

    Succeeds if any answer came, by whatever path. What is asked is the daemon there, inside the
    session: no address in the network is needed, and no firewall of the host is in the way.
    """
    stops = count is None if until_direct is None else until_direct
    replies: list[dict[str, Any]] = []
    sent, last = 0, None
    for reply in _ask(context, who, count or COUNT, interval):
        sent += 1
        if isinstance(reply, Failure):
            last = reply
            _tell(context, f"no answer from {clean(who)}")
            continue
        replies.append({key: value for key, value in reply.items() if key != "schema"})
        _tell(context, _reply_line(reply))
        if stops and reply["path"] == "direct":
            break
    is_direct = bool(replies) and replies[-1]["path"] == "direct"
    document = {
        "schema": "l2mesh.ping/1",
        "who": who,
        "sent": sent,
        "direct": is_direct,
        "replies": replies,
    }
    show(context, document, _summary(who, sent, replies, is_direct=is_direct))
    if last is not None and not replies:
        raise last


COMMANDS: Final = (ping,)


def _ask(
    context: click.Context, who: str, count: int, interval: float
) -> Iterator[dict[str, Any] | Failure]:
    """An answer or a time-out for each PROBE, one in each interval; other failures are raised."""
    for number in range(count):
        began = time.monotonic()
        try:
            yield ask(context, "ping", who=who)
        except Failure as failure:
            if failure.code != "timed_out":
                raise
            yield failure
        if number + 1 < count:
            time.sleep(max(0.0, interval - (time.monotonic() - began)))


def _tell(context: click.Context, line: str) -> None:
    if not is_json(context):
        click.echo(line)


def _reply_line(reply: dict[str, Any]) -> str:
    via = f" via {clean(relayer(reply))}" if reply["via"] else ""
    by = " by TLS" if reply.get("transport") == "tls" else ""
    words = f"{clean(reply['path'])}{via} {clean(reply['endpoint'])}{by}"
    return f"answer from {clean(reply['who'])}: {words}, {reply['rtt_ms']:.1f} ms"


def _summary(who: str, sent: int, replies: list[dict[str, Any]], *, is_direct: bool) -> list[str]:
    line = f"{sent} sent, {len(replies)} answered"
    if len(replies) > 1:
        rtts = [reply["rtt_ms"] for reply in replies]
        line += f", {min(rtts):.1f}/{sum(rtts) / len(rtts):.1f}/{max(rtts):.1f} ms min/mean/max"
    if not replies or is_direct:
        return [line]
    return [line, f"not direct: `l2mesh path {clean(who)}` shows what was tried"]
