"""`python -m tools.benchmark`: measures; `sudo ./tools/bench` sets up and calls it."""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tools.benchmark import builds
from tools.benchmark.contenders import LONG, WAYS, Arena, build
from tools.benchmark.docs import PAGE, insert
from tools.benchmark.figures import Round
from tools.benchmark.measures import judge
from tools.benchmark.mesh import Idle, Meeting, idle, meet
from tools.benchmark.plots import draw
from tools.benchmark.report import BUSY_LOAD, document, machine, markdown
from tools.benchmark.rounds import Plan, measure
from tools.lab import Lab

COMMAND: Final = "sudo ./tools/bench --write-docs"
FULL: Final = Plan(
    rounds=3, tcp_s=2, flood_s=1.0, sizes=(64, 1300, 1400), again_s=60.0, is_quick=False
)
QUICK: Final = Plan(rounds=1, tcp_s=1, flood_s=0.5, sizes=(64, 1300), again_s=20.0, is_quick=True)


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; 0, or 1 without root."""
    options = _parser().parse_args(words)
    if os.geteuid() != 0:
        print("error: namespaces and TAP devices need root: sudo ./tools/bench", file=sys.stderr)
        return 1
    signal.signal(signal.SIGINT, signal.default_int_handler)
    facts, begun = machine(), time.monotonic()
    if facts["load_before"] > BUSY_LOAD:
        _say("note: the machine is busy with something else; only ratios mean anything")
    meetings = [] if options.quick else [_meeting() for _ in range(options.meetings)]
    rounds, idled, wrong = _compare(options)
    text = markdown(rounds, meetings, idled, facts)
    print(text)
    _say(f"measured in {time.monotonic() - begun:.0f} s")
    figures = document(rounds, meetings, idled, facts, wrong)
    if options.json:
        _write_json(options.json, figures)
    if options.write_docs:
        _write_json(PAGE.with_suffix(".json"), figures)
        plots = [path.relative_to(PAGE.parent) for path in draw(rounds, PAGE.parent / "plots")]
        pictures = "\n".join(f"![{path.stem}]({path})" for path in plots)
        insert(PAGE, COMMAND, f"{text}\n{pictures}")
    return 0


def _meeting() -> Meeting:
    met = meet()
    _say(
        f"join {met.join_s:.2f} s, first ping by relay {met.first_ping_ms:.1f} ms, "
        f"a path after {met.path_s:.3f} s, direct after {met.direct_s:.3f} s"
    )
    return met


def _compare(options: argparse.Namespace) -> tuple[list[Round], Idle | None, list[str]]:
    builds.tools()
    ways = _ways(options.way or [way for way in WAYS if not (options.quick and way in LONG)])
    plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    rounds: list[Round] = []
    wrong: list[str] = []
    with Lab() as lab:
        arena = Arena(lab)
        contenders = build(arena, ways)
        meshes = [each for each in contenders if each.name == "l2mesh"]
        watch = 0 if options.quick else options.idle
        idled = idle(meshes[0].processes[0], watch) if meshes and watch else None
        for found, faults in measure(arena, contenders, plan):
            rounds.append(found)
            wrong += faults
            _say(f"round {len(rounds)} of {plan.rounds}: {_summary(found)}")
            for fault in faults:
                _say(f"not counted: {fault}")
    return rounds, idled, wrong


def _summary(found: Round) -> str:
    speeds = {way: figures["tcp1"] for way, figures in found.items() if "tcp1" in figures}
    missed = [verdict.measure.what for verdict in judge([found]) if verdict.text == "missed"]
    listed = ", ".join(f"{way} {speed:,.0f}" for way, speed in speeds.items())
    return f"one flow, Mbit/s: {listed}" + (f"; missed: {'; '.join(missed)}" if missed else "")


def _ways(wanted: Sequence[str]) -> list[str]:
    """Those that can be built here."""
    ways = [way for way in WAYS if way in wanted]
    if "tinc" in ways and not shutil.which("tincd"):
        _say("note: no tincd here, so without tinc: ./tools/setup --bench installs it")
        ways.remove("tinc")
    if "null" in ways:
        builds.null_cipher()
    return ways


def _write_json(path: Path, figures: dict[str, object]) -> None:
    path.write_text(json.dumps(figures, indent=1) + "\n")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/bench", description="Measure the mesh beside the wire and its peers."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one short round, one flow forth, no meetings")
    add("--rounds", type=int, metavar="N", help="rounds of all ways (default 3, quick 1)")
    add("--meetings", type=int, default=1, metavar="N", help="fresh meshes to watch (default 1)")
    add("--idle", type=float, default=10.0, metavar="S", help="watch an idle daemon (default 10)")
    add("--way", action="append", choices=WAYS, help="only this way; repeat")
    add("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    add("--write-docs", action="store_true", help="write docs/performance.{md,json} and the plots")
    return parser


if __name__ == "__main__":
    sys.exit(main())
