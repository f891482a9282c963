"""`tools/callgrind`: instructions that the engine spends on a packet, counted by valgrind.

The harness (`engine/core/examples/instructions.rs`) takes each way twice, once a hundred times more
than the other; the difference has no set-up in it. Counts repeat to a fraction of a percent on any
machine with the same compiler, so a change of the engine shows without a clock.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tools.benchmark import builds
from tools.benchmark.docs import PAGE, insert

FILE: Final = PAGE.with_name("callgrind.json")
COMMAND: Final = "./tools/callgrind --write"
SCHEMA: Final = "l2mesh.callgrind/1"
TOLERANCE: Final = 0.03
DESCRIPTION: Final = "Count the engine's instructions for a packet."
# valgrind counts each byte of "rep movsb": let memcpy use vectors for every length
_ENVIRONMENT: Final = {**os.environ, "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1000000"}
SHOWN: Final = 20
FEW: Final = 50
MANY: Final = 550
WAYS: Final = {
    "superframe-out": "TCP super-frame from the port to a train, each of 44 segments",
    "superframe-in": "train to a TCP super-frame for the port, each of 44 segments",
    "small-out": "64-byte frame from the port to a datagram, 64 at one time",
    "small-in": "64-byte frame from a datagram to the port, in batches of 64",
    "relay": "datagram of 1,472 bytes forwarded for a client, in runs of 44",
    "flood-10": "64-byte broadcast to ten members, all ten together",
}


def main(words: Sequence[str] | None = None) -> int:
    """Count, print, and compare with or write the file; 1 if something became dearer."""
    parser = argparse.ArgumentParser(prog="tools/callgrind", description=DESCRIPTION)
    parser.add_argument("--write", action="store_true", help="keep what was found in docs/")
    parser.add_argument("--where", choices=WAYS, help="list the dearest functions of one way")
    options = parser.parse_args(words)
    harness = builds.instructions()
    if options.where:
        print(where(harness, options.where))
        return 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(WAYS, pool.map(lambda way: count(harness, way), WAYS), strict=True))
    kept = json.loads(FILE.read_text())["instructions"] if FILE.exists() else {}
    print("\n".join(table(found, kept)))
    if options.write:
        FILE.write_text(json.dumps({"schema": SCHEMA, "instructions": found}, indent=1) + "\n")
        insert(PAGE, COMMAND, markdown(found))
        return 0
    return int(bool(dearer(found, kept)))


def count(harness: Path, way: str) -> int:
    """Instructions for one packet."""
    few, _ = _run(harness, way, FEW)
    many, packets = _run(harness, way, MANY)
    return round((many - few) / (MANY - FEW) / packets)


def where(harness: Path, way: str) -> str:
    """The functions that most instructions go into, as callgrind_annotate lists them."""
    with tempfile.TemporaryDirectory() as folder:
        _callgrind(harness, way, MANY, f"{folder}/out")
        annotate = ["callgrind_annotate", "--auto=no", f"{folder}/out"]
        text = subprocess.run(annotate, check=True, capture_output=True, text=True).stdout
    lines = [line for line in text.splitlines() if re.match(r"\s*[\d,]+ \(", line)]
    return "\n".join(re.sub(r" \[.*\]$", "", line) for line in lines[:SHOWN])


def dearer(found: Mapping[str, int], kept: Mapping[str, int]) -> list[str]:
    """The ways that cost more than was kept, by more than the tolerance."""
    return [way for way in found if way in kept and found[way] > kept[way] * (1 + TOLERANCE)]


def table(found: Mapping[str, int], kept: Mapping[str, int]) -> list[str]:
    """A line a way."""
    worse = dearer(found, kept)
    return [
        f"{found[way]:6,} instructions{_change(found[way], kept.get(way)):8}  {WAYS[way]}"
        + ("  DEARER" if way in worse else "")
        for way in found
    ]


def markdown(found: Mapping[str, int]) -> str:
    """The same as a table for the page."""
    rows = [f"| {WAYS[way]} | {number:,} |" for way, number in found.items()]
    return "\n".join(["| way | instructions for each |", "|---|---|", *rows])


def _change(now: int, before: int | None) -> str:
    return f" {now / before - 1:+.1%}" if before else ""


def _run(harness: Path, way: str, times: int) -> tuple[int, int]:
    """Instructions of the whole run, and packets of one time."""
    done = _callgrind(harness, way, times, os.devnull)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    packets = re.search(r"packets (\d+)", done.stdout)
    if collected is None or packets is None:
        raise RuntimeError(f"{way}: {done.stderr[-500:]}")
    return int(collected[1]), int(packets[1])


def _callgrind(harness: Path, way: str, times: int, out: str) -> subprocess.CompletedProcess[str]:
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
    line = [*valgrind, str(harness), way, str(times)]
    return subprocess.run(line, check=True, capture_output=True, text=True, env=_ENVIRONMENT)


if __name__ == "__main__":
    sys.exit(main())
