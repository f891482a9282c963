"""The grid as Markdown: a matrix of times, and a line for every pair that fell short."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from tools.pairs.places import (
    AIM_S,
    Aim,
    Neighbours,
    Outcome,
    Pair,
    Place,
    aim_of,
    is_searched,
    limit_s,
)

__all__ = ["answer_line", "judge", "matrix", "name_of", "neighbour_lines", "search_lines"]

Results = Mapping[Pair, Sequence[Outcome]]

GUESSED_SHARE: Final = 0.8
"""Of the runs in which a port has to be foretold, so many must succeed."""
ANSWER_S: Final = 1.0
"""From the first frame to the first answer, by whatever path."""
MAX_PROBES: Final = 1000
"""In a minute, of a pair."""


def name_of(pair: Pair) -> str:
    """For people."""
    return pair.value if isinstance(pair, Neighbours) else f"{pair[0].value} - {pair[1].value}"


def matrix(results: Results) -> str:
    """One row and one column for each place; a cell tells the slowest run, or that it was relayed.

    `0.5` is seconds until both ends sent directly; `3/20 8.1` that only so many runs were direct.
    """
    places = list(Place)
    lines = ["| | " + " | ".join(place.value for place in places) + " |"]
    lines.append("|---" * (len(places) + 1) + "|")
    for row, one in enumerate(places):
        cells = [""] * row + [_cell(results.get((one, other), ())) for other in places[row:]]
        lines.append(f"| {one.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def neighbour_lines(results: Results) -> str:
    """The pairs that are near each other."""
    lines = ["| near each other | |", "|---|---|"]
    lines += [f"| {near.value} | {_cell(results.get(near, ()))} |" for near in Neighbours]
    return "\n".join(lines)


def search_lines(results: Results) -> str:
    """The pairs of which one end foretells ports of the other: what it cost and what it brought."""
    lines = ["| search | direct | within 10 s | probes in the busiest minute, most |"]
    lines.append("|---|---|---|---|")
    for pair, outcomes in results.items():
        if is_searched(pair):
            times = [each.direct_s for each in outcomes if each.direct_s is not None]
            soon = sum(1 for each in times if each <= AIM_S[Aim.GUESSED])
            of, most = len(outcomes), max(each.probes for each in outcomes)
            lines.append(f"| {name_of(pair)} | {len(times)}/{of} | {soon}/{of} | {most} |")
    return "\n".join(lines)


def answer_line(results: Results) -> str:
    """How long first answers took: half of them and the slowest one, and between whom that was."""
    took = [
        (float("inf") if each.answered_s is None else each.answered_s, name_of(pair))
        for pair, outcomes in results.items()
        for each in outcomes
    ]
    slowest, where = max(took, default=(float("nan"), "-"))
    middle = median(seconds for seconds, _ in took) if took else float("nan")
    return f"First answer: median {middle:.2f} s, slowest {slowest:.2f} s ({where})."


def judge(pair: Pair, outcomes: Sequence[Outcome]) -> list[str]:
    """What falls short of the aim; empty when all is well."""
    aim, limit = aim_of(pair), limit_s(pair)
    soon = [each for each in outcomes if each.direct_s is not None and each.direct_s <= limit]
    wanted = {Aim.DIRECT: 1.0, Aim.GUESSED: GUESSED_SHARE, Aim.RELAY: 0.0}[aim] * len(outcomes)
    complaints = []
    if len(soon) < wanted:
        complaints.append(f"direct within {limit:g} s in {len(soon)} of {len(outcomes)}")
    if any(each.answered_s is None or each.answered_s > ANSWER_S for each in outcomes):
        complaints.append(f"the first answer took more than {ANSWER_S:g} s")
    if lost := sum(each.lost for each in outcomes):
        complaints.append(f"{lost} pings lost")
    if (most := max((each.probes for each in outcomes), default=0)) > MAX_PROBES:
        complaints.append(f"{most} probes in a minute")
    return complaints


def _cell(outcomes: Sequence[Outcome]) -> str:
    direct = [each.direct_s for each in outcomes if each.direct_s is not None]
    if not outcomes:
        return "-"
    if not direct:
        return "relay"
    share = "" if len(direct) == len(outcomes) else f"{len(direct)}/{len(outcomes)} "
    return f"{share}{max(direct):.1f}"
