"""Figures by name: of one way in one round, and of all rounds.

| name | meaning |
|---|---|
| ``tcp1``, ``tcp4`` | TCP payload received, Mbit/s: one and four flows, from `a` to `b` |
| ``tcp1_back``, ``tcp4_back`` | the same from `b` to `a` |
| ``segmented_tcp1`` | ``tcp1`` where the wire takes one datagram at a time |
| ``lossy_tcp1`` | ``segmented_tcp1`` with 1 % of the wire's packets lost in each direction |
| ``<tcp>_machine_ns`` | CPU time of the whole machine for each byte of payload, ns |
| ``<tcp>_sender_ns``, ``<tcp>_receiver_ns`` | that of the programs at both ends of the way |
| ``udp64``, ``udp1300``, ``udp1400`` | datagrams of a flood that arrived, a second |
| ``udp<size>_late`` | of them, those that came behind a later one |
| ``idle_p50_us``, ``idle_p99_us`` | round trip, us; ``loaded_``: beside four flows |
| ``rss_mib`` | resident memory of the larger of the two programs, after its traffic, MiB |
| ``stolen`` | share of all processors' time that the host took away, in the worst probe |
| ``forwarder_ns`` | CPU time of the machine for a byte of TCP through two TAPs and nothing else |
| ``pump_ns`` | the same for a byte of UDP from socket to socket in trains |
| ``seal_ns``, ``library_ns`` | to seal and open 1,414 bytes: the engine, and the library alone |
"""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final, NamedTuple

__all__ = ["ENGINE", "Figures", "Round", "Spread", "of", "spread"]

Figures = dict[str, float]
"""Of one way, by name."""
Round = dict[str, Figures]
"""By way. What was not measured is not in it."""

ENGINE: Final = "engine"
"""Stands for a way: figures that belong to none."""


class Spread(NamedTuple):
    """Of several rounds."""

    median: float
    least: float
    most: float


def of(rounds: Sequence[Round], way: str, name: str) -> Iterator[float]:
    """What each round found, where it did."""
    for each in rounds:
        if name in each.get(way, {}):
            yield each[way][name]


def spread(values: Iterator[float]) -> Spread | None:
    """None if there are no values."""
    found = list(values)
    return Spread(median(found), min(found), max(found)) if found else None
