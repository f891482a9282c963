"""Figures as Markdown for people and as JSON for programs."""

import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from tools.benchmark.figures import ENGINE, Round, Spread, of, spread
from tools.benchmark.limit import limit_mbits, of_limit
from tools.benchmark.measures import Verdict, judge
from tools.benchmark.mesh import Idle, Meeting

__all__ = ["BUSY_LOAD", "document", "machine", "markdown"]

UNMEASURED: Final = "not measured"
BUSY_LOAD: Final = 1.0
"""Above it something else runs, and CPU time of the whole machine is not ours."""
_TITLES: Final = {
    "veth": "veth alone",
    "vxlan": "kernel VXLAN",
    "tinc": "tinc 1.0, switch mode",
    "l2mesh": "l2mesh, native engine",
    "null": "l2mesh, native, null cipher",
    "l2mesh-relay": "l2mesh, native, `--relay-only`",
    "l2mesh-workers": "l2mesh, native, 2 workers",
    "reference": "l2mesh, reference engine",
}
_TCP: Final = ("tcp1", "tcp1_back", "tcp4", "tcp4_back", "segmented_tcp1", "lossy_tcp1")
_UDP: Final = ("udp64", "udp1300", "udp1400")


def markdown(
    rounds: Sequence[Round],
    meetings: Sequence[Meeting],
    idle: Idle | None,
    facts: Mapping[str, Any],
) -> str:
    """Every table: medians, with the least and the most of the rounds behind them."""
    ways = [way for way in _TITLES if any(way in one for one in rounds)]
    parts = [
        _machine(facts, rounds),
        _promises(judge(rounds)),
        _limit(rounds, ways, facts),
        _throughput(rounds, ways),
        _floods(rounds, ways),
        _round_trips(rounds, ways),
        _costs(rounds, ways),
        _mesh(meetings, idle),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def document(
    rounds: Sequence[Round],
    meetings: Sequence[Meeting],
    idle: Idle | None,
    facts: Mapping[str, Any],
    wrong: Sequence[str],
) -> dict[str, Any]:
    """Everything, every single round included."""
    return {
        "schema": "l2mesh.bench/2",
        "machine": dict(facts),
        "rounds": list(rounds),
        "not_counted": list(wrong),
        "limit_mbits": [limit_mbits(one) for one in rounds],
        "measures": [
            {
                "what": verdict.measure.what,
                "must": verdict.measure.must,
                "aim": verdict.measure.aim,
                "value": verdict.value,
                "verdict": verdict.text,
            }
            for verdict in judge(rounds)
        ],
        "meetings": [asdict(each) for each in meetings],
        "idle": asdict(idle) if idle else None,
    }


def machine() -> dict[str, Any]:
    """What the figures depend on; a load above `BUSY_LOAD` before the start disturbs them."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _machine(facts: Mapping[str, Any], rounds: Sequence[Round]) -> str:
    stolen = spread(each["stolen"] for one in rounds for each in one.values() if "stolen" in each)
    share = _spread(stolen, "{:.0%}".format)
    taken = f" Of a way's worst probe the host took {share} of the time." if stolen else ""
    return (
        f"{facts['cores']} processors ({facts['cpu']}), Linux {facts['kernel']}, "
        f"Python {facts['python']}, load before the run {facts['load_before']}; "
        f"{len(rounds)} round{'s' if len(rounds) > 1 else ''}. "
        f"Each figure is the median of the rounds, behind it the least and the most.{taken}"
    )


def _promises(verdicts: Sequence[Verdict]) -> str:
    rows = []
    for verdict in verdicts:
        measure = verdict.measure
        sign = "<= " if measure.is_cost and measure.must else ""
        met = {"aim": "aim met", "must": "met", "missed": "**missed**"}.get(verdict.text, "")
        cells = [
            _spread(verdict.found, _ratio),
            f"{sign}{measure.must:g}",
            f"{sign}{measure.aim:g}",
        ]
        rows.append([measure.what, *cells, met or verdict.text])
    return _table(["what", "found", "must", "aim", ""], rows)


def _limit(rounds: Sequence[Round], ways: Iterable[str], facts: Mapping[str, Any]) -> str:
    if facts["load_before"] > BUSY_LOAD:
        return f"Computed limit: {UNMEASURED}, because others used the processors, too."
    limits = spread(value for one in rounds if (value := limit_mbits(one)) is not None)
    if limits is None:
        return f"Computed limit: {UNMEASURED}."
    parts = (
        ("two TAPs, TCP and its applications", "forwarder_ns"),
        ("a UDP socket to another, in trains", "pump_ns"),
    )
    lines = [f"{what} {_spread(spread(of(rounds, ENGINE, name)), _ns)}" for what, name in parts]
    seal = spread(of(rounds, ENGINE, "seal_ns"))
    lines.append(f"seal and open of 1,414 bytes {_spread(seal, _whole)} ns a datagram")
    shares = [
        f"{_TITLES[way]} {_spread(share, '{:.0%}'.format)}"
        for way in ways
        if way not in {"veth", "vxlan"} and (share := of_limit(rounds, way)) is not None
    ]
    return (
        f"**Computed limit: {_spread(limits, _whole)} Mbit/s** on all processors of this machine, "
        f"from CPU time in ns for each byte of payload: {'; '.join(lines)}. One TCP flow reaches "
        f"of it: {', '.join(shares)}."
    )


def _throughput(rounds: Sequence[Round], ways: Iterable[str]) -> str:
    heads = ["TCP payload, Mbit/s", "1 flow", "1 flow back", "4 flows", "4 flows back",
             "segmented wire", "the same, 1 % loss"]  # fmt: skip
    return _by_way(rounds, ways, heads, _TCP, _whole)


def _floods(rounds: Sequence[Round], ways: Iterable[str]) -> str:
    heads = ["UDP flood, delivered a second", "64 bytes", "1,300 bytes", "1,400 bytes",
             "late, of all"]  # fmt: skip
    rows = []
    for way in ways:
        late = [value for name in _UDP for value in of(rounds, way, f"{name}_late")]
        cells = [_spread(spread(of(rounds, way, name)), _whole) for name in _UDP]
        rows.append([_TITLES[way], *cells, f"{sum(late):.0f}" if late else UNMEASURED])
    return _table(heads, rows)


def _round_trips(rounds: Sequence[Round], ways: Iterable[str]) -> str:
    heads = ["round trip, us", "idle, p50", "idle, p99", "beside 4 flows, p50", "p99"]
    names = ("idle_p50_us", "idle_p99_us", "loaded_p50_us", "loaded_p99_us")
    return _by_way(rounds, ways, heads, names, _whole)


def _costs(rounds: Sequence[Round], ways: Iterable[str]) -> str:
    heads = ["CPU for a byte of TCP, 1 flow, ns", "whole machine", "program that sends",
             "program that receives", "memory, MiB"]  # fmt: skip
    names = ("tcp1_machine_ns", "tcp1_sender_ns", "tcp1_receiver_ns", "rss_mib")
    return _by_way(rounds, ways, heads, names, _ns, empty="-")


def _mesh(meetings: Sequence[Meeting], idle: Idle | None) -> str:
    rows = []
    if meetings:
        for what, name, unit in (
            ("`join` with a token to a device with its address", "join_s", "s"),
            ("first ping by relay, ARP included", "first_ping_ms", "ms"),
            ("second member in until a direct path, both behind NATs", "direct_s", "s"),
        ):
            found = spread(getattr(each, name) for each in meetings)
            rows.append([what, _spread(found, "{:.2f}".format) + " " + unit])
    if idle:
        figure = f"{idle.cpu_percent:.2f} % of a processor, {idle.rss_mib:.0f} MiB"
        rows.append([f"idle `l2meshd`, native engine, over {idle.seconds:.0f} s", figure])
    return _table(["what", "figure"], rows) if rows else ""


def _by_way(
    rounds: Sequence[Round],
    ways: Iterable[str],
    heads: Sequence[str],
    names: Sequence[str],
    form: Callable[[float], str],
    *,
    empty: str = UNMEASURED,
) -> str:
    rows = [
        [_TITLES[way], *(_spread(spread(of(rounds, way, name)), form, empty) for name in names)]
        for way in ways
    ]
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _spread(found: Spread | None, form: Callable[[float], str], empty: str = UNMEASURED) -> str:
    if found is None:
        return empty
    if form(found.least) == form(found.most):
        return form(found.median)
    return f"{form(found.median)} ({form(found.least)} to {form(found.most)})"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _ns(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
