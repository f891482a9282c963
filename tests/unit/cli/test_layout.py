"""Tables and sentences on terminals of some width, and in pipes."""

import pytest

from l2mesh.cli import layout
from l2mesh.cli.layout import prose, table

HEADINGS = ("PEER", "STATE", "WHY")
ROWS = [("192.0.2.9", "dead", "it has answered before, and does not now"), ("b", "direct", "near")]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A terminal of so many columns, without colours."""
    monkeypatch.setattr(layout, "_terminal_width", lambda: request.param)
    monkeypatch.setenv("NO_COLOR", "1")


def test_in_a_pipe_a_row_is_a_line() -> None:
    long = "x" * 500
    assert [len(line.split()) for line in table(("A", "B"), [(long, 1), ("y", long)])] == [2, 2, 2]


@pytest.mark.parametrize("terminal", [59], indirect=True)
@pytest.mark.usefixtures("terminal")
def test_what_fits_is_not_folded() -> None:
    assert table(HEADINGS, ROWS) == [
        "PEER       STATE   WHY",
        "192.0.2.9  dead    it has answered before, and does not now",
        "b          direct  near",
    ]


@pytest.mark.parametrize("terminal", [58], indirect=True)
@pytest.mark.usefixtures("terminal")
def test_columns_that_do_not_fit_go_on_in_the_next_line() -> None:
    assert table(HEADINGS, ROWS) == [
        "PEER       STATE",
        "    WHY",
        "192.0.2.9  dead",
        "    it has answered before, and does not now",
        "b          direct",
        "    near",
    ]


@pytest.mark.parametrize("terminal", [30], indirect=True)
@pytest.mark.usefixtures("terminal")
def test_a_sentence_longer_than_the_terminal_is_wrapped() -> None:
    lines = table(HEADINGS, ROWS)
    assert lines[2:5] == [
        "192.0.2.9  dead",
        "    it has answered before,",
        "    and does not now",
    ]
    assert prose("no planet answers, all are asked", "  - ") == [
        "  - no planet answers, all are",
        "    asked",
    ]


@pytest.mark.parametrize("terminal", [1, 2, 10], indirect=True)
@pytest.mark.usefixtures("terminal")
def test_nothing_is_lost_on_the_narrowest_terminal() -> None:
    shown = " ".join(table(HEADINGS, ROWS)).split()
    assert shown == " ".join(" ".join(row) for row in (HEADINGS, *ROWS)).split()


def test_known_words_are_coloured_unless_nobody_wants_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31mdead" in table(HEADINGS, ROWS)[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in "".join(table(HEADINGS, ROWS))
