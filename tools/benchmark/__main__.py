"""`python -m tools.benchmark`: measures; `sudo ./tools/bench` sets up and calls it."""

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from tools.benchmark.contenders import Arena, build
from tools.benchmark.mesh import Idle, Meeting, idle, meet
from tools.benchmark.report import document, machine, table
from tools.benchmark.throughput import Measured, measure
from tools.lab import Lab

WAYS: Final = ("veth", "vxlan", "tinc", "l2mesh", "l2mesh-relay", "reference")
BUSY_LOAD: Final = 1.0


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; 0, or 1 without root."""
    options = _parser().parse_args(words)
    if os.geteuid() != 0:
        print("error: namespaces and TAP devices need root: sudo ./tools/bench", file=sys.stderr)
        return 1
    signal.signal(signal.SIGINT, signal.default_int_handler)
    facts = machine()
    print(", ".join(f"{name} {fact}" for name, fact in facts.items()))
    if facts["load_before"] > BUSY_LOAD:
        print("note: the machine is busy with something else; only ratios mean anything")
    meetings = [_meeting() for _ in range(options.meetings)]
    found, idled = _compare(options)
    _print_mesh(meetings, idled)
    if options.json:
        figures = document(found, meetings, idled, {"rounds": options.rounds, "ways": options.way})
        options.json.write_text(json.dumps(figures | {"machine": facts}, indent=2) + "\n")
    return 0


def _meeting() -> Meeting:
    met = meet()
    print(
        f"join {met.join_s:.2f} s, first ping by relay {met.first_ping_ms:.1f} ms, "
        f"a path after {met.path_s:.3f} s, direct after {met.direct_s:.3f} s"
    )
    return met


def _compare(options: argparse.Namespace) -> tuple[list[Measured], Idle | None]:
    ways = [way for way in options.way or WAYS if way != "tinc" or shutil.which("tincd")]
    if len(ways) < len(options.way or WAYS):
        print("note: no tincd here, so without tinc: ./tools/setup --bench installs it")
    found: dict[str, Measured] = {}
    idled = None
    with Lab() as lab:
        arena = Arena(lab)
        contenders = build(arena, ways)
        meshes = [each for each in contenders if each.name == "l2mesh"]
        if meshes and options.idle:
            idled = idle(meshes[0].processes[0], options.idle)
        for turn, each in measure(
            arena, contenders, rounds=options.rounds, seconds=options.seconds
        ):
            found[each.name] = each
            print(f"round {turn + 1}: {each.name} {each.mbits[-1]:,.0f} Mbit/s", flush=True)
    in_order = [found[each.name] for each in contenders]
    print("\n" + "\n".join(table(in_order)))
    return in_order, idled


def _print_mesh(meetings: Sequence[Meeting], idled: Idle | None) -> None:
    if meetings:
        print(f"\njoin with a token     {median(each.join_s for each in meetings):.2f} s")
        print(f"first ping, relayed   {median(each.first_ping_ms for each in meetings):.1f} ms")
        print(f"to a direct path      {median(each.direct_s for each in meetings):.3f} s")
    if idled:
        print(f"idle l2meshd          {idled.cpu_percent:.2f} % of a core, {idled.rss_mib:.0f} MiB")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/bench", description="Measure the mesh beside the wire and its peers."
    )
    add = parser.add_argument
    add("--rounds", type=int, default=3, metavar="N", help="rounds of all ways (default 3)")
    add("--seconds", type=int, default=4, metavar="S", help="of each TCP flow (default 4)")
    add("--meetings", type=int, default=3, metavar="N", help="fresh meshes to watch (default 3)")
    add("--idle", type=float, default=20.0, metavar="S", help="watch an idle daemon (default 20)")
    add("--way", action="append", choices=WAYS, help="only this way; repeat")
    add("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
