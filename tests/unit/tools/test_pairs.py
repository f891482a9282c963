"""The grid's command puts each kind of table between its own marks."""

from pathlib import Path

from tools.pairs.__main__ import PAGE, REAL, SIMULATED, write
from tools.pairs.ground import ends_of
from tools.pairs.places import Aim, Neighbours, Outcome, Pair, Place, aim_of
from tools.pairs.table import answer_line, judge


def test_tables_stand_between_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "paths.md"
    page.write_text(PAGE.read_text())
    write("simulated tables", SIMULATED, page)
    write("real tables", REAL, page)
    once = page.read_text()
    write("real tables", REAL, page)
    assert page.read_text() == once
    assert once.count("simulated tables") == once.count("real tables") == 1
    assert once.index("simulated tables") < once.index("real tables")
    assert "## When something changes" in once


def test_place_with_nat64_is_one_of_ipv4_and_of_ipv6() -> None:
    others = {place: aim_of((place, Place.NAT64)) for place in Place}
    assert others.pop(Place.IPV6) is others[Place.DUAL] is others.pop(Place.NAT64) is Aim.DIRECT
    alike = {place: aim_of((place, Place.PORT)) for place in others}
    assert others == alike


def test_every_place_has_a_node_for_each_side() -> None:
    assert ends_of((Place.FULL_CONE, Place.IPV6)) == ("full-cone-1", "ipv6-only-2")
    assert ends_of((Place.PORT, Place.PORT)) == ("port-1", "port-2")
    assert ends_of(Neighbours.SAME_LAN) == ("same-lan-1", "same-lan-2")


def test_the_slowest_first_answer_is_told_and_judged() -> None:
    pair: Pair = (Place.OPEN, Place.PORT)
    slow, quick = ([Outcome(1, 0.5, seconds, 0, 0)] for seconds in (1.2, 0.1))
    results = {pair: slow, Neighbours.SAME_LAN: quick, Neighbours.HAIRPIN: quick}
    told = "First answer: median 0.10 s, slowest 1.20 s (open - port)."
    assert answer_line(results) == told
    assert judge(pair, slow) == ["the first answer took more than 1 s"] and not judge(pair, quick)
