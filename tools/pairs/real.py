"""Pairs of real programs in namespaces, several at a time, from the first frame on."""

import math
import re
import time
from collections.abc import Iterator, Sequence
from typing import Final

from tools.lab import Lab
from tools.lab.process import Process
from tools.pairs.ground import Ground, ends_of
from tools.pairs.places import Aim, Outcome, Pair, aim_of, limit_s

__all__ = ["play_all", "played"]

INTERVAL_S: Final = 0.2
AFTER_S: Final = 1.0
"""A pair that must become direct is watched so long beyond its limit."""
RELAY_S: Final = 12.0
"""One that need not is watched so long."""
POLL_S: Final = 0.05
_REPLY: Final = re.compile(r"^\[([\d.]+)\] .*icmp_seq=(\d+) .*time=", re.MULTILINE)


def play_all(pairs: Sequence[Pair], *, at_once: int) -> Iterator[tuple[Pair, Outcome]]:
    """Build the ground for these pairs, play them and take it away again; needs root."""
    with Lab() as lab:
        ground = Ground(lab, pairs)
        network = ground.bring_up()
        yield from played(ground, network, pairs, at_once=at_once)


def played(
    ground: Ground, network: str, pairs: Sequence[Pair], *, at_once: int
) -> Iterator[tuple[Pair, Outcome]]:
    """Play pairs whose nodes are up; no node is in two of those that run at the same time."""
    waiting, running = sorted(pairs, key=_watched_s, reverse=True), list[_Watch]()
    while waiting or running:
        busy = {name for watch in running for name in watch.ends}
        for pair in list(waiting):
            if len(running) < at_once and not busy & set(ends_of(pair)):
                waiting.remove(pair)
                running.append(_Watch(ground, network, pair))
                busy |= set(ends_of(pair))
        for watch in list(running):
            if watch.is_over():
                running.remove(watch)
                yield watch.pair, watch.outcome()
        time.sleep(POLL_S)


class _Watch:
    """One pair that is being watched."""

    def __init__(self, ground: Ground, network: str, pair: Pair) -> None:
        self.pair = pair
        self.ends = ends_of(pair)
        self._ground = ground
        self._addresses = [ground.node_address(name) for name in self.ends]
        self._count = math.ceil(_watched_s(pair) / INTERVAL_S)
        self._direct_s: float | None = None
        host = ground.nodes[self.ends[0]].host
        words = ["ping", "-D", "-n", "-W", "2", "-i", str(INTERVAL_S), "-c", str(self._count)]
        target = ground.ip(self.ends[1], network)
        self._begun, self._begun_wall = time.monotonic(), time.time()
        self._ping: Process = host.start([*words, target], name="ping")

    def is_over(self) -> bool:
        """Look once more; whether there is nothing more to see."""
        if self._direct_s is None and self._are_direct():
            self._direct_s = time.monotonic() - self._begun
        return not self._ping.is_running

    def outcome(self) -> Outcome:
        """What became of it."""
        replies = {int(n): float(at) for at, n in _REPLY.findall(self._ping.log())}
        first = min(replies.values(), default=None)
        return Outcome(
            seed=1,
            direct_s=self._direct_s,
            answered_s=None if first is None else first - self._begun_wall,
            lost=self._count - len(replies),
            probes=sum(self._probes(i) for i in range(2)),
        )

    def _are_direct(self) -> bool:
        return all(self._is_direct(i) for i in range(2))

    def _is_direct(self, end: int) -> bool:
        peers = self._ground.ask(self.ends[end], "peers")["peers"]
        other = self._addresses[1 - end]
        return any(each["address"] == other and each["path"] == "direct" for each in peers)

    def _probes(self, end: int) -> int:
        """What one end sent to places that it does not use."""
        answer = self._ground.ask(self.ends[end], "path", who=self._addresses[1 - end])
        ways = [way for way in answer["candidates"] if way["state"] != "in_use"]
        return sum(way["probes"] for way in ways)


def _watched_s(pair: Pair) -> float:
    return limit_s(pair) + AFTER_S if aim_of(pair) is Aim.DIRECT else RELAY_S
