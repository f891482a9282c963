"""Loop guards on shared LANs, under a virtual clock: who forwards, and what is told to whom."""

from __future__ import annotations

from collections import deque
from itertools import count, pairwise
from random import Random

import pytest

from l2mesh.datapath.interface import AnnounceStations, FlushPeer, SetBlocked, WriteFrame
from l2mesh.switch.beacon import parse_beacon
from l2mesh.switch.ethernet import parse_header
from l2mesh.switch.loopguard import (
    HOLD_S,
    MAX_VLANS,
    LoopGuard,
    Role,
    Tell,
    TellBridges,
    TellEveryone,
)
from l2mesh.switch.loops import LoopKind
from l2mesh.wire.message import Message, Relearn, Sighted, SightingConfirmed

NETWORK = 0x1122334455000001


class Bridge:
    """One guard and what it has asked for."""

    def __init__(self, number: int, now: float, *, bridge: bool = True) -> None:
        self.name = bytes([number]) * 32
        self.mac = bytes([2, 0, 0, 0, 0, number])
        self.random = Random(number)
        self.blocked: frozenset[int] = frozenset()
        self.flushed: list[bytes | None] = []
        self.announced: list[int] = []
        self.relearned: list[bytes] = []
        self.asked_all = 0
        self.heard_by_lan: list[bytes] = []
        self.lan = "lan"
        random = self.random.randbytes
        self.guard = LoopGuard(
            NETWORK, self.name, mac=self.mac, bridge=bridge, random=random, now=now
        )

    @property
    def due(self) -> float:
        due = self.guard.next_timeout()
        return float("inf") if due is None else due

    def forwards(self, vlan: int = 0) -> bool:
        assert (vlan in self.blocked) == (self.guard.role(vlan) is Role.BLOCKED)
        return vlan not in self.blocked


class World:
    """Bridges, LANs by name, and a mesh in which everybody hears everybody unless cut off."""

    def __init__(self, size: int, *, others: int = 0) -> None:
        """`others` have no right to forward."""
        self.now = 1000.0
        numbers = range(1, size + others + 1)
        self.bridges = [Bridge(number, self.now, bridge=number <= size) for number in numbers]
        self.cut: set[bytes] = set()
        """Who is not reached inside the mesh."""
        self.messages = 0
        self.latency = 0.02
        self._numbers = count()
        self._flying: deque[tuple[float, Bridge, Bridge, Message]] = deque()

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            self._collect()
            due = [bridge.due for bridge in self.bridges]
            due += [self._flying[0][0]] if self._flying else []
            at = min(due)
            if at > end:
                self.now = end
                return
            assert at >= self.now
            self.now = at
            if self._flying and self._flying[0][0] <= at:
                self._deliver(*self._flying.popleft()[1:])
            for bridge in self.bridges:
                if bridge.due <= at:
                    bridge.guard.handle_timeout(at)

    def kill(self, bridge: Bridge) -> None:
        """It dies without a word."""
        self.bridges.remove(bridge)

    def forwarders(self, vlan: int = 0) -> list[Bridge]:
        return [bridge for bridge in self.bridges if bridge.forwards(vlan)]

    def _collect(self) -> None:
        busy = True
        while busy:
            busy = False
            for bridge in list(self.bridges):
                while (output := bridge.guard.poll_output()) is not None:
                    busy = True
                    self._carry_out(bridge, output)

    def _carry_out(self, bridge: Bridge, output: object) -> None:
        match output:
            case SetBlocked(network, vlans):
                assert network == NETWORK
                bridge.blocked = vlans
            case FlushPeer(_, peer):
                bridge.flushed.append(peer)
            case AnnounceStations(_, vlan, _):
                bridge.announced.append(vlan)
            case WriteFrame(_, frame):
                bridge.heard_by_lan.append(frame)
                self._put_on_lan(bridge, frame)
            case Tell(peer, message):
                self._post(bridge, [one for one in self.bridges if one.name == peer], message)
            case TellBridges(message) | TellEveryone(message):
                bridge.asked_all += isinstance(message, Sighted)
                if isinstance(message, Relearn):
                    bridge.relearned += message.behind
                self._post(bridge, [one for one in self.bridges if one is not bridge], message)
            case _:
                raise AssertionError(output)

    def _put_on_lan(self, sender: Bridge, frame: bytes) -> None:
        header = parse_header(frame)
        assert header is not None
        nonce = parse_beacon(frame, header)
        assert nonce is not None
        for bridge in self.bridges:
            if bridge is not sender and bridge.lan == sender.lan:
                bridge.guard.receive_beacon(header.vlan, nonce, self.now)

    def _post(self, sender: Bridge, receivers: list[Bridge], message: Message) -> None:
        for receiver in receivers:
            if {sender.name, receiver.name} & self.cut:
                continue
            self.messages += 1
            self._flying.append((self.now + self.latency, sender, receiver, message))

    def _deliver(self, sender: Bridge, receiver: Bridge, message: Message) -> None:
        match message:
            case Sighted(_, vlan, tag):
                bridge = sender.guard.bridge
                receiver.guard.receive_sighted(sender.name, vlan, tag, self.now, bridge=bridge)
            case SightingConfirmed(_, vlan, tag):
                receiver.guard.receive_confirmed(sender.name, vlan, tag, self.now)
            case Relearn(_, members):
                if sender.name in members:
                    receiver.guard.peer_relearned(sender.name)
            case _:
                raise AssertionError(message)


