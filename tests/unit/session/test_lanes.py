"""Lanes: an end that sends with several threads has a key and counter for each."""

from l2mesh.datapath.interface import InstallReceive
from tests.unit.session.pair import NETWORK, Host, World, traffic

LANES = 3


def joined(lanes: tuple[int, int]) -> World:
    world = World(lanes=lanes)
    world.accept()
    world.connect()
    world.run(1.0)
    return world


def of_lanes(host: Host) -> list[InstallReceive]:
    return [each for each in host.receive.values() if each.network == NETWORK]


def test_who_sends_with_several_lanes_gets_a_key_for_each() -> None:
    world = joined((LANES, 1))
    assert sorted(world.a.lanes) == [(NETWORK, lane) for lane in range(1, LANES)]
    sends = [world.a.send[NETWORK], *world.a.lanes.values()]
    assert [each.lane for each in sends] == list(range(LANES))
    assert {(each.index, each.key, each.salt) for each in sends} == {
        (each.index, each.key, each.salt) for each in of_lanes(world.b)
    }
    assert len({each.key for each in sends}) == LANES


def test_who_sends_with_one_gets_one() -> None:
    world = joined((LANES, 1))
    assert not world.b.lanes
    assert len(of_lanes(world.a)) == 1


def test_every_index_is_given_back_with_its_session() -> None:
    world = joined((LANES, LANES))
    before = len(world.a.indices)
    traffic(world, 400.0)
    assert len(world.a.lanes) == len(world.b.lanes) == LANES - 1
    assert len(world.a.indices) <= 2 * before
    world.a.sessions.close(world.now)
    world.pump(world.a)
    assert len(world.a.indices) == 0


def test_lanes_follow_their_carrier_to_the_next_session() -> None:
    world = joined((LANES, LANES))
    first = world.a.send[NETWORK].session
    sent = traffic(world, 130.0)
    assert (world.a.got, world.b.got) == sent
    assert world.a.send[NETWORK].session > first
    assert {each.session for each in world.a.lanes.values()} == {world.a.send[NETWORK].session}


def test_other_addresses_make_new_indices_for_all_lanes() -> None:
    world = joined((LANES, 1))
    before = {each.index for each in of_lanes(world.b)}
    world.b.sessions.accept(NETWORK, bytes(12), world.now)
    world.pump(world.b)
    current = world.b.sessions.current
    assert current is not None
    world.announce(world.b, current, NETWORK)
    world.run(1.0)
    now = {world.a.send[NETWORK].index, *(each.index for each in world.a.lanes.values())}
    assert len(now) == LANES and not now & before
    assert before <= {each.index for each in of_lanes(world.b)}, "what is under way still comes"


def test_nobody_is_made_to_keep_more_than_eight() -> None:
    world = joined((255, 1))
    assert len(of_lanes(world.b)) == 8
    current = world.a.sessions.current
    assert current is not None
    world.a.sessions.announced(current, NETWORK, [(lane, 99) for lane in range(8, 256)], world.now)
    world.pump(world.a)
    assert len(world.a.lanes) == 7


def test_a_withdrawal_takes_all_lanes() -> None:
    world = joined((LANES, 1))
    world.b.sessions.withdraw(NETWORK, world.now)
    world.pump(world.b)
    assert of_lanes(world.b) == []
    current = world.a.sessions.current
    assert current is not None
    world.a.sessions.announced(current, NETWORK, [], world.now)
    world.pump(world.a)
    assert not world.a.lanes and NETWORK not in world.a.send
