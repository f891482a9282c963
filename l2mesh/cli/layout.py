"""How answers are laid out for people: aligned tables that fit the terminal, and wrapped sentences.

A table that is too wide for the terminal is folded: the columns that find no room go on in the next
line, indented, and a last one that is prose is wrapped there. In a pipe a row and a sentence stay
one line, for grep and awk, and nothing is coloured.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import click

__all__ = ["UNPRINTABLE", "clean", "prose", "table"]

COLUMN_GAP: Final = "  "
FOLD_INDENT: Final = "    "
USUAL_WIDTH: Final = 80
"""Of a terminal that does not say how wide it is."""
MAX_PROSE: Final = 100
"""Sentences are wrapped there at the latest: nobody reads longer lines."""
NOTHING: Final = "-"
UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"
_COLOURS: Final = {
    "ok": "green",
    "up": "green",
    "up, home": "green",
    "direct": "green",
    "in use": "green",
    "answers": "green",
    "relay": "yellow",
    "trying": "yellow",
    "requesting": "yellow",
    "connecting": "yellow",
    "draining": "yellow",
    "silent": "red",
    "dead": "red",
    "denied": "red",
    "error": "red",
    "not_found": "red",
}


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


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Aligned columns under headings; known words are coloured on a terminal."""
    cells = [[clean(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    width = _terminal_width()
    folds = [list(range(len(widths)))] if width is None else list(_folds(widths, width))
    lines = _lines(headings, widths, folds, width)
    for row in cells:
        lines += _lines(row, widths, folds, width, styled=True)
    return lines


def prose(text: object, first: str = "", rest: str | None = None) -> list[str]:
    """A sentence in lines that fit; the first one begins with `first`, others with `rest` (by
    default as much space)."""
    width = _terminal_width()
    if width is None:
        return [first + clean(text)]
    return textwrap.wrap(
        clean(text),
        max(min(width, MAX_PROSE), len(first) + 1),
        initial_indent=first,
        subsequent_indent=" " * len(first) if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _terminal_width() -> int | None:
    """Columns of the terminal; None where there is none."""
    if not sys.stdout.isatty():
        return None
    return os.get_terminal_size(sys.stdout.fileno()).columns or USUAL_WIDTH


def _folds(widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """The columns of each line of a row: as many as fit, at least one."""
    gap = len(COLUMN_GAP)
    fold: list[int] = []
    used = -gap
    for column, needed in enumerate(widths):
        if fold and used + gap + needed > width:
            yield fold
            fold, used = [], len(FOLD_INDENT) - gap
        fold.append(column)
        used += gap + needed
    yield fold


def _lines(
    cells: Sequence[str],
    widths: Sequence[int],
    folds: Sequence[Sequence[int]],
    width: int | None,
    *,
    styled: bool = False,
) -> list[str]:
    """One row, on as many lines as there are folds, and more where prose is wrapped."""
    lines: list[str] = []
    for fold in folds:
        indent = FOLD_INDENT if lines else ""
        if width is not None and len(fold) == 1 and len(indent) + widths[fold[0]] > width:
            lines += prose(cells[fold[0]], indent, FOLD_INDENT)
            continue
        padded = [_cell(cells[column], widths[column], styled=styled) for column in fold[:-1]]
        padded.append(_cell(cells[fold[-1]], 0, styled=styled))
        lines.append(indent + COLUMN_GAP.join(padded))
    return lines


def _cell(text: str, width: int, *, styled: bool) -> str:
    padded = text.ljust(width)
    if not styled or text not in _COLOURS or os.environ.get("NO_COLOR"):
        return padded
    return click.style(padded, fg=_COLOURS[text])
