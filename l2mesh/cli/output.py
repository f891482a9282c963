"""Tables for people, JSON for programs.

Names come from other nodes and reasons from controllers, so whatever goes to a terminal is cleaned
of control and direction characters; JSON escapes everything beyond ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import click

from l2mesh.cli.options import anywhere, chosen

__all__ = [
    "ago",
    "clean",
    "is_json",
    "milliseconds",
    "outline",
    "output_option",
    "relayer",
    "show",
    "table",
]

COLUMN_GAP: Final = "  "
LABEL_WIDTH: Final = 20
MINUTE_S: Final = 60
HOUR_S: Final = 3600
NOTHING: Final = "-"
UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"
_COLOURS: Final = {
    "ok": "green",
    "up": "green",
    "direct": "green",
    "in use": "green",
    "answers": "green",
    "relay": "yellow",
    "trying": "yellow",
    "requesting": "yellow",
    "connecting": "yellow",
    "silent": "red",
    "dead": "red",
    "denied": "red",
    "error": "red",
    "not_found": "red",
}


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


def clean(value: object) -> str:
    """A value as one line of printable text; ``-`` for nothing."""
    if value is None or value in ("", []):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list | tuple):
        return ",".join(clean(item) for item in value)
    return "".join(char if char.isprintable() else UNPRINTABLE for char in str(value))


def milliseconds(value: float | None) -> str | None:
    """A duration as people read it; None stays None."""
    return None if value is None else f"{value:.1f} ms"


def ago(seconds: float) -> str:
    """An age in its largest sensible unit: ``3 s ago``, ``5 min ago``, ``2 h ago``."""
    for unit, size in (("h", HOUR_S), ("min", MINUTE_S)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Aligned columns under headings; known words are coloured on a terminal."""
    cells = [[clean(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    return [_line(headings, widths)] + [_line(row, widths, styled=True) for row in cells]


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
            lines.append(f"{label:<{len(indent) + LABEL_WIDTH}}{COLUMN_GAP}{clean(value)}")
    return lines


def _line(cells: Sequence[str], widths: Sequence[int], *, styled: bool = False) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    padded[-1] = cells[-1]
    if styled:
        padded = [
            click.style(text, fg=_COLOURS[cell]) if cell in _COLOURS else text
            for text, cell in zip(padded, cells, strict=True)
        ]
    return COLUMN_GAP.join(padded)
