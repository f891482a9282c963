"""Who used how much of the processors meanwhile."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tools.lab import Process

__all__ = ["Usage", "cpu_s", "processor_ticks", "rss_mib"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")
# proc(5): user, nice, system, irq and softirq; idle, iowait, stolen time and guests are left out
_BUSY_FIELDS: Final = (0, 1, 2, 5, 6)


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far, or, after a subtraction, between two moments."""

    machine: float
    """Of all processors: programs, kernel and interrupts."""
    processes: tuple[float, ...]
    """Of certain programs, user and system."""

    @classmethod
    def now(cls, processes: Sequence[Process] = ()) -> Self:
        """As of now."""
        fields = processor_ticks()
        busy = sum(fields[number] for number in _BUSY_FIELDS) / _TICKS
        return cls(busy, tuple(map(cpu_s, processes)))

    def __sub__(self, before: "Usage") -> "Usage":
        pairs = zip(self.processes, before.processes, strict=True)
        return Usage(self.machine - before.machine, tuple(now - then for now, then in pairs))


def processor_ticks() -> list[int]:
    """Of all processors since the start, by what they did: the fields of ``cpu`` (proc(5))."""
    with open("/proc/stat", encoding="ascii") as stat:
        return [int(field) for field in stat.readline().split()[1:]]


def cpu_s(process: Process) -> float:
    """Seconds of CPU, user and system, that a process has used (proc(5), fields 14 and 15)."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mib(process: Process) -> float:
    """Resident memory, MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else float("nan")
