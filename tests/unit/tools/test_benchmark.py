"""The bench judges, shows and writes what it found, and says what it did not measure."""

import json
from pathlib import Path

import pytest

from tools.benchmark import __main__ as program
from tools.benchmark import instructions
from tools.benchmark.calm import Patience, Ticks
from tools.benchmark.docs import PAGE, insert, marks
from tools.benchmark.figures import ENGINE, Round, of, spread
from tools.benchmark.instructions import SCHEMA, WAYS, dearer
from tools.benchmark.limit import limit_mbits, of_limit
from tools.benchmark.measures import MEASURES, judge
from tools.benchmark.report import document, markdown

FACTS = {"cpu": "C", "cores": 2, "kernel": "6", "python": "3", "load_before": 0.1}


def a_round(speed: float, *, late: float = 0) -> Round:
    return {
        "l2mesh": {"tcp1": speed, "udp64_late": late, "udp1300_late": 0, "rss_mib": 50},
        "vxlan": {"tcp1": 10_000},
        "tinc": {"tcp1": 500, "idle_p50_us": 0},
        ENGINE: {"forwarder_ns": 0.5, "pump_ns": 0.2, "seal_ns": 141.4, "library_ns": 130},
    }


def verdict_of(rounds: list[Round], what: str) -> tuple[float | None, str]:
    found = next(each for each in judge(rounds) if each.measure.what.startswith(what))
    return found.value, found.text


def test_a_ratio_is_made_within_each_round_and_the_median_counts() -> None:
    rounds = [a_round(3000), a_round(5000), a_round(7000)]
    assert verdict_of(rounds, "TCP, one flow, over kernel VXLAN") == (0.5, "must")
    assert verdict_of(rounds, "TCP, one flow, over tinc") == (10, "missed")


def test_one_packet_late_in_one_round_is_one_too_many() -> None:
    assert verdict_of([a_round(1), a_round(1)], "out-of-order") == (0, "aim")
    assert verdict_of([a_round(1), a_round(1, late=1), a_round(1)], "out-of-order")[1] == "missed"


def test_what_was_not_measured_is_said_and_never_filled_in() -> None:
    assert verdict_of([a_round(1)], "relayed TCP") == (None, "not measured")
    assert verdict_of([a_round(1)], "idle round trip") == (None, "not measured")
    text = markdown([a_round(6000)], [], None, FACTS)
    row = next(line for line in text.splitlines() if line.startswith("| relayed TCP"))
    assert row.count("not measured") == 2
    assert [each.text for each in judge([])] == ["not measured"] * len(MEASURES)


def test_the_limit_is_all_processors_over_what_nobody_can_do_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    one = a_round(5000)
    limit = limit_mbits(one)
    assert limit == pytest.approx(8 * 2 / (0.5 + 0.2 + 0.1) * 1000)
    share = of_limit([one], "l2mesh")
    assert share is not None and share.median == pytest.approx(0.25)
    assert limit_mbits({}) is None


def test_a_busy_machine_has_no_limit() -> None:
    busy = markdown([a_round(1)], [], None, FACTS | {"load_before": 4.0})
    assert "Computed limit: not measured" in busy


class Host:
    """Takes these shares of a second away, one for each probe, which lasts a second."""

    def __init__(self, *shares: float) -> None:
        self.shares = iter(shares)
        self.seconds, self.stolen, self.probes = 0.0, 0.0, 0

    def probe(self) -> dict[str, float]:
        self.seconds += 1
        self.stolen += next(self.shares)
        self.probes += 1
        return {"tcp1": float(self.probes)}

    def patience(self, seconds: float) -> Patience:
        ticks = lambda: Ticks(round(self.seconds * 200), round(self.stolen * 200))  # noqa: E731
        return Patience(seconds, ticks, lambda: self.seconds)


def test_a_calm_probe_counts_at_once() -> None:
    host = Host(0.01, 0)
    assert host.patience(60).calmest(host.probe) == {"tcp1": 1, "stolen": 0.01}
    assert host.probes == 1


def test_the_calmest_of_three_counts_when_the_host_took_processors_away() -> None:
    host = Host(0.3, 0.1, 0.2, 0)
    assert host.patience(60).calmest(host.probe) == {"tcp1": 2, "stolen": 0.1}
    assert host.probes == 3


def test_patience_ends_for_all_probes_together() -> None:
    host = Host(*[0.5] * 9)
    patience = host.patience(3)
    for _ in range(3):
        patience.calmest(host.probe)
    assert host.probes == 6


def test_the_page_says_what_the_host_took() -> None:
    one = a_round(6000)
    one["l2mesh"]["stolen"] = 0.13
    assert "the host took 13% of the time" in markdown([one], [], None, FACTS)
    assert "the host took" not in markdown([a_round(6000)], [], None, FACTS)


def test_the_document_holds_every_round() -> None:
    rounds = [a_round(1), a_round(2)]
    found = document(rounds, [], None, FACTS, ["l2mesh: the path is relay, not direct"])
    assert found["rounds"] == rounds and len(found["not_counted"]) == 1
    assert json.loads(json.dumps(found))["schema"] == "l2mesh.bench/2"


def test_spread_of_nothing_is_nothing() -> None:
    assert spread(of([a_round(1)], "veth", "tcp1")) is None
    assert spread(iter([3.0, 1.0, 2.0])) == (2.0, 1.0, 3.0)


def test_the_page_changes_between_the_marks_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    first, last = marks("it")
    page.write_text(f"before\n{first}\nold\n{last}\nafter\n")
    insert(page, "it", "new\n")
    insert(page, "it", "newer\n")
    assert page.read_text() == f"before\n{first}\n\nnewer\n\n{last}\nafter\n"
    with pytest.raises(ValueError, match="lacks a mark"):
        insert(page, "another", "new")


def test_the_page_in_the_repository_has_its_marks() -> None:
    text = PAGE.read_text()
    for command in (program.COMMAND, instructions.COMMAND):
        assert [text.count(mark) for mark in marks(command)] == [1, 1]


def test_more_instructions_than_kept_are_noticed() -> None:
    kept = {"relay": 100, "small-in": 100}
    assert dearer({"relay": 103, "small-in": 104, "new": 9}, kept) == ["small-in"]


def test_instructions_of_every_way_are_kept() -> None:
    kept = json.loads(instructions.FILE.read_text())
    assert kept["schema"] == SCHEMA and kept["instructions"].keys() == WAYS.keys()
