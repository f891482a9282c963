"""The grid's command puts each kind of table between its own marks."""

from pathlib import Path

from tools.pairs.__main__ import PAGE, REAL, SIMULATED, write
from tools.pairs.ground import ends_of
from tools.pairs.places import Neighbours, Place


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


def test_every_place_has_a_node_for_each_side() -> None:
    assert ends_of((Place.FULL_CONE, Place.IPV6)) == ("full-cone-1", "ipv6-only-2")
    assert ends_of((Place.PORT, Place.PORT)) == ("port-1", "port-2")
    assert ends_of(Neighbours.SAME_LAN) == ("same-lan-1", "same-lan-2")
