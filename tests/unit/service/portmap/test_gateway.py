"""Which router is asked, and on behalf of which of our addresses."""

from typing import Any

import pytest

from l2mesh.service.portmap.gateway import ipv6_gateway

TENTATIVE = 0x40


class Message(dict[str, Any]):
    """As pyroute2's: brackets find fields of the header alone, attributes want `get`."""

    def __getitem__(self, name: str) -> Any:
        assert name in {"index", "family", "flags"}
        return super().__getitem__(name)


class FakeRoute:
    """Routes, links and addresses as pyroute2 shows them."""

    def __init__(self, *addresses: str, hop: str | None = "fe80::1", flags: int = 0) -> None:
        worse = Message(gateway="fe80::9", oif=2, priority=2048)
        self._routes = [worse, Message(gateway=hop, oif=3, priority=1024)]
        self._addresses = [
            Message(index=3, family=10, address=address, flags=flags) for address in addresses
        ]

    def get_default_routes(self, **_: Any) -> list[Message]:
        return self._routes

    def get_links(self) -> list[Message]:
        return [Message(index=2, ifname="wlan0"), Message(index=3, ifname="eth0")]

    def get_addr(self) -> list[Message]:
        return [*self._addresses, Message(index=2, family=10, address="2001:db8:9::1")]


def test_best_router_is_asked_for_an_address_that_others_reach() -> None:
    found = ipv6_gateway(FakeRoute("fe80::2", "fd00::2", "2001:db8::2", "2001:db8::3"))
    assert found == ("fe80::1%eth0", "2001:db8::2")
    assert ipv6_gateway(FakeRoute("2001:db8::2", hop="2001:db8::1")) == (
        "2001:db8::1",
        "2001:db8::2",
    )


@pytest.mark.parametrize(
    "route",
    [FakeRoute(), FakeRoute("fe80::2", "fd00::2"), FakeRoute("2001:db8::2", flags=TENTATIVE)],
)
def test_nobody_is_asked_without_such_an_address(route: FakeRoute) -> None:
    assert ipv6_gateway(route) is None


def test_router_that_is_this_host_is_none() -> None:
    route = FakeRoute("2001:db8::2", hop="::1")
    assert ipv6_gateway(route) == ("fe80::9%wlan0", "2001:db8:9::1")
