"""All ways in turn, round after round, so that what disturbs one disturbs all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tools.benchmark import builds
from tools.benchmark.calm import Patience
from tools.benchmark.contenders import Arena, Contender, WrongPathError
from tools.benchmark.cpu import rss_mib
from tools.benchmark.figures import ENGINE, Figures, Round
from tools.benchmark.limit import Limits
from tools.benchmark.probes import ProbeError, flood, idle_rtt, tcp
from tools.lab import LabError, WaitTimeout

__all__ = ["Plan", "measure"]

SEGMENTED: Final = ("veth", "vxlan", "tinc", "l2mesh", "reference")
LOSSY: Final = ("tinc", "l2mesh")
LOSS: Final = 0.01
FAULTS: Final = (ProbeError, LabError, WaitTimeout)

Probe = Callable[[], Figures]


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    rounds: int
    """Times that all ways have their turn."""
    tcp_s: int
    """Of each transfer."""
    flood_s: float
    """Of each flood."""
    sizes: tuple[int, ...]
    """Of the floods' packets, bytes."""
    again_s: float
    """Spent on measuring again what was disturbed, in each round."""
    is_quick: bool
    """One flow forth and nothing else of TCP: no four flows, none back."""


def measure(
    arena: Arena, ways: Sequence[Contender], plan: Plan
) -> Iterator[tuple[Round, list[str]]]:
    """After each round what it found, and what was not counted because its path was another."""
    generator = builds.tool("l2mesh-io", "flood")
    limits = Limits(arena)
    for turn in range(plan.rounds):
        found: Round = {ENGINE: limits.measure(plan.tcp_s)}
        wrong: list[str] = []
        patience = Patience(plan.again_s)
        # The other way round in every second round: nobody always comes after the same one.
        order = ways if turn % 2 == 0 else list(reversed(ways))
        for way in order:
            _count(way, _probes(arena, way, plan, generator), patience, found, wrong)
            found.get(way.name, {}).update(_memory(way))
        with _segmented(arena):
            for way in (each for each in order if each.name in SEGMENTED):
                probe = partial(tcp, arena, way, "segmented_tcp1", seconds=plan.tcp_s)
                _count(way, [probe], patience, found, wrong)
            for way in (each for each in order if each.name in LOSSY):
                probe = partial(tcp, arena, way, "lossy_tcp1", seconds=plan.tcp_s + 1)
                with _lossy(arena):
                    _count(way, [probe], patience, found, wrong)
        yield found, wrong


def _probes(arena: Arena, way: Contender, plan: Plan, generator: Path) -> Iterator[Probe]:
    """What is measured on a way by itself, in order."""
    yield partial(idle_rtt, arena, way)
    one = partial(tcp, arena, way, seconds=plan.tcp_s)
    yield partial(one, "tcp1")
    if not plan.is_quick:
        yield partial(one, "tcp1_back", backwards=True)
        yield partial(one, "tcp4", flows=4, ping=True)
        yield partial(one, "tcp4_back", flows=4, backwards=True)
    for size in plan.sizes:
        yield partial(flood, arena, way, generator, size, seconds=plan.flood_s)


def _memory(way: Contender) -> Figures:
    return {"rss_mib": max(map(rss_mib, way.processes))} if way.processes else {}


def _count(
    way: Contender, probes: Iterable[Probe], patience: Patience, found: Round, wrong: list[str]
) -> None:
    """What the probes find counts only if the path was right before and after all of them."""
    figures: Figures = {}
    stolen = found.get(way.name, {}).get("stolen", 0.0)
    try:
        way.check()
        for probe in probes:
            try:
                figures |= patience.calmest(probe)
                stolen = figures["stolen"] = max(stolen, figures["stolen"])
            except FAULTS as error:
                wrong.append(f"{way.name}: {error}")
        way.check()
    except (WrongPathError, LabError) as error:
        wrong.append(f"{way.name}: {error}")
    else:
        found.setdefault(way.name, {}).update(figures)


@contextmanager
def _segmented(arena: Arena) -> Iterator[None]:
    """The wire takes UDP datagrams one at a time, as a network card without offload does."""
    _set_segmentation(arena, "off")
    try:
        yield
    finally:
        _set_segmentation(arena, "on")


def _set_segmentation(arena: Arena, state: str) -> None:
    for end in (arena.wire.near, arena.wire.far):
        end.host.run(["ethtool", "-K", end.interface, "tx-udp-segmentation", state])


@contextmanager
def _lossy(arena: Arena) -> Iterator[None]:
    arena.wire.drop(LOSS)
    try:
        yield
    finally:
        arena.wire.restore()
