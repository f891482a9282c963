"""Single measurements on one way: a TCP transfer, a flood of UDP datagrams, pings.

Each gives its figures by name; `figures.py` says what the names mean.
"""

import itertools
import json
import re
from pathlib import Path
from typing import Any, Final

from tools.benchmark.contenders import Arena, Contender
from tools.benchmark.cpu import Usage
from tools.benchmark.figures import Figures
from tools.lab.command import Argument

__all__ = ["ProbeError", "flood", "idle_rtt", "tcp"]

OMIT_S: Final = 1
PINGS: Final = 150
PING_INTERVAL_S: Final = 0.005
FLOOD_PORTS: Final = itertools.cycle(range(7100, 7900))
"""One for each flood: what a slow way still has of the one before is not taken for this one's."""
SETTLE_S: Final = 0.3
UDP_HEADERS: Final = 28


class ProbeError(Exception):
    """Nothing was measured, and why."""


def tcp(
    arena: Arena,
    way: Contender,
    name: str,
    *,
    seconds: int,
    flows: int = 1,
    backwards: bool = False,
    ping: bool = False,
) -> Figures:
    """A transfer by iperf3 with cubic: Mbit/s as `name`, what it cost, and the RTT if asked."""
    # One that goes on serving resets who comes while it tidies up.
    server = arena.b.start(["iperf3", "-s", "-1", "--forceflush"], name="iperf3")
    server.wait_for_log("Server listening")
    line = ["iperf3", "-c", way.target, "-t", str(seconds), "-O", str(OMIT_S), "-J"]
    # Cubic is refused to other namespaces than the first, unless root picks it for a socket.
    line += ["-C", "cubic", "-P", str(flows), *(["-R"] if backwards else [])]
    before = Usage.now(way.processes)
    client = arena.a.start(line, name="iperf3")
    rtt = _rtt(arena, way, "loaded", count=seconds * 50, interval=0.02) if ping else {}
    client.wait(seconds + 30)
    used = Usage.now(way.processes) - before
    try:
        report: dict[str, Any] = json.loads(client.log())
    except ValueError as error:
        raise ProbeError(f"iperf3 said no JSON\n{client.tail()}") from error
    if "error" in report:
        raise ProbeError(f"iperf3: {report['error']}")
    server.wait()
    received = report["end"]["sum_received"]["bits_per_second"]
    # The CPU time covers the omitted second too, so the bytes must.
    carried = received / 8 * (seconds + OMIT_S)
    found = {name: received / 1e6, f"{name}_machine_ns": used.machine / carried * 1e9, **rtt}
    if used.processes:
        ends = used.processes[::-1] if backwards else used.processes
        found[f"{name}_sender_ns"] = ends[0] / carried * 1e9
        found[f"{name}_receiver_ns"] = ends[1] / carried * 1e9
    return found


def flood(arena: Arena, way: Contender, generator: Path, size: int, *, seconds: float) -> Figures:
    """Frames whose IP packet has `size` bytes, as fast as they can be made: what arrives a second.

    64 stands for the shortest frame of Ethernet, with its checksum.
    """
    payload = 18 if size == 64 else size - UDP_HEADERS
    at = f"{way.target}:{next(FLOOD_PORTS)}"
    sink = arena.b.start([generator, "receive", at, str(seconds)], name="sink")
    sender: list[Argument] = [generator, "send", at, str(payload), str(seconds + SETTLE_S)]
    arena.a.run(sender, timeout=seconds + 30)
    sink.wait(30)
    found = re.search(r"received (\d+) rate (\d+) late (\d+)", sink.log())
    if found is None:
        raise ProbeError(f"the flood did not arrive\n{sink.tail()}")
    return {f"udp{size}": float(found[2]), f"udp{size}_late": float(found[3])}


def idle_rtt(arena: Arena, way: Contender) -> Figures:
    """Pings on a way that carries nothing else."""
    return _rtt(arena, way, "idle", count=PINGS, interval=PING_INTERVAL_S)


def _rtt(arena: Arena, way: Contender, name: str, *, count: int, interval: float) -> Figures:
    line = ["ping", "-c", str(count), "-i", str(interval), "-W", "1", way.target]
    text = arena.a.run(line, check=False, timeout=count * interval + 30).stdout
    times = sorted(float(each) * 1000 for each in re.findall(r"time=([\d.]+) ms", text))
    if not times:
        return {}
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    lost = 1 - len(times) / count
    return {f"{name}_p50_us": p50, f"{name}_p99_us": p99, f"{name}_lost": lost}
