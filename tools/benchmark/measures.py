"""What the data path promises: ratios between figures of one round, each with a must and an aim."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tools.benchmark.figures import ENGINE, Round, Spread, spread

__all__ = ["MEASURES", "Measure", "Verdict", "judge"]

_FLOODS: Final = ("udp64", "udp1300", "udp1400")


@dataclass(frozen=True)
class Measure:
    """One promise."""

    what: str
    """In words."""
    must: float
    """What it has to reach, or, if `is_cost`, not to exceed."""
    aim: float
    """What it is to reach."""
    of: Callable[[Round], float | None]
    """What one round says; None if that was not measured."""
    is_cost: bool = False
    """Less is better."""
    is_worst: bool = False
    """The worst round counts, not the median."""


@dataclass(frozen=True)
class Verdict:
    """What the rounds say of one promise."""

    measure: Measure
    found: Spread | None

    @property
    def value(self) -> float | None:
        """The figure that counts."""
        if self.found is None:
            return None
        return self.found.most if self.measure.is_worst else self.found.median

    @property
    def text(self) -> str:
        """``aim``, ``must``, ``missed`` or ``not measured``."""
        if self.value is None:
            return "not measured"
        sign = -1 if self.measure.is_cost else 1
        if self.value * sign >= self.measure.aim * sign:
            return "aim"
        return "must" if self.value * sign >= self.measure.must * sign else "missed"


def judge(rounds: Sequence[Round]) -> list[Verdict]:
    """Each promise held against the rounds. Ratios are made within a round, then compared."""
    return [
        Verdict(each, spread(value for one in rounds if (value := each.of(one)) is not None))
        for each in MEASURES
    ]


def _ratio(name: str, way: str, base: str, other: str = "") -> Callable[[Round], float | None]:
    """Figure `name` of `way` over `other` (by default the same) of `base`."""

    def of(one: Round) -> float | None:
        above, below = one.get(way, {}).get(name), one.get(base, {}).get(other or name)
        return above / below if above is not None and below else None

    return of


def _late(one: Round) -> float | None:
    found = one.get("l2mesh", {})
    late = [found[f"{name}_late"] for name in _FLOODS if f"{name}_late" in found]
    return sum(late) if late else None


def _memory(one: Round) -> float | None:
    return one.get("l2mesh", {}).get("rss_mib")


MEASURES: Final = (
    Measure("TCP, one flow, over kernel VXLAN", 0.40, 0.60, _ratio("tcp1", "l2mesh", "vxlan")),
    Measure("TCP, one flow, over tinc 1.0", 12, 20, _ratio("tcp1", "l2mesh", "tinc")),
    Measure(
        "the same on a segmented wire, over tinc 1.0",
        4,
        8,
        _ratio("segmented_tcp1", "l2mesh", "tinc"),
    ),
    Measure(
        "TCP, one flow, over its own null-cipher build",
        0.75,
        0.85,
        _ratio("tcp1", "l2mesh", "null"),
    ),
    Measure(
        "TCP with 1 % loss on a segmented wire, over tinc 1.0",
        1.5,
        3,
        _ratio("lossy_tcp1", "l2mesh", "tinc"),
    ),
    Measure("64-byte UDP flood delivered, over tinc 1.0", 5, 8, _ratio("udp64", "l2mesh", "tinc")),
    Measure(
        "1,300-byte UDP flood delivered, over the wire",
        1.2,
        2,
        _ratio("udp1300", "l2mesh", "veth"),
    ),
    Measure(
        "idle round trip, p50, over tinc 1.0's",
        1.0,
        0.6,
        _ratio("idle_p50_us", "l2mesh", "tinc"),
        is_cost=True,
    ),
    Measure(
        "reference engine: TCP, one flow, over tinc 1.0",
        2,
        3.5,
        _ratio("tcp1", "reference", "tinc"),
    ),
    Measure("relayed TCP over direct TCP", 0.55, 0.75, _ratio("tcp1", "l2mesh-relay", "l2mesh")),
    Measure(
        "seal + open at 1,414 bytes, over the library's loop",
        1.3,
        1.1,
        _ratio("seal_ns", ENGINE, ENGINE, "library_ns"),
        is_cost=True,
    ),
    Measure("out-of-order packets inside a flow", 0, 0, _late, is_cost=True, is_worst=True),
    Measure("resident memory of l2meshd, MiB", 64, 48, _memory, is_cost=True, is_worst=True),
)
