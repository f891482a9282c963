"""One TCP flow and many pings on each contender in turn, round after round."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tools.benchmark.contenders import Arena, Contender
from tools.lab import Process

__all__ = ["Measured", "cpu_s", "measure"]

PINGS: Final = 100
PING_INTERVAL_S: Final = 0.01
OMIT_S: Final = 1
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Measured:
    """What one contender showed, one number a round."""

    name: str
    """The contender's."""
    mbits: list[float] = field(default_factory=list)
    """TCP payload received, Mbit/s."""
    retransmits: list[int] = field(default_factory=list)
    """Of the sender, in each round."""
    sender_ns: list[float] = field(default_factory=list)
    """CPU time of the sender's program for each byte carried, ns; none for kernels."""
    receiver_ns: list[float] = field(default_factory=list)
    """The same of the receiver's."""
    rtt_ms: list[float] = field(default_factory=list)
    """Each answer to a ping on the idle way, ms."""


def measure(
    arena: Arena, contenders: Sequence[Contender], *, rounds: int, seconds: int
) -> Iterator[tuple[int, Measured]]:
    """Measure; after each single measurement yields the round and what its contender has so far."""
    found = {each.name: Measured(each.name) for each in contenders}
    server = arena.b.start(["iperf3", "-s", "--forceflush"], name="iperf3")
    server.wait_for_log("Server listening")
    for turn in range(rounds):
        # The other way round in every second round: nobody always comes after the same one.
        for each in contenders if turn % 2 == 0 else reversed(contenders):
            if each.check is not None:
                each.check()
            _ping(arena, each, found[each.name])
            _flow(arena, each, found[each.name], seconds)
            yield turn, found[each.name]


def _flow(arena: Arena, contender: Contender, into: Measured, seconds: int) -> None:
    # Cubic is refused to other namespaces than the first, unless root picks it for a socket.
    line = ["iperf3", "-c", contender.target, "-t", str(seconds), "-O", str(OMIT_S), "-C", "cubic"]
    before = [cpu_s(process) for process in contender.processes]
    done = arena.a.run([*line, "-J"], timeout=seconds + 30)
    spent = [cpu_s(p) - b for p, b in zip(contender.processes, before, strict=True)]
    end: dict[str, Any] = json.loads(done.stdout)["end"]
    into.mbits.append(end["sum_received"]["bits_per_second"] / 1e6)
    into.retransmits.append(end["sum_sent"]["retransmits"])
    if spent:
        # The CPU time covers the omitted second too, so the bytes must.
        carried = end["sum_received"]["bits_per_second"] / 8 * (seconds + OMIT_S)
        into.sender_ns.append(spent[0] / carried * 1e9)
        into.receiver_ns.append(spent[1] / carried * 1e9)


def _ping(arena: Arena, contender: Contender, into: Measured) -> None:
    line = ["ping", "-c", str(PINGS), "-i", str(PING_INTERVAL_S), "-W", "1", contender.target]
    text = arena.a.run(line, check=False).stdout
    into.rtt_ms += [float(each) for each in re.findall(r"time=([\d.]+) ms", text)]


def cpu_s(process: Process) -> float:
    """Seconds of CPU, user and system, that a process has used (proc(5), fields 14 and 15)."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
