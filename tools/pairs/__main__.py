"""`tools/grid`: plays all pairs of places in the simulator and prints the tables."""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Final

from tools.pairs.places import Outcome, Pair, pairs
from tools.pairs.simulated import play
from tools.pairs.table import judge, matrix, name_of, neighbour_lines, search_lines

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "paths.md"
BEGIN: Final = "<!-- grid: made by tools/grid --write -->\n"
END: Final = "<!-- end of grid -->\n"


def main(words: Sequence[str] | None = None) -> int:
    """Play the grid; 0 if every pair came to what it must, else 1."""
    options = _parser().parse_args(words)
    chosen = [pair for pair in pairs() if options.only in name_of(pair)]
    results: dict[Pair, list[Outcome]] = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        for pair in chosen:
            seeds = range(1, options.seeds + 1)
            results[pair] = list(pool.map(play, repeat(pair, options.seeds), seeds))
            print(f"{name_of(pair)}: {_told(results[pair])}", file=sys.stderr, flush=True)
    tables = (matrix(results), neighbour_lines(results), search_lines(results))
    text = "\n\n".join((f"{options.seeds} runs of each pair.", *tables)) + "\n"
    print(text)
    complaints = [f"{name_of(p)}: {each}" for p in chosen for each in judge(p, results[p])]
    print("\n".join(complaints) or "every pair came to what it must")
    if options.write:
        page = PAGE.read_text()
        before, _, rest = page.partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
    return 1 if complaints else 0


def _told(outcomes: Sequence[Outcome]) -> str:
    return " ".join("relay" if o.direct_s is None else f"{o.direct_s:.2f}" for o in outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/grid", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="runs of each pair (default 20)")
    parser.add_argument("--jobs", type=int, default=None, help="processes (default: all cores)")
    parser.add_argument("--only", default="", help="pairs whose name holds this text")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/paths.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