def test_bridge_alone_forwards_and_asks_nobody() -> None:
    world = World(1)
    (only,) = world.bridges
    world.run(60)
    assert only.forwards() and not only.relearned and not world.messages
    assert 60 / 0.55 - 2 < len(only.heard_by_lan) <= 60 / 0.5 + 1


@pytest.mark.parametrize("size", [2, 3, 6])
def test_bridges_on_one_lan_elect_one(size: int) -> None:
    world = World(size)
    world.run(2)
    assert len(world.forwarders()) == 1
    (best,) = world.forwarders()
    for bridge in world.bridges:
        assert bridge.guard.segments[0].forwarder == best.name
        if bridge is not best:
            assert bridge.flushed == [None] and bridge.relearned == [bridge.name]
    assert best.announced and not best.relearned
    told = [len(bridge.relearned) for bridge in world.bridges]
    world.run(30)
    assert [best] == world.forwarders()
    assert told == [len(bridge.relearned) for bridge in world.bridges]


def test_bridges_on_lans_apart_all_forward() -> None:
    world = World(4)
    for bridge in world.bridges[2:]:
        bridge.lan = "elsewhere"
    world.run(3)
    assert len(world.forwarders()) == 2
    assert {bridge.lan for bridge in world.forwarders()} == {"lan", "elsewhere"}


@pytest.mark.parametrize("size", [2, 4])
def test_forwarder_that_dies_is_replaced_within_three_seconds(size: int) -> None:
    world = World(size)
    world.run(5)
    (dead,) = world.forwarders()
    world.kill(dead)
    began = world.now
    while not world.forwarders():
        world.run(0.01)
    assert world.now - began < HOLD_S + 0.6
    (heir,) = world.forwarders()
    assert heir.relearned[-1:] == [dead.name] and heir.flushed[-1:] == [dead.name]
    assert heir.announced == [0]
    world.run(30)
    assert world.forwarders() == [heir]


def test_forwarder_that_says_good_bye_is_replaced_at_once() -> None:
    world = World(2)
    world.run(5)
    (left,) = world.forwarders()
    world.kill(left)
    (heir,) = world.bridges
    heir.guard.peer_lost(left.name, world.now)
    world.run(0.0)
    assert world.forwarders() == [heir]


def test_forwarder_that_is_cut_off_from_the_mesh_is_replaced() -> None:
    world = World(2)
    world.run(5)
    (lost,) = world.forwarders()
    world.cut = {lost.name}
    world.run(3)
    assert len(world.forwarders()) == 2
    world.cut = set()
    world.run(3)
    assert world.forwarders() == [lost]


def test_lost_messages_now_and_then_change_nothing() -> None:
    world = World(2)
    world.run(5)
    before = world.forwarders()
    for _ in range(10):
        world.cut = {world.bridges[0].name}
        world.run(1.2)
        world.cut = set()
        world.run(1.0)
        assert world.forwarders() == before
    assert sum(len(bridge.relearned) for bridge in world.bridges) == 1


