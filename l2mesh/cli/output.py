"""What a command prints: lines for people, JSON for programs.

Names come from other nodes and reasons from controllers, so whatever goes to a terminal is cleaned
of control and direction characters; JSON escapes everything beyond ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import click

from l2mesh.cli.layout import clean, prose, table
from l2mesh.cli.options import anywhere, chosen

__all__ = [
    "ago",
    "clean",
    "is_json",
    "milliseconds",
    "outline",
    "output_option",
    "prose",
    "relayer",
    "show",
    "table",
]

LABEL_WIDTH: Final = 20
MINUTE_S: Final = 60
HOUR_S: Final = 3600


def output_option() -> Callable[[Any], Any]:
    """Adds ``-o table|json``; the last one on the line wins."""
    return anywhere(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="Form of the answer.",
    )


def is_json(context: click.Context) -> bool:
    """Whether JSON was asked for, before or after the command's name."""
    return bool(chosen(context, "output") == "json")


def show(context: click.Context, document: dict[str, Any], lines: Iterable[str]) -> None:
    """Prints the document as JSON, or the lines for people."""
    if is_json(context):
        import json

        click.echo(json.dumps(document, indent=2))
        return
    for line in lines:
        click.echo(line)


def relayer(answer: Mapping[str, Any]) -> str | None:
    """Who relays: the address of a planet, or of a member with its name; None if nobody does."""
    via: str | None = answer["via"]
    if via is None or answer.get("via_kind") != "member":
        return via
    return f"{via} ({answer.get('via_name') or 'member'})"


def milliseconds(value: float | None) -> str | None:
    """A duration as people read it; None stays None."""
    return None if value is None else f"{value:.1f} ms"


def ago(seconds: float) -> str:
    """An age in its largest sensible unit: ``3 s ago``, ``5 min ago``, ``2 h ago``."""
    for unit, size in (("h", HOUR_S), ("min", MINUTE_S)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def outline(document: Mapping[str, Any], indent: str = "") -> list[str]:
    """A document without its schema: one line a value, nested ones indented below their name."""
    lines = []
    for name, value in document.items():
        label = f"{indent}{name.replace('_', ' ')}"
        if name == "schema" or value == {}:
            continue
        if isinstance(value, dict):
            lines += [label, *outline(value, f"{indent}  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(label)
            for item in value:
                lines += [f"{indent}  -", *outline(item, f"{indent}    ")]
        else:
            lines.append(f"{label:<{len(indent) + LABEL_WIDTH}}  {clean(value)}")
    return lines
