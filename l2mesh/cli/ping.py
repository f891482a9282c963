"""``l2mesh ping``: does a member answer, by which path, and how fast?"""

from __future__ import annotations

import time
from typing import Any, Final

import click

from l2mesh.cli.ask import ask
from l2mesh.cli.failure import Failure
from l2mesh.cli.output import clean, is_json, output_option, show

__all__ = ["COMMANDS"]

COUNT: Final = 4
INTERVAL_S: Final = 1.0


@click.command()
@click.argument("who", metavar="ADDRESS|NAME")
@click.option("-c", "--count", type=click.IntRange(1), default=COUNT, show_default=True)
@click.option(
    "-i", "--interval", type=click.FloatRange(min=0.01), default=INTERVAL_S, show_default=True
)
@output_option()
@click.pass_context
def ping(context: click.Context, who: str, count: int, interval: float) -> None:
    """Ask a member for an answer; succeeds if any came back."""
    replies: list[dict[str, Any]] = []
    last: Failure | None = None
    for number in range(count):
        began = time.monotonic()
        try:
            reply = ask(context, "ping", who=who)
        except Failure as failure:
            if failure.code != "timed_out":
                raise
            last = failure
            _tell(context, f"no answer from {clean(who)}")
        else:
            replies.append({key: value for key, value in reply.items() if key != "schema"})
            _tell(context, _reply_line(reply))
        if number + 1 < count:
            time.sleep(max(0.0, interval - (time.monotonic() - began)))
    document = {"schema": "l2mesh.ping/1", "who": who, "sent": count, "replies": replies}
    show(context, document, [f"{count} sent, {len(replies)} answered"])
    if last is not None and not replies:
        raise last


COMMANDS: Final = (ping,)


def _tell(context: click.Context, line: str) -> None:
    if not is_json(context):
        click.echo(line)


def _reply_line(reply: dict[str, Any]) -> str:
    via = f" via {clean(reply['via'])}" if reply["via"] else ""
    words = f"{clean(reply['path'])}{via} {clean(reply['endpoint'])}"
    return f"answer from {clean(reply['who'])}: {words} {reply['rtt_ms']:.1f} ms"
