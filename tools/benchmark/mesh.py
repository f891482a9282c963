"""What only a mesh has: joining, the first ping, the way to a direct path, and idling."""

import re
import sys
import time
from dataclasses import dataclass
from typing import Final

from tools.benchmark.cpu import cpu_s, rss_mib
from tools.lab import Lab, LabError, Process, wait_until
from tools.tour.stage import CAST, Stage
from tools.tour.transcript import Transcript

__all__ = ["Idle", "Meeting", "idle", "meet"]

SAMPLE_S: Final = 0.002
DIRECT_WITHIN_S: Final = 30.0


@dataclass(frozen=True)
class Meeting:
    """Three nodes in a fresh network, two of them behind a NAT box each."""

    join_s: float
    """From typing `join` with a token to an interface with its address, the command's own start
    included."""
    first_ping_ms: float
    """The first answer between two members that only a relay connects, ARP included."""
    path_s: float
    """From the moment that the second node is in to any path between the two behind NATs."""
    direct_s: float
    """The same to their direct path."""


@dataclass(frozen=True)
class Idle:
    """A node in one network with one peer and no traffic."""

    cpu_percent: float
    """Of one core."""
    rss_mib: float
    """Resident memory."""
    seconds: float
    """How long it was watched."""


def meet() -> Meeting:
    """Build the stage of the tour, have the nodes join, and watch."""
    with Lab() as lab:
        silent = Transcript(sys.stderr, directory=str(lab.directory), verbose=False)
        stage = Stage(lab, silent, engine="auto", has_nat=True)
        stage.planet.start()
        for daemon in (stage.controller, *stage.nodes.values()):
            daemon.launch()
        for daemon in (stage.controller, *stage.nodes.values()):
            daemon.wait_ready()
        for name in CAST:
            wait_until(lambda name=name: stage.look(name, "status")["online"])  # type: ignore[misc]
            stage.identities[name] = stage.look(name, "status")
        return _watch(stage)


def _watch(stage: Stage) -> Meeting:
    stage.network = stage.controller.cli("network", "create", "--pool", "10.77.0.0/24")["id"]
    token = stage.controller.cli("token", "create", stage.network, "--uses", "3")["join"]
    begun = time.monotonic()
    stage.nodes["alice"].cli("join", token)
    join_s = time.monotonic() - begun
    bob = stage.nodes["bob"]
    bob.host.start(bob.cli_command(["join", token]))
    path_s, direct_s = _sample(stage)
    stage.lab.partition(stage.outside[0], stage.nodes["carol"].host)
    stage.nodes["carol"].cli("join", token)
    ping = ["ping", "-c", "1", "-W", "5", stage.address("carol")]
    answer = re.search(r"time=([\d.]+) ms", stage.nodes["alice"].host.run(ping).stdout)
    if answer is None or stage.path("alice", "carol") != "relay":
        raise LabError("the first ping did not take the relay")
    return Meeting(join_s, float(answer[1]), path_s, direct_s)


def _sample(stage: Stage) -> tuple[float, float]:
    """Seconds from bob's being in to a path between alice and bob, and to a direct one."""
    times: dict[str, float] = {}

    def is_direct() -> bool:
        if stage.joined("bob")["status"] == "ok":
            times.setdefault("in", time.monotonic())
        path = stage.path("alice", "bob")
        if path != "none":
            times.setdefault("any", time.monotonic())
        return path == "direct" and "in" in times

    wait_until(is_direct, DIRECT_WITHIN_S, SAMPLE_S, what="a direct path")
    direct = time.monotonic()
    return max(0.0, times["any"] - times["in"]), direct - times["in"]


def idle(process: Process, seconds: float) -> Idle:
    """Watch a daemon do nothing."""
    before, begun = cpu_s(process), time.monotonic()
    time.sleep(seconds)
    watched = time.monotonic() - begun
    percent = (cpu_s(process) - before) / watched * 100
    return Idle(percent, rss_mib(process), watched)
