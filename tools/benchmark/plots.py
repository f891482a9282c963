"""Bars for `docs/performance.md`, as SVG: text, so that a change of a figure shows in a diff."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.benchmark.figures import Round, of, spread

__all__ = ["draw"]

_WAYS: Final = ("veth", "vxlan", "null", "l2mesh", "l2mesh-relay", "reference", "tinc")
_PLOTS: Final = (
    ("throughput", "TCP payload received, Mbit/s (logarithmic)", (
        ("tcp1", "1 flow"), ("tcp4", "4 flows"), ("segmented_tcp1", "1 flow, segmented wire"))),
    ("floods", "UDP datagrams delivered a second (logarithmic)", (
        ("udp64", "64 bytes"), ("udp1300", "1,300 bytes"), ("udp1400", "1,400 bytes"))),
    ("round-trips", "round trip, us (logarithmic)", (
        ("idle_p50_us", "idle, p50"), ("idle_p99_us", "idle, p99"),
        ("loaded_p50_us", "beside 4 flows, p50"))),
)  # fmt: skip


def draw(rounds: Sequence[Round], folder: Path) -> list[Path]:
    """One file a plot: bars are medians, whiskers reach from the least round to the most."""
    import matplotlib as mpl

    mpl.use("svg")
    # the same figures make the same file
    mpl.rcParams["svg.hashsalt"] = "l2mesh"
    folder.mkdir(parents=True, exist_ok=True)
    return [_bars(rounds, folder / f"{name}.svg", title, series) for name, title, series in _PLOTS]


def _bars(
    rounds: Sequence[Round], path: Path, title: str, series: Sequence[tuple[str, str]]
) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    ways = [way for way in _WAYS if any(way in one for one in rounds)]
    height = 0.8 / len(series)
    for number, (name, label) in enumerate(series):
        for place, way in enumerate(ways):
            found = spread(of(rounds, way, name))
            if found is None:
                continue
            reach = [[found.median - found.least], [found.most - found.median]]
            axes.barh(
                place + number * height,
                found.median,
                height * 0.9,
                xerr=reach,
                color=f"C{number}",
                label=label if label not in axes.get_legend_handles_labels()[1] else None,
            )
    axes.set_yticks([place + height * (len(series) - 1) / 2 for place in range(len(ways))], ways)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    return path
