"""The limit of this machine, computed from what nobody can do without.

A tunnel runs applications, TCP and two TAPs once (a forwarder between two TAPs does just that),
one UDP socket to another in trains (the pump), and seals and opens every byte. The CPU time of
these three for a byte of payload, on all processors, without waiting and without a cycle for
anything else, is a limit that no program of this kind can pass:

    limit = 8 bit * processors / (forwarder + pump + seal and open)
"""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.benchmark import builds
from tools.benchmark.contenders import Arena, Contender
from tools.benchmark.cpu import Usage
from tools.benchmark.figures import ENGINE, Figures, Round, Spread, spread
from tools.benchmark.probes import tcp
from tools.lab import Host

__all__ = ["Limits", "limit_mbits", "of_limit"]

SEALED_BYTES: Final = 1414
TRAIN_BYTES: Final = 1472
PUMP_PORT: Final = 7001


class Limits:
    """Measures the three parts."""

    def __init__(self, arena: Arena) -> None:
        """Build the tools, and join two hosts by a forwarder of TAPs."""
        self._arena = arena
        self._seal = builds.tool("l2mesh-core", "seal")
        self._pump = builds.tool("l2mesh-io", "pump")
        self._taps = _taps(arena.a, arena.b, builds.tool("l2mesh-io", "forwarder"))

    def measure(self, seconds: int) -> Figures:
        """Once each."""
        found = tcp(self._arena, self._taps, "forwarder", seconds=seconds)
        return {
            "forwarder_mbits": found["forwarder"],
            "forwarder_ns": found["forwarder_machine_ns"],
            **self._measure_pump(seconds),
            **_measure_seal(self._seal),
        }

    def _measure_pump(self, seconds: int) -> Figures:
        arena = self._arena
        target = f"{arena.b.addresses[0]}:{PUMP_PORT}"
        receiver = arena.b.start([self._pump, "receive", target], name="pump")
        receiver.wait_for_log("ready")
        before = Usage.now()
        arena.a.run([self._pump, "send", target, str(TRAIN_BYTES), str(seconds)], timeout=60)
        used = Usage.now() - before
        receiver.wait()
        count = int(_found(r"received (\d+)", receiver.log()))
        return {
            "pump_mbits": count * TRAIN_BYTES * 8 / seconds / 1e6,
            "pump_ns": used.machine / (count * TRAIN_BYTES) * 1e9,
        }


def limit_mbits(one: Round) -> float | None:
    """The limit, as one round found it."""
    found = one.get(ENGINE, {})
    if not {"forwarder_ns", "pump_ns", "seal_ns"} <= found.keys():
        return None
    cost = found["forwarder_ns"] + found["pump_ns"] + found["seal_ns"] / SEALED_BYTES
    return 8 * (os.cpu_count() or 1) / cost * 1e3


def of_limit(rounds: Sequence[Round], way: str) -> Spread | None:
    """Which share of the limit one flow of TCP reached on a way."""
    pairs = [(one.get(way, {}).get("tcp1"), limit_mbits(one)) for one in rounds]
    return spread(speed / limit for speed, limit in pairs if speed is not None and limit)


def _measure_seal(program: Path) -> Figures:
    text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    found = re.search(r"engine ([\d.]+) library ([\d.]+)", text)
    if found is None:
        raise RuntimeError(f"seal: {text!r}")
    return {"seal_ns": float(found[1]), "library_ns": float(found[2])}


def _taps(a: Host, b: Host, forwarder: Path) -> Contender:
    process = a.start([forwarder, "forward0", "forward1"])
    process.wait_for_log("ready")
    a.ip("link", "set", "forward1", "netns", b.namespace)
    for number, (host, device) in enumerate([(a, "forward0"), (b, "forward1")], start=1):
        host.ip("addr", "add", f"10.0.30.{number}/24", "dev", device)
        host.ip("link", "set", device, "up")
    return Contender("forwarder", "10.0.30.2", "forward0")


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"no {pattern!r} in {text!r}")
    return found[1]
