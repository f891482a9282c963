"""Parts of `docs/performance.md` that programs write, each between two marks."""

from pathlib import Path
from typing import Final

__all__ = ["PAGE", "insert", "marks"]

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "performance.md"


def marks(command: str) -> tuple[str, str]:
    """The lines around what that command writes."""
    return f"<!-- written by `{command}`: do not edit by hand -->", f"<!-- end of `{command}` -->"


def insert(page: Path, command: str, text: str) -> None:
    """Put `text` between the marks in place of what is there; ValueError without both marks."""
    first, last = marks(command)
    before, begin, rest = page.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{page} lacks a mark: {first} or {last}")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")
