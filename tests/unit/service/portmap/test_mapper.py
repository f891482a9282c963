"""Keeping a port: found, renewed, found out to be gone, given back."""

import asyncio
from dataclasses import dataclass, field
from functools import partial

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.service.portmap.lease import Epoch, Lease, NoAnswer, Refused, Wish, renew_at
from l2mesh.service.portmap.mapper import MAX_FAILURES, RETRY_S, SOON_S, Place, PortMapper

HOME = Place("10.0.0.1", Endpoint("10.0.0.2", 9993), bytes(12))
OUTSIDE = Endpoint("198.51.100.1", 9993)


@dataclass
class World:
    """A router that speaks one protocol or none, and the node that hears what comes of it."""

    speaks: str = "nat-pmp"
    place: Place | None = HOME
    outside: Endpoint = OUTSIDE
    epoch_s: int | None = 100
    refuses: bool = False
    now: float = 0.0
    granted: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[str, Wish]] = field(default_factory=list)
    heard: list[Endpoint | None] = field(default_factory=list)

    def mapper(self) -> PortMapper:
        names = ("pcp", "nat-pmp", "upnp")
        methods = {name: partial(self.ask, name) for name in names}
        return PortMapper(self.find, self.heard.append, lambda: self.now, methods)

    async def find(self) -> Place | None:
        return self.place

    async def ask(self, protocol: str, wish: Wish) -> Lease:
        self.asked.append((protocol, wish))
        if protocol != self.speaks:
            raise NoAnswer(f"no {protocol}")
        if self.refuses:
            raise Refused("full")
        self.granted.set()
        return Lease(self.outside, wish.lifetime_s, self.epoch_s)

    @property
    def protocols(self) -> list[str]:
        return [protocol for protocol, _ in self.asked]


@pytest.mark.asyncio
async def test_first_protocol_that_grants_is_kept_and_asked_alone_from_then_on() -> None:
    world = World()
    mapper = world.mapper()
    assert await mapper.round() == 120
    assert world.protocols == ["pcp", "nat-pmp"] and world.heard == [OUTSIDE]
    assert (mapper.status.protocol, mapper.status.outside) == ("nat-pmp", OUTSIDE)
    await mapper.round()
    assert world.protocols == ["pcp", "nat-pmp", "nat-pmp"] and world.heard == [OUTSIDE]
    assert world.asked[-1][1].outside == OUTSIDE


@pytest.mark.asyncio
async def test_nobody_who_grants_is_asked_again_in_ten_minutes() -> None:
    world = World(speaks="none")
    mapper = world.mapper()
    assert await mapper.round() == RETRY_S
    assert (
        mapper.status.problem == "PCP: no pcp; NAT-PMP: no nat-pmp; UPnP: no upnp"
        and world.heard == []
    )


@pytest.mark.parametrize(
    "place", [None, Place("198.41.0.1", Endpoint("198.41.0.4", 9993), bytes(12))]
)
@pytest.mark.asyncio
async def test_nobody_is_asked_without_a_router_or_need(place: Place | None) -> None:
    world = World(place=place)
    assert await world.mapper().round() == RETRY_S
    assert world.asked == []


@pytest.mark.asyncio
async def test_restart_of_the_router_is_noticed_and_its_new_address_told() -> None:
    world = World()
    mapper = world.mapper()
    await mapper.round()
    world.now, world.epoch_s, world.outside = 120.0, 3, Endpoint("198.51.100.9", 9993)
    await mapper.round()
    assert mapper.status.restarts == 1 and world.heard == [OUTSIDE, world.outside]


@pytest.mark.asyncio
async def test_silent_router_is_given_up_after_three_renewals() -> None:
    world = World()
    mapper = world.mapper()
    await mapper.round()
    world.speaks = "none"
    for _ in range(MAX_FAILURES - 1):
        assert await mapper.round() == SOON_S
        assert world.heard == [OUTSIDE]
    await mapper.round()
    assert world.heard == [OUTSIDE, None] and mapper.status.outside is None
    world.speaks = "upnp"
    await mapper.round()
    assert mapper.status.protocol == "upnp"