def test_vlans_are_elected_apart_and_spread_over_the_bridges() -> None:
    world = World(2)
    for bridge in world.bridges:
        for vlan in range(1, 33):
            bridge.guard.station_learned(vlan, b"\x52" * 6, None, world.now, moved=False)
    world.run(3)
    owners = [world.forwarders(vlan) for vlan in range(33)]
    assert all(len(one) == 1 for one in owners)
    shares = [sum(one == [bridge] for one in owners) for bridge in world.bridges]
    assert min(shares) >= 8


def test_vlan_that_only_one_has_seen_is_guarded_by_both() -> None:
    world = World(2)
    world.bridges[0].guard.station_learned(9, b"\x52" * 6, None, world.now, moved=False)
    world.run(3)
    assert len(world.forwarders(9)) == 1


def test_vlans_are_bounded_and_forgotten() -> None:
    world = World(1)
    (only,) = world.bridges
    for vlan in range(1, 4000):
        only.guard.station_learned(vlan, b"\x52" * 6, None, world.now, moved=False)
    assert len(only.guard.segments) == MAX_VLANS
    world.run(302)
    assert set(only.guard.segments) == {0}


def test_lan_host_forges_nothing() -> None:
    """It makes up beacons, and plays those of others back on another LAN, later."""
    world = World(2)
    here, there = world.bridges
    there.lan = "elsewhere"
    random = Random(1)
    world.run(4)
    old = there.heard_by_lan[0][22:38]
    for number in range(200):
        made_up = random.randbytes(16)
        here.guard.receive_beacon(0, made_up if number % 10 else old, world.now)
        world.run(0.01)
    assert len(world.forwarders()) == 2
    assert here.asked_all <= 4 * 5


def test_member_that_hears_no_beacons_confirms_and_claims_nothing() -> None:
    world = World(2)
    here, _ = world.bridges
    stranger = b"\x99" * 32
    nonce = b"n" * 16
    here.guard.receive_beacon(0, nonce, world.now)
    questions: list[Sighted] = []
    while (output := here.guard.poll_output()) is not None:
        if isinstance(output, TellBridges):
            assert isinstance(output.message, Sighted)
            questions.append(output.message)
    (asked,) = questions
    assert nonce not in (asked.tag, asked.tag[::-1])
    here.guard.receive_confirmed(stranger, 0, asked.tag, world.now)
    here.guard.receive_sighted(stranger, 0, asked.tag, world.now, bridge=True)
    assert not here.guard.segments[0].neighbours


def test_member_without_the_right_blocks_beside_a_bridge_and_is_never_elected() -> None:
    world = World(1, others=3)
    world.bridges[3].lan = "elsewhere"
    world.run(3)
    bridge, *others, far = world.bridges
    assert world.forwarders() == [bridge, far]
    assert not any(one.heard_by_lan for one in others)
    assert far.due == float("inf")
    world.kill(bridge)
    world.run(3)
    assert world.forwarders() == [*others, far]


def test_closing_unblocks() -> None:
    world = World(2)
    world.run(3)
    (blocked,) = (bridge for bridge in world.bridges if not bridge.forwards())
    blocked.guard.close()
    world._collect()
    assert blocked.blocked == frozenset()


def test_beacon_that_comes_back_is_a_loop_of_the_lan() -> None:
    world = World(1)
    (only,) = world.bridges
    world.run(1)
    only.guard.receive_beacon(0, only.heard_by_lan[-1][22:38], world.now)
    (loop,) = only.guard.loops.active
    assert (loop.kind, loop.vlan, loop.count) == (LoopKind.BEACON_RETURNED, 0, 1)
    assert only.forwards()
    world.run(31)
    assert not only.guard.loops.active


def test_station_that_flaps_is_a_loop_and_one_that_moves_is_none() -> None:
    (only,) = World(1).bridges
    mac, other = b"\x52" * 6, b"\x53" * 6
    times = [1000.0 + step for step in range(20)]
    for before, now in pairwise(times):
        only.guard.station_learned(7, mac, None, now, moved=True)
        if now - before > 5:
            only.guard.station_learned(7, other, None, now, moved=True)
    (loop,) = only.guard.loops.active
    assert (loop.kind, loop.vlan, loop.mac) == (LoopKind.STATION_FLAPS, 7, mac)
