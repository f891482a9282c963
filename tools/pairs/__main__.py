"""`tools/grid`: all pairs of places, simulated or in namespaces, and the tables of them."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Final

from tools.pairs.places import Outcome, Pair, pairs
from tools.pairs.real import play_all
from tools.pairs.simulated import play
from tools.pairs.table import (
    answer_line,
    judge,
    matrix,
    name_of,
    neighbour_lines,
    search_lines,
)

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "paths.md"
SIMULATED: Final = "grid: made by tools/grid --write"
REAL: Final = "namespaces: made by tools/grid --namespaces --write"
REAL_AT_ONCE: Final = 4


def main(words: Sequence[str] | None = None) -> int:
    """Play the grid; 0 if every pair came to what it must, else 1."""
    options = _parser().parse_args(words)
    chosen = [pair for pair in pairs() if options.only in name_of(pair)]
    results: dict[Pair, list[Outcome]] = {}
    begun = time.monotonic()
    for pair, outcomes in (_real if options.namespaces else _simulated)(chosen, options):
        results[pair] = outcomes
        print(f"{name_of(pair)}: {_told(outcomes)}", file=sys.stderr, flush=True)
    how = f"{options.seeds} runs of each pair."
    tables = [matrix(results), neighbour_lines(results), search_lines(results)]
    if options.namespaces:
        how = f"Each pair once, {time.monotonic() - begun:.0f} s for all."
        tables.pop()  # which needs a whole minute of each pair
    text = "\n\n".join((how, *tables, answer_line(results))) + "\n"
    print(text)
    complaints = [f"{name_of(p)}: {each}" for p in chosen for each in judge(p, results[p])]
    print("\n".join(complaints) or "every pair came to what it must")
    if options.write:
        write(text, REAL if options.namespaces else SIMULATED)
    return 1 if complaints else 0


def write(text: str, mark: str, page: Path = PAGE) -> None:
    """Put the tables between their marks on the page."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark.partition(':')[0]} -->"
    before, _, rest = page.read_text().partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _simulated(
    chosen: Sequence[Pair], options: argparse.Namespace
) -> Iterator[tuple[Pair, list[Outcome]]]:
    with ProcessPoolExecutor(options.jobs) as pool:
        for pair in chosen:
            seeds = range(1, options.seeds + 1)
            yield pair, list(pool.map(play, repeat(pair, options.seeds), seeds))


def _real(
    chosen: Sequence[Pair], options: argparse.Namespace
) -> Iterator[tuple[Pair, list[Outcome]]]:
    for pair, outcome in play_all(chosen, at_once=options.jobs or REAL_AT_ONCE):
        yield pair, [outcome]


def _told(outcomes: Sequence[Outcome]) -> str:
    return " ".join("relay" if o.direct_s is None else f"{o.direct_s:.2f}" for o in outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/grid", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="runs of each pair (default 20)")
    parser.add_argument(
        "--jobs", type=int, default=None, help="processes (all cores), or pairs at a time (4)"
    )
    parser.add_argument(
        "--namespaces", action="store_true", help="with real daemons, each pair once; needs root"
    )
    parser.add_argument("--only", default="", help="pairs whose name holds this text")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/paths.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
