"""Figures as a table for people and as JSON for programs."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any, Final

from tools.benchmark.mesh import Idle, Meeting
from tools.benchmark.throughput import Measured

__all__ = ["document", "machine", "table"]

_HEADINGS: Final = ("way", "Mbit/s", "spread", "of veth", "ns/B send", "ns/B recv", "retrans.",
                    "RTT p50", "p99")  # fmt: skip


def table(found: Sequence[Measured]) -> list[str]:
    """One line a contender: medians, with the smallest and largest round beside the throughput."""
    base = next((median(each.mbits) for each in found if each.name == "veth"), None)
    rows = [_row(each, base) for each in found]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (_HEADINGS, *rows)
    ]


def document(
    found: Sequence[Measured],
    meetings: Sequence[Meeting],
    idle: Idle | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything, every single round included."""
    return {
        "schema": "l2mesh.bench/1",
        "machine": machine(),
        "options": dict(options),
        "ways": [{**asdict(each), "median_mbits": median(each.mbits)} for each in found],
        "meetings": [asdict(each) for each in meetings],
        "idle": asdict(idle) if idle else None,
    }


def machine() -> dict[str, Any]:
    """What the figures depend on; a load above 1 before the start disturbs them."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def _row(each: Measured, base: float | None) -> tuple[str, ...]:
    rtt = sorted(each.rtt_ms)
    speed = median(each.mbits)
    return (
        each.name,
        f"{speed:,.0f}",
        f"{min(each.mbits):,.0f}-{max(each.mbits):,.0f}",
        f"{speed / base:.1%}" if base else "-",
        f"{median(each.sender_ns):.1f}" if each.sender_ns else "-",
        f"{median(each.receiver_ns):.1f}" if each.receiver_ns else "-",
        f"{median(each.retransmits):.0f}",
        f"{median(rtt):.2f} ms" if rtt else "-",
        f"{rtt[int(len(rtt) * 0.99)]:.2f} ms" if rtt else "-",
    )
