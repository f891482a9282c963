"""Which interfaces are uplinks, and which of them the host itself chooses."""

from pathlib import Path
from typing import Any

import pytest

from l2mesh.service.netlink import _matters
from l2mesh.service.reversepath import strict_uplinks
from l2mesh.service.uplinks import Uplink, UplinkTable, default_routes

RUNNING = 0x41


class FakeRoute:
    """Links and default routes as pyroute2 shows them."""

    def __init__(
        self, links: list[dict[Any, Any]], routes: dict[int, list[dict[str, Any]]]
    ) -> None:
        self.get_links = lambda: links
        self.get_default_routes = lambda family, table: routes.get(family, [])


def link(number: int, kind: str | None = None, flags: int = RUNNING) -> dict[Any, Any]:
    return {
        "index": number,
        "ifname": f"eth{number}",
        "flags": flags,
        ("linkinfo", "kind"): kind,
    }


def route(number: int, metric: int | None = None, kind: int = 1) -> dict[str, Any]:
    return {"oif": number, "priority": metric, "type": kind}


def uplink(number: int, *, up: bool = True, tunnel: bool = False) -> Uplink:
    return Uplink(number, f"eth{number}", (4,), 0, up, tunnel)


def test_default_routes_are_uplinks_in_the_order_of_the_kernel() -> None:
    links = [link(1), link(2), link(3, flags=1), link(4, "wireguard"), link(5)]
    ipv4 = [route(3, 600), route(2, 100), route(4, 50)]
    ipv6 = [route(5, 1), route(2, 1024), route(1, kind=7)]
    found = default_routes(FakeRoute(links, {2: ipv4, 10: ipv6}))
    assert [each.number for each in found] == [4, 2, 3, 5]
    assert found[1] == Uplink(2, "eth2", (4, 6), 100, is_up=True, is_tunnel=False)
    assert [each.is_up for each in found] == [True, True, False, True]
    assert found[0].is_tunnel


def test_each_hop_of_a_route_with_several_is_an_uplink() -> None:
    hops = {"multipath": [{"oif": 1}, {"oif": 2}], "priority": 10, "type": 1}
    found = default_routes(FakeRoute([link(1), link(2)], {2: [hops]}))
    assert [each.number for each in found] == [1, 2]


def test_one_uplink_is_never_named() -> None:
    table = UplinkTable()
    assert not table.update((uplink(1),)) and table.named == ()
    assert table.update(()) and table.named == ()
    assert not table.update((uplink(1),))


def test_all_but_the_hosts_own_choice_are_named_at_most_three() -> None:
    table = UplinkTable()
    table.update(tuple(uplink(number) for number in range(1, 7)))
    assert table.named == (2, 3, 4)
    assert table.device(3) == "eth3" and table.device(0) is None and table.device(9) is None


def test_tunnels_and_links_that_are_down_are_not_named() -> None:
    table = UplinkTable()
    table.update((uplink(1), uplink(2, tunnel=True), uplink(3, up=False), uplink(4)))
    assert table.named == (4,)


@pytest.mark.parametrize("after", [(uplink(2),), (uplink(1, up=False), uplink(2))])
def test_a_named_uplink_keeps_its_name_when_the_hosts_own_choice_is_down(
    after: tuple[Uplink, ...],
) -> None:
    table = UplinkTable()
    table.update((uplink(1), uplink(2)))
    assert table.update(after) and table.named == (2,)
    assert not table.update(after)
    assert table.update((uplink(1), uplink(2))) and table.named == (2,)


def test_routes_change_places_without_an_uplink_being_lost() -> None:
    table = UplinkTable()
    table.update((uplink(1), uplink(2)))
    table.update((uplink(2), uplink(1)))
    assert table.named == (2, 1)


@pytest.mark.parametrize(
    ("everywhere", "there", "strict"),
    [(0, 0, False), (0, 1, True), (1, 0, True), (1, 1, True), (2, 1, False), (1, 2, False)],
)
def test_of_two_filters_the_larger_number_counts(
    tmp_path: Path,
    everywhere: int,
    there: int,
    strict: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    for name, value in (("all", everywhere), ("eth2", there), ("eth1", 1), ("eth3", 1)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rp_filter").write_text(f"{value}\n")
    table = UplinkTable()
    table.update((uplink(1), uplink(2), uplink(3, up=False), uplink(4)))
    assert strict_uplinks(table, tmp_path) == (("eth2",) if strict else ())


def message(kind: int, body: bytes = bytes(12)) -> bytes:
    return (16 + len(body)).to_bytes(4, "little") + kind.to_bytes(2, "little") + bytes(10) + body


def test_of_routes_only_the_default_ones_wake_us() -> None:
    other, default = (
        message(24, bytes([2, 24]) + bytes(10)),
        message(25, bytes([10, 0]) + bytes(10)),
    )
    assert not _matters(other + other)
    assert _matters(other + default)
    assert _matters(message(16)) and _matters(other + message(20))
    assert not _matters(b"") and not _matters(other[:10])
