from typing import Any

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.runtime.underlay import Listen
from l2mesh.service import addresses as module
from l2mesh.service.addresses import families_of, local_addresses, source_towards, to_endpoints

ADDRESSES = ("127.0.0.1", "192.0.2.1", "::1", "fe80::1", "2001:db8::1")


class FakeRoute:
    """Links and addresses as pyroute2 shows them."""

    def __init__(self, links: list[dict[Any, Any]], addresses: list[dict[str, Any]]) -> None:
        self.get_links = lambda: links
        self.get_addr = lambda: addresses


def link(index: int, kind: str | None = None, flags: int = 1) -> dict[Any, Any]:
    return {"index": index, "flags": flags, ("linkinfo", "kind"): kind}


def address(index: int, text: str, flags: int = 0) -> dict[str, Any]:
    family = 10 if ":" in text else 2
    return {"index": index, "family": family, "address": text, "flags": flags}


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        ("::", ["192.0.2.1", "2001:db8::1"]),
        ("0.0.0.0", ["192.0.2.1"]),
        ("127.0.0.1", ["127.0.0.1"]),
        ("2001:db8::1", ["2001:db8::1"]),
        ("192.0.2.77", []),
    ],
)
def test_endpoints_are_where_the_sockets_answer(host: str, kept: list[str]) -> None:
    endpoints = to_endpoints(ADDRESSES, Listen(host, 0), 9993)
    assert endpoints == tuple(Endpoint(text, 9993) for text in kept)


def test_tunnels_and_passing_addresses_are_left_out() -> None:
    links = [link(1), link(2, "tun"), link(3, "bridge"), link(4, "wireguard"), link(5, flags=0)]
    addresses = [
        address(3, "2001:db8::1"),
        address(1, "192.0.2.1"),
        address(2, "10.9.0.1"),
        address(4, "10.8.0.1"),
        address(5, "192.0.2.5"),
        address(1, "2001:db8::2", flags=0x01),
        address(1, "2001:db8::3", flags=0x20),
        address(1, "2001:db8::4", flags=0x40),
        address(3, "192.0.2.1"),
    ]
    assert local_addresses(FakeRoute(links, addresses)) == ("192.0.2.1", "2001:db8::1")


def test_source_is_our_end_of_the_route() -> None:
    assert source_towards(Endpoint("127.0.0.1", 9)) == "127.0.0.1"
    assert source_towards(Endpoint("no address", 9)) is None


@pytest.mark.parametrize(
    ("own", "routed", "families"),
    [
        ((), (), set()),
        (("198.51.100.1",), (), {4}),
        (("fd00::1",), ("192.0.2.1",), {4, 6}),
        ((), ("192.0.2.1", "2001:db8::1"), {4, 6}),
    ],
)
def test_families_are_those_of_own_addresses_and_of_routes(
    own: tuple[str, ...],
    routed: tuple[str, ...],
    families: set[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "source_towards", lambda to: to.host if to.host in routed else None)
    assert families_of(Endpoint(host, 9993) for host in own) == families
