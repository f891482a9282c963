"""What sessions of a pair carry: networks announced, withdrawn and accepted anew."""

import pytest

from l2mesh.datapath.interface import RemoveSend
from l2mesh.session.outputs import (
    SessionLive,
)
from tests.unit.session.pair import (
    NETWORK,
    World,
    connected,
    traffic,
)


def test_network_accepted_later_is_announced_in_band_and_inherited_by_the_next_session() -> None:
    world = World()
    world.connect()
    assert not world.frame(world.a, "early")
    world.accept()
    for host in (world.a, world.b):
        current = host.sessions.current
        assert current is not None
        assert host.sessions.unannounced(current) == (NETWORK,)
        world.announce(host, current, NETWORK)
    world.run(1.0)
    assert world.frame(world.a, "late") and world.frame(world.b, "late")
    sent = traffic(world, 130.0)
    assert (world.a.got[1:], world.b.got[1:]) == sent
    assert len(world.a.events(SessionLive)) == 2


def test_announcement_that_comes_before_acceptance_is_remembered() -> None:
    world = World()
    world.connect()
    world.b.sessions.accept(NETWORK, None, world.now)
    world.pump(world.b)
    assert world.b.sessions.current is not None
    world.announce(world.b, world.b.sessions.current, NETWORK)
    world.run(1.0)
    assert not world.frame(world.a, "too early")
    world.a.sessions.accept(NETWORK, None, world.now)
    world.pump(world.a)
    assert world.frame(world.a, "now")


def test_at_most_64_networks_are_remembered() -> None:
    world = World()
    world.connect()
    current = world.a.sessions.current
    assert current is not None
    for network in range(1, 200):
        world.a.sessions.announced(current, network, [(0, network)], world.now)
    for network in range(1, 200):
        world.a.sessions.accept(network, None, world.now)
    world.pump(world.a)
    assert len(world.a.send) == 64


@pytest.mark.parametrize("indices", [[(1, 5)], [(0, 0)], [(0, 1 << 24)], [(0, -1)]])
def test_announcement_of_what_cannot_be_used_is_ignored(indices: list[tuple[int, int]]) -> None:
    world = World()
    world.connect()
    world.a.sessions.accept(NETWORK, None, world.now)
    current = world.a.sessions.current
    assert current is not None
    world.a.sessions.announced(current, NETWORK, indices, world.now)
    world.a.sessions.announced(current, 0, [(0, 7)], world.now)
    world.a.sessions.announced(99, NETWORK, [(0, 7)], world.now)
    world.pump(world.a)
    assert world.a.send == {}


def test_older_session_carries_a_network_until_the_newer_one_can() -> None:
    world = connected()
    old = world.a.sessions.current
    b_networks = dict(world.b.sessions.accepted)
    world.run(6.0)
    world.b.sessions.accepted.clear()  # b's next RESPONSE announces nothing
    world.a.sessions.restart(world.now)
    world.pump(world.a)
    world.run(1.0)
    world.b.sessions.accepted.update(b_networks)
    new = world.a.sessions.current
    assert new != old
    assert world.a.send[NETWORK].session == old
    assert world.frame(world.a, "carried")
    world.run(1.0)
    assert world.b.got == ["carried"]
    assert not world.a.events(RemoveSend)


def test_withdrawn_network_is_neither_heard_nor_sent() -> None:
    world = connected()
    world.a.sessions.withdraw(NETWORK, world.now)
    world.pump(world.a)
    assert not world.frame(world.a, "x")
    assert world.frame(world.b, "y")
    world.run(1.0)
    assert world.a.got == [] and world.a.lost == 1
    current = world.a.sessions.current
    assert current is not None
    assert world.a.sessions.announcements(current, NETWORK) == ()
    world.say(world.a, current, (NETWORK, []))
    world.run(1.0)
    assert not world.frame(world.b, "z")
    assert world.b.events(RemoveSend)


def test_network_accepted_again_gets_a_new_session_because_its_index_was_in_use() -> None:
    world = connected()
    world.a.sessions.withdraw(NETWORK, world.now)
    world.a.sessions.accept(NETWORK, None, world.now)
    world.pump(world.a)
    assert not world.frame(world.a, "not with the same key from counter 0")
    world.run(1.0)
    assert world.frame(world.a, "x") and world.frame(world.b, "y")
    world.run(1.0)
    assert (world.a.got, world.b.got) == (["y"], ["x"])


def test_new_elided_header_needs_a_new_index_and_the_old_one_still_receives() -> None:
    world = connected()
    current = world.a.sessions.current
    assert current is not None
    (before,) = world.a.sessions.announcements(current, NETWORK)
    world.a.sessions.accept(NETWORK, b"\x02" * 12, world.now)
    world.pump(world.a)
    (after,) = world.a.sessions.announcements(current, NETWORK)
    assert before.index != after.index
    assert world.a.receive[after.index].elided == b"\x02" * 12
    assert world.frame(world.b, "under way")
    world.announce(world.a, current, NETWORK)
    world.run(1.0)
    assert world.frame(world.b, "new")
    world.run(1.0)
    assert world.a.got == ["under way", "new"]
    assert world.b.send[NETWORK].index == after.index
    for step in range(20):
        world.a.sessions.accept(NETWORK, bytes([step]) * 12, world.now)
    world.pump(world.a)
    assert len(world.a.receive) == 10, "control, one in force, eight retired"


def test_acceptance_during_a_handshake_is_not_lost() -> None:
    world = World()
    world.a.sessions.connect(world.now)
    world.pump(world.a)
    world.accept()
    world.run(1.0)
    current = world.a.sessions.current
    assert current is not None
    assert world.a.sessions.unannounced(current) == (NETWORK,)
    assert world.frame(world.a, "x") and world.frame(world.b, "y")
