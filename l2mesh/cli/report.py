"""What nodes and planets tell of themselves in the same words."""

from __future__ import annotations

from typing import Any

from l2mesh.cli.layout import clean, prose, table

__all__ = ["counter_lines", "engine_text", "health_lines", "offload_lines"]


def engine_text(answer: dict[str, Any]) -> str:
    """``native, 2 workers``."""
    workers = answer.get("workers", 1)
    return f"{clean(answer['engine'])}, {workers} worker{'s' if workers > 1 else ''}"


def offload_lines(answer: dict[str, Any]) -> list[str]:
    """The kernel's offloads that are off, below an empty line; nothing where all are on."""
    offloads = answer.get("offloads", {}).items()
    off = [(name, offload["why"]) for name, offload in offloads if not offload["on"]]
    return ["", *table(("OFFLOAD OFF", "WHY"), off)] if off else []


def health_lines(answer: dict[str, Any]) -> list[str]:
    """What is wrong, below an empty line; nothing where all is well."""
    if not answer["health"]:
        return []
    return ["", "health", *(line for what in answer["health"] for line in prose(what, "  - "))]


def counter_lines(answer: dict[str, Any]) -> list[str]:
    """Counters by name, and why something was dropped."""
    lines = table(("COUNTER", "COUNT"), sorted(answer["counters"].items()))
    if answer["drops"]:
        lines += ["", *table(("DROPPED", "COUNT"), sorted(answer["drops"].items()))]
    return lines