@pytest.mark.asyncio
async def test_refused_renewal_is_believed_at_once() -> None:
    world = World()
    mapper = world.mapper()
    await mapper.round()
    world.refuses = True
    await mapper.round()
    assert world.heard == [OUTSIDE, None] and mapper.status.problem == "NAT-PMP: full"


@pytest.mark.asyncio
async def test_another_network_begins_anew() -> None:
    world = World()
    mapper = world.mapper()
    await mapper.round()
    world.place = Place("10.9.0.1", Endpoint("10.9.0.2", 9993), bytes(12))
    await mapper.round()
    assert world.heard == [OUTSIDE, None, OUTSIDE]
    assert world.protocols[-2:] == ["pcp", "nat-pmp"] and world.asked[-1][1].outside is None


@pytest.mark.parametrize("outside", [Endpoint("0.0.0.0", 9993), Endpoint("198.51.100.1", 0)])
@pytest.mark.asyncio
async def test_router_without_an_outside_is_of_no_use(outside: Endpoint) -> None:
    world = World(outside=outside)
    mapper = world.mapper()
    await mapper.round()
    assert world.heard == [] and "no address outside" in str(mapper.status.problem)


@pytest.mark.asyncio
async def test_port_is_given_back_at_the_end_whatever_the_router_does() -> None:
    world = World()
    mapper = world.mapper()
    mapper.start()
    await world.granted.wait()
    await asyncio.sleep(0)  # the mapper takes what was granted
    world.speaks = "none"
    await mapper.close()
    assert world.asked[-1][0] == "nat-pmp" and world.asked[-1][1].lifetime_s == 0
    assert world.asked[-1][1].outside == OUTSIDE


@pytest.mark.asyncio
async def test_port_is_given_back_when_it_is_of_no_use_any_more() -> None:
    world = World()
    mapper = world.mapper()
    await mapper.round()
    world.place = None
    assert await mapper.round() == RETRY_S
    assert world.asked[-1][1].lifetime_s == 0 and world.heard == [OUTSIDE, None]


@pytest.mark.asyncio
async def test_end_without_a_port_asks_nobody() -> None:
    world = World(speaks="none")
    mapper = world.mapper()
    await mapper.round()
    before = len(world.asked)
    await mapper.close()
    assert len(world.asked) == before


def test_renewal_is_after_half_of_a_lease_and_two_minutes_at_most() -> None:
    assert renew_at(Lease(OUTSIDE, 1200, None), 10.0) == 130.0
    assert renew_at(Lease(OUTSIDE, 60, None), 10.0) == 40.0
    assert renew_at(Lease(OUTSIDE, 0, None), 10.0) == 14.0


@pytest.mark.parametrize(
    ("epochs", "broken"),
    [
        ([(100, 0.0), (220, 120.0)], False),
        ([(100, 0.0), (99, 0.5)], False),
        ([(100, 0.0), (224, 120.0)], False),
        ([(100, 0.0), (3, 120.0)], True),
        ([(100, 0.0), (160, 120.0)], True),
        ([(100, 0.0), (400, 120.0)], True),
    ],
)
def test_age_of_a_router_tells_of_a_restart(
    epochs: list[tuple[int, float]], *, broken: bool
) -> None:
    epoch = Epoch()
    assert [epoch.is_broken_by(*each) for each in epochs] == [False, broken]


@pytest.mark.asyncio
async def test_router_of_a_public_ipv6_address_is_asked_since_it_may_have_a_firewall() -> None:
    own = Endpoint("2606:4700::2", 9993)
    world = World(speaks="pcp", place=Place("fe80::1%eth0", own, bytes(12)), outside=own)
    mapper = world.mapper()
    assert await mapper.round() == 120
    assert world.heard == [own] and mapper.status.gateway == "fe80::1%eth0"
