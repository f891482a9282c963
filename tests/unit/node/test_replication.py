"""Whose broadcasts a node carries on, for whom, and what others may ask of it."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from l2mesh.datapath.interface import (
    Activity,
    AssignmentUnknown,
    NeedReplicators,
    RemoveSource,
    SetAssignment,
    SetReplication,
    SetSource,
    StopReplication,
)
from l2mesh.identity import Identity
from l2mesh.network.join import JoinMachine
from l2mesh.node.core import Core
from l2mesh.node.joined import Joined, Options
from l2mesh.node.networks import Networks
from l2mesh.node.peer import Peer
from l2mesh.node.replication import FOLLOW_S, SILENT_S, Replication
from l2mesh.wire.message import Message, Replicate, Replicating
from tests.unit.network.authority import Authority

GENERATION = 7


@dataclass
class FakePeer:
    """As much of a peer as is asked for."""

    identity: Identity
    is_live: bool = True

    @property
    def fingerprint(self) -> bytes:
        return self.identity.fingerprint

    @property
    def public(self) -> object:
        return self.identity.public


@dataclass
class Bench:
    """A node in one network with members who have met it; some have the right `relay`."""

    relays: int = 2
    others: int = 2
    is_relay: bool = True
    above: int = 1
    authority: Authority = field(default_factory=Authority)
    now: float = 1000.0
    commands: list[Any] = field(default_factory=list)
    said: list[tuple[bytes, Message]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    wanted: list[bytes] = field(default_factory=list)
    activities: dict[bytes, Activity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        authority = self.authority
        self.me = authority.identity()
        self.members = [authority.identity() for _ in range(self.relays + self.others)]
        state = authority.state()
        state.take_config(authority.config(replicate_above=self.above))
        own = authority.credential(self.me, rights=("relay",) if self.is_relay else ())
        state.take_credential(own, self.me.fingerprint)
        for number, member in enumerate(self.members):
            rights = ("relay",) if number < self.relays else ()
            credential = authority.credential(member, rights=rights)
            state.roster.put(state.roster_entry(credential, member.public.encode()))
        self.network = authority.network
        self.joined = Joined(state, JoinMachine(self.network, authority.crypto))
        self.joined.port = cast("Any", SimpleNamespace())
        for entry in state.roster:
            self.joined.meetings.accepted[entry.credential.fingerprint] = entry.credential
        self.peers = {one.fingerprint: FakePeer(one) for one in self.members}
        settings = SimpleNamespace(
            identity=self.me,
            unix_now=lambda: 0.0,
            activity=lambda name: self.activities.get(name, Activity()),
        )
        core = SimpleNamespace(
            peers=self.peers,
            settings=settings,
            emit=self.commands.append,
            refuse=self.refused.append,
            send=lambda peer, message, now: self.said.append((peer.fingerprint, message)),
        )
        networks = SimpleNamespace(
            joined={self.network: self.joined},
            connect_member=lambda joined, name, now: self.wanted.append(name),
        )
        self.part = Replication(cast("Core", core), cast("Networks", networks), GENERATION)
        self.pass_time(0)

    def pass_time(self, seconds: float) -> None:
        """In steps of what the part asks for."""
        end = self.now + seconds
        while (due := self.part.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.part.handle_timeout(self.now)
        self.now = end

    def hear(self, member: Identity, message: Message) -> None:
        peer = cast("Peer", self.peers.get(member.fingerprint) or FakePeer(member))
        self.part.handlers()[type(message)](peer, message, self.now)

    def ask(self, source: Identity, number: int, *receivers: Identity) -> list[Replicating]:
        """What it answers to a request to carry on."""
        self.said.clear()
        self.commands.clear()
        names = tuple(one.fingerprint for one in receivers)
        message = Replicate(network=self.network, assignment=number, receivers=names)
        self.hear(source, message)
        return [one for name, one in self.said if isinstance(one, Replicating)]

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.commands if isinstance(one, kind)]


# --- for others -----------------------------------------------------------------------------------


def test_a_member_with_the_right_carries_on_what_it_is_asked_to() -> None:
    bench = Bench()
    source, one, other, _ = bench.members
    [answer] = bench.ask(source, 5, one, other)
    assert (answer.assignment, answer.missing) == (5, ())
    names = (one.fingerprint, other.fingerprint)
    assert bench.commands == [SetAssignment(bench.network, source.fingerprint, 5, names)]
    assert not bench.ask(source, 5)
    assert bench.commands == [SetAssignment(bench.network, source.fingerprint, 5, ())]
    assert not bench.part.carried


@pytest.mark.parametrize("why", ["right", "operator", "number"])
def test_who_may_or_will_not_says_so(why: str) -> None:
    bench = Bench(is_relay=why != "right")
    source, one, *_ = bench.members
    if why == "operator":
        bench.joined.options = Options(replicate=False)
    answers = bench.ask(source, 0 if why == "number" else 5, one)
    assert [each.assignment for each in answers] == [0]
    assert not bench.of(SetAssignment) and not bench.part.carried


def test_a_newcomer_is_known_to_the_engine_before_it_is_carried_on_for() -> None:
    bench = Bench()
    newcomer = bench.authority.identity()
    bench.peers[newcomer.fingerprint] = FakePeer(newcomer)
    state = bench.joined.state
    data = bench.authority.credential(newcomer)
    entry = state.roster_entry(data, newcomer.public.encode())
    bench.joined.meetings.accepted[newcomer.fingerprint] = entry.credential
    [answer] = bench.ask(newcomer, 5, bench.members[0])
    assert answer.assignment == 5
    assert [type(one) for one in bench.commands] == [SetSource, SetAssignment]


def test_strangers_and_other_networks_are_not_heard() -> None:
    bench = Bench()
    stranger, (member, *_) = bench.authority.identity(), bench.members
    assert not bench.ask(stranger, 5, member)
    message = Replicate(network=bench.network + 1, assignment=5, receivers=())
    bench.hear(member, message)
    assert bench.refused == ["not_a_member"] * 2
    assert not bench.commands and not bench.part.carried


def test_a_source_has_one_assignment_however_often_it_asks() -> None:
    bench = Bench()
    source, *others = bench.members
    for number in range(1, 500):
        bench.ask(source, number, *others)
    assert list(bench.part.carried) == [(bench.network, source.fingerprint)]


def test_whom_it_does_not_reach_it_says_once_and_again_when_reached() -> None:
    bench = Bench()
    source, one, other, _ = bench.members
    bench.ask(source, 5, one, other)
    bench.said.clear()
    for member in (one, other, bench.members[3]):  # the last one is nobody's concern
        bench.part.connect_failed(cast("Peer", bench.peers[member.fingerprint]), bench.now)
    bench.pass_time(1.0)
    missing = tuple(sorted((one.fingerprint, other.fingerprint)))
    expected = Replicating(network=bench.network, assignment=5, missing=missing)
    assert bench.said == [(source.fingerprint, expected)]
    peer = cast("Peer", bench.peers[one.fingerprint])
    bench.part.session_live(peer, 1, bench.now, initiator=True)
    bench.pass_time(1.0)
    assert len(bench.said) == 2
    assert cast("Replicating", bench.said[1][1]).missing == (other.fingerprint,)


def test_an_engine_that_has_forgotten_has_the_source_ask_again() -> None:
    bench = Bench()
    source, one, *_ = bench.members
    bench.ask(source, 5, one)
    bench.said.clear()
    bench.part.handle_upcall(AssignmentUnknown(source.fingerprint, bench.network), bench.now)
    [(name, answer)] = bench.said
    assert name == source.fingerprint and cast("Replicating", answer).assignment == 0
    assert not bench.part.carried
    bench.part.handle_upcall(AssignmentUnknown(b"nobody", bench.network), bench.now)


# --- our own --------------------------------------------------------------------------------------


def test_rosters_that_differ_are_no_matter_because_the_source_names_whom() -> None:
    """A replicator is asked for members that it may not know; those it does not reach it names."""
    bench = Bench()
    source, one, *_ = bench.members
    newcomer = bench.authority.identity()
    [answer] = bench.ask(source, 5, one, newcomer)
    assert answer.assignment == 5
    [command] = bench.of(SetAssignment)
    assert command.members == (one.fingerprint, newcomer.fingerprint)


def test_members_are_believed_and_nobody_else() -> None:
    bench = Bench()
    told = {one.peer: one for one in bench.of(SetSource)}
    assert set(told) == {one.fingerprint for one in bench.members}
    assert [told[one.fingerprint].relay for one in bench.members] == [True, True, False, False]
    gone = bench.members[1]
    bench.commands.clear()
    bench.joined.state.roster.remove([gone.fingerprint])
    bench.joined.meetings.accepted.pop(gone.fingerprint)
    bench.pass_time(FOLLOW_S)
    assert bench.of(RemoveSource) == [RemoveSource(bench.network, gone.fingerprint)]
    assert not bench.of(SetSource)


def test_a_small_network_or_one_without_volunteers_replicates_nothing() -> None:
    for bench in (Bench(above=250), Bench(relays=0), Bench(above=0)):
        assert not bench.of(SetReplication)
        bench.part.handle_upcall(NeedReplicators(bench.network), bench.now)
        assert not bench.said


def ready() -> Bench:
    """A node whose two replicators have agreed."""
    bench = Bench()
    bench.part.handle_upcall(NeedReplicators(bench.network), bench.now)
    asked = {name: one for name, one in bench.said if isinstance(one, Replicate)}
    assert set(asked) == {one.fingerprint for one in bench.members[:2]} == set(bench.wanted)
    for name, message in asked.items():
        bench.hear(
            bench.peers[name].identity,
            Replicating(network=bench.network, assignment=message.assignment),
        )
    assert sorted(bench.part.replicators(bench.network)) == sorted(asked)
    return bench


def test_replicators_that_agree_are_sent_to_alone() -> None:
    bench = ready()
    last = bench.of(SetReplication)[-1]
    assert last.generation == GENERATION
    assert {peer for peer, _ in last.targets} == {one.fingerprint for one in bench.members[:2]}
    assert all(number for _, number in last.targets)


def test_answers_of_those_who_were_not_asked_change_nothing() -> None:
    bench = ready()
    before = len(bench.commands)
    for member in (bench.members[3], bench.authority.identity()):
        for network in (bench.network, 5):
            bench.hear(member, Replicating(network=network, assignment=1))
            bench.hear(member, Replicating(network=network, assignment=0))
    assert len(bench.commands) == before


def test_a_replicator_that_falls_silent_is_done_without() -> None:
    bench = ready()
    gone, other, *rest = (one.fingerprint for one in bench.members)

    def send_on(until: float) -> None:
        while bench.now < until:
            silent = Activity(sent=bench.now, received=1000.0, frame=bench.now)
            heard = Activity(sent=bench.now, received=bench.now + 0.01, frame=bench.now)
            bench.activities = {gone: silent, other: heard}
            bench.pass_time(0.25)

    send_on(bench.now + SILENT_S + 1.0)
    assert gone not in bench.part.replicators(bench.network)
    targets = dict(bench.of(SetReplication)[-1].targets)
    assert targets[gone] == 0, "it may be there for others"
    assert targets[other] > 0
    assert set(targets) | {gone, other} >= {gone, other} and set(targets) <= {gone, other, *rest}


def test_a_lost_session_is_a_replicator_lost() -> None:
    bench = ready()
    gone = bench.members[0].fingerprint
    bench.activities = {gone: Activity(sent=bench.now, received=bench.now, frame=bench.now)}
    bench.part.session_lost(cast("Peer", bench.peers[gone]), bench.now)
    assert dict(bench.of(SetReplication)[-1].targets)[gone] == 0


def test_after_ten_quiet_minutes_nobody_is_used() -> None:
    bench = ready()
    bench.activities = {one.fingerprint: Activity(frame=bench.now) for one in bench.members[:2]}
    bench.pass_time(601.0)
    assert bench.part.replicators(bench.network) == []
    assert bench.of(SetReplication)[-1].targets is None


def test_it_ends_when_the_network_is_small_again() -> None:
    bench = ready()
    bench.joined.state.take_config(bench.authority.config(2, replicate_above=100))
    bench.pass_time(FOLLOW_S)
    assert bench.of(StopReplication) == [StopReplication(bench.network)]
    assert bench.part.replicators(bench.network) == []


def test_a_network_that_was_left_is_forgotten() -> None:
    bench = ready()
    cast("Any", bench.part.networks).joined.clear()
    bench.pass_time(1.0)
    assert bench.part.next_timeout() is None
    bench.hear(bench.members[0], Replicating(network=bench.network, assignment=1))
