"""What somebody who joins is told, and what everybody online hears of a change."""

import shutil
from pathlib import Path

import pytest

from controller import door, push
from controller.members import SESSION_S
from controller.model import Network
from controller.settings import change_settings
from l2mesh.address import network_id
from l2mesh.datapath.interface import Endpoint
from l2mesh.datapath.interface import Path as DataPath
from l2mesh.path.need import IDLE_S
from l2mesh.wire.message import (
    Config,
    Credential,
    JoinReply,
    Leave,
    Message,
    Revocations,
    Roster,
    Want,
)
from tests.unit.controller.fakes import NOW, UNIX_NOW, Node, Person, World

LATER = NOW + 10


def told(person: Person) -> list[str]:
    return [reply.status.value for reply in person.take(JoinReply)]


def joined(world: World, network: Network) -> Node:
    """A member with everything that it was sent, as soon as it was."""
    person = world.person()
    world.join(person, network)
    if (due := world.members.next_timeout()) is not None:
        world.members.handle_timeout(due)
    node = Node(world, person, network)
    node.read()
    return node


def set_(world: World, network: Network, **values: str) -> None:
    world.store.set_network(network.id, lambda settings: change_settings(settings, values))


# --- joining ------------------------------------------------------------------------------------


def test_a_stranger_waits_and_is_told_when_it_is_admitted(world: World) -> None:
    network, person = world.network(pools="10.9.0.0/24"), world.person()
    world.join(person, network, name="box")
    assert [type(m) for m in person.inbox] == [JoinReply]
    assert told(person) == ["pending"]
    assert world.members.is_online(network.id, person.fingerprint)
    world.store.authorize(network.id, person.fingerprint, person.address)
    world.members.refresh(LATER)
    node = Node(world, person, network)
    node.read()
    assert node.statuses == ["ok"]
    assert node.state.credential is not None
    assert node.state.credential.addresses == ("10.9.0.1/24",)
    assert node.state.credential.name == "box"
    assert node.roster == {person.fingerprint}
    assert world.offered == [person]


def test_a_public_network_admits_at_once_and_sends_everything(world: World) -> None:
    network, person = world.network(public="true"), world.person()
    world.join(person, network)
    assert [type(m) for m in person.inbox] == [JoinReply, Config, Credential, Roster]
    assert told(person) == ["ok"]


def test_a_member_that_holds_everything_is_only_answered(world: World) -> None:
    network = world.network(public="true")
    node = joined(world, network)
    world.join(node.person, network, **node.holds)
    assert [type(m) for m in node.person.inbox] == [JoinReply]
    assert world.store.changed == set()


def test_a_token_admits_and_a_bad_one_is_said_to_be_bad(world: World) -> None:
    network, one, two = world.network(), world.person(), world.person()
    token, expires = b"t" * 32, int(UNIX_NOW) + 60
    world.store.add_token(network.id, token, uses=1, expires=expires, unix_now=UNIX_NOW)
    world.join(one, network, token=token)
    assert told(one) == ["ok"]
    world.join(two, network, token=token)
    [reply] = two.take(JoinReply)
    assert reply.status == "pending" and "token" in reply.reason


def test_an_unknown_network_is_not_found(world: World) -> None:
    person = world.person()
    network = world.network()
    world.store.delete_network(network.id)
    world.join(person, network)
    assert told(person) == ["not_found"]
    assert not world.members.knows(person.peer)


def test_an_inadmissible_identity_is_denied(world: World) -> None:
    network, person = world.network(public="true"), world.person()
    world.crypto.addresses[person.fingerprint] = bytes(5)  # no address that a node can have
    world.join(person, network)
    assert told(person) == ["denied"]
    assert world.store.members(network.id) == []


def test_names_are_made_harmless(world: World) -> None:
    network, person = world.network(public="true"), world.person()
    world.join(person, network, name="  two   words ")
    assert world.store.members(network.id)[0].name == "two words"


def test_somebody_authorised_by_fingerprint_is_admitted_when_it_comes(world: World) -> None:
    network, person = world.network(pools="10.9.0.0/24"), world.person()
    world.store.authorize(network.id, person.fingerprint, person.address)
    assert world.members.knows(person.peer) is False
    first = joined(world, network)
    assert first.statuses == ["pending"]
    world.join(person, network, LATER, name="box")
    node = Node(world, person, network)
    node.read()
    assert node.statuses == ["ok"] and node.roster == {person.fingerprint}
    assert node.state.credential is not None and node.state.credential.name == "box"


# --- what strangers cost ------------------------------------------------------------------------


def test_new_people_wait_their_turn_and_members_do_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MAX_QUEUE", 50)
    network = world.network(public="true")
    known = joined(world, network)
    crowd = [world.person() for _ in range(door.NEW_BURST + 60)]
    for person in crowd:
        world.join(person, network)
    assert len(world.store.members(network.id)) == door.NEW_BURST
    # those beyond the queue are told to come again
    refused = [person for person in crowd if person.inbox]
    assert [told(person) for person in refused] == [["error"]] * 11
    world.join(known.person, network)
    assert told(known.person)[0] == "ok"
    now = NOW
    while (due := world.members.next_timeout()) is not None:
        now = max(now, due)
        world.members.handle_timeout(now)
    assert now - NOW == pytest.approx(50 / door.NEW_PER_S, rel=0.2)
    assert len(world.store.members(network.id)) == 1 + door.NEW_BURST - 1 + 50


def test_a_peer_that_repeats_join_too_often_is_ignored(world: World) -> None:
    network = world.network()
    person = world.person()
    for _ in range(door.JOINS_BURST + 5):
        world.join(person, network)
    assert len(told(person)) == door.JOINS_BURST
    assert world.refused == ["join_rate"] * 5


# --- changes ------------------------------------------------------------------------------------


def test_everybody_hears_of_a_new_member_by_a_delta(world: World) -> None:
    network = world.network(public="true")
    one = joined(world, network)
    base = one.state.roster.revision
    two = joined(world, network)
    world.members.refresh(LATER)
    [delta] = [m for m in one.person.inbox if isinstance(m, Roster)]
    assert delta.base == base and len(delta.members) == 1 and delta.removed == ()
    one.read()
    assert one.roster == two.roster == {one.person.fingerprint, two.person.fingerprint}


def test_a_deauthorised_member_is_told_and_the_others_hear_of_revocations_first(
    world: World,
) -> None:
    network = world.network(public="true")
    nodes = [joined(world, network) for _ in range(3)]
    world.members.refresh(LATER)
    for node in nodes:
        node.read()
    bad, *good = nodes
    order: list[tuple[bytes, Message]] = []
    for node in nodes:
        node.person.inbox = _Recorder(order, node.person.fingerprint)
    world.store.deauthorize(network.id, bad.person.fingerprint)
    world.members.refresh(LATER + 1)
    kinds = [type(message) for _, message in order]
    assert kinds[:3] == [Revocations] * 3 and Revocations not in kinds[3:]
    assert {who for who, m in order if isinstance(m, Revocations)} == {
        n.person.fingerprint for n in nodes
    }
    bad.read()
    assert bad.statuses[-1] == "denied" and not bad.state.is_member(UNIX_NOW)
    for node in good:
        node.read()
        assert node.roster == {n.person.fingerprint for n in good}
    world.join(bad.person, network, LATER + 2, **bad.holds)
    assert told(bad.person) == ["denied"]
    world.store.authorize(network.id, bad.person.fingerprint, bad.person.address)
    world.members.refresh(LATER + 3)
    bad.read()
    assert bad.state.is_member(UNIX_NOW) and len(bad.roster) == 3 and bad.lost == 0


class _Recorder(list[Message]):
    """An inbox that shares one order of arrival with others."""

    def __init__(self, order: list[tuple[bytes, Message]], who: bytes) -> None:
        super().__init__()
        self.order, self.who = order, who

    def append(self, message: Message) -> None:
        super().append(message)
        self.order.append((self.who, message))


def test_a_deleted_member_is_told_and_may_ask_again(world: World) -> None:
    network = world.network()
    node = joined(world, network)
    world.store.authorize(network.id, node.person.fingerprint, node.person.address)
    world.members.refresh(LATER)
    node.read()
    world.store.delete_member(network.id, node.person.fingerprint)
    world.members.refresh(LATER + 1)
    node.read()
    assert node.statuses[-1] == "denied" and not node.state.is_member(UNIX_NOW)
    assert not world.members.is_online(network.id, node.person.fingerprint)
    world.join(node.person, network, LATER + 2, **node.holds)
    assert told(node.person) == ["pending"]
    world.store.authorize(network.id, node.person.fingerprint, node.person.address)
    world.members.refresh(LATER + 3)
    node.read()
    assert node.state.is_member(UNIX_NOW)


def test_a_changed_network_reaches_everybody_online(world: World) -> None:
    network = world.network(public="true")
    nodes = [joined(world, network) for _ in range(2)]
    set_(world, network, mtu="1400")
    world.members.refresh(LATER)
    for node in nodes:
        node.read()
        assert node.state.config is not None and node.state.config.mtu == 1400


def test_a_deleted_network_voids_every_credential(world: World) -> None:
    network = world.network(public="true")
    node = joined(world, network)
    world.store.delete_network(network.id)
    world.members.refresh(LATER)
    node.read()
    assert node.statuses[-1] == "not_found" and not node.state.is_member(UNIX_NOW)


def test_many_changes_in_a_row_make_few_messages_and_the_last_arrives(world: World) -> None:
    network = world.network(public="true")
    one = joined(world, network)
    world.members.refresh(LATER)
    one.read()
    for number in range(50):
        other = world.person()
        world.join(other, network, LATER + 1 + number / 1000)
    assert len(one.person.inbox) <= 2
    due = world.members.next_timeout()
    assert due is not None and due <= LATER + 1.2
    world.members.handle_timeout(due)
    assert world.members.next_timeout() is None
    one.read()
    assert len(one.roster) == 51 and one.lost == 0


def test_nobody_is_told_that_it_is_a_member_before_the_others_hear_of_it(world: World) -> None:
    network = world.network(public="true")
    one = joined(world, network)
    two, three = world.person(), world.person()
    world.join(two, network, LATER)
    world.join(three, network, LATER + 0.05)
    assert told(two) == ["ok"] and not three.inbox
    one.read()
    assert one.roster == {one.person.fingerprint, two.fingerprint}
    world.members.handle_timeout(LATER + 0.2)
    assert told(three) == ["ok"] and world.members.next_timeout() is None
    one.read()
    assert three.fingerprint in one.roster


def test_a_member_that_comes_again_waits_for_no_push(world: World) -> None:
    network = world.network(public="true")
    one = joined(world, network)
    world.join(world.person(), network, LATER)
    set_(world, network, mtu="1400")
    world.join(one.person, network, LATER + 0.01, **one.holds)
    assert told(one.person) == ["ok"]


def test_our_end_keeps_a_direct_path_as_long_as_members_join_by_it(world: World) -> None:
    network = world.network(public="true")
    one = joined(world, network)
    assert one.person.paths.needed_at == float("-inf")
    here = Endpoint("192.0.2.1", 9993)
    one.person.last_path = DataPath(here, relay=7)
    world.join(one.person, network, NOW + 1)
    assert one.person.paths.needed_at == float("-inf")
    one.person.last_path = DataPath(here)
    world.join(one.person, network, NOW + 2)
    assert one.person.paths.needed_at == NOW + 2 + SESSION_S - IDLE_S


def test_who_leaves_or_loses_its_session_is_offline(world: World) -> None:
    network = world.network(public="true")
    one, two = joined(world, network), joined(world, network)
    kept_before = one.person.paths.is_kept
    world.members.receive_leave(one.person.peer, Leave(network.id), NOW)
    assert (kept_before, one.person.paths.is_kept) == (True, False)
    world.members.session_lost(two.person.peer, NOW)
    for node in (one, two):
        assert not world.members.is_online(network.id, node.person.fingerprint)
        node.person.inbox.clear()
    set_(world, network, mtu="1400")
    world.members.refresh(LATER)
    assert one.person.inbox == [] == two.person.inbox


def test_a_member_that_was_away_gets_what_it_missed(world: World) -> None:
    network = world.network(public="true")
    one, two, three = (joined(world, network) for _ in range(3))
    world.members.refresh(LATER)
    one.read()
    world.members.session_lost(one.person.peer, NOW)
    world.store.deauthorize(network.id, two.person.fingerprint)
    four = joined(world, network)
    world.join(one.person, network, LATER, **one.holds)
    one.read()
    assert one.roster == {n.person.fingerprint for n in (one, three, four)}
    assert one.state.revocation_revision == 1 and one.lost == 0


def test_a_long_roster_comes_in_pieces_that_each_end_at_a_base(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "MAX_PIECE_ENTRIES", 3)
    network = world.network(public="true")
    nodes = [joined(world, network) for _ in range(10)]
    late = nodes[-1]
    assert len(late.roster) == 10
    world.members.session_lost(nodes[0].person.peer, NOW)
    nodes[0].person.inbox.clear()
    again = Node(world, nodes[0].person, network)
    world.join(again.person, network, LATER)
    rosters = [m for m in again.person.inbox if isinstance(m, Roster)]
    assert rosters[0].base == 0 and len(rosters) == 4
    # cut off after two pieces, it goes on from there
    again.person.inbox = [m for m in again.person.inbox if m not in rosters[2:]]
    again.read()
    world.store.deauthorize(network.id, nodes[1].person.fingerprint)
    world.join(again.person, network, LATER, **again.holds)
    assert all(m.base for m in again.person.inbox if isinstance(m, Roster))
    again.read()
    assert again.roster == {n.person.fingerprint for n in nodes} - {nodes[1].person.fingerprint}


# --- a restored backup --------------------------------------------------------------------------


def test_a_restored_controller_goes_above_what_members_hold(world: World, tmp_path: Path) -> None:
    network = world.network(public="true")
    good, bad = joined(world, network), joined(world, network)
    world.members.refresh(LATER)
    backup = _backup(world, tmp_path)
    set_(world, network, mtu="1400")
    world.store.set_member(network.id, good.person.fingerprint, {"bridge": "true"})
    world.store.deauthorize(network.id, bad.person.fingerprint)
    world.members.refresh(LATER + 1)
    good.read()
    before = dict(good.holds)
    world.take_up(backup)
    world.join(good.person, network, LATER + 2, **good.holds)
    [want] = [m for m in good.person.inbox if isinstance(m, Want)]
    assert want.revocations < before["revocations"]
    good.person.inbox.remove(want)
    assert {type(m) for m in good.person.inbox} == {JoinReply, Roster}
    good.person.inbox.clear()
    # the member answers WANT with what the controller itself had signed
    lost = Revocations(network.id, good.state.revocations_object)
    world.members.receive_revocations(good.person.peer, lost, LATER + 3)
    good.read()
    after = dict(good.holds)
    assert all(after[key] > before[key] for key in ("config", "serial", "roster"))
    assert good.state.revocation_revision > before["revocations"]
    assert good.roster == {good.person.fingerprint} and good.lost == 0
    bad.person.inbox.clear()
    world.join(bad.person, network, LATER + 4, **bad.holds)
    assert told(bad.person) == ["denied"]


def _backup(world: World, folder: Path) -> Path:
    """A copy of the database as it is now."""
    world.store.close()
    path = folder / "backup.db"
    shutil.copy(world.path, path)
    return path


def test_numbers_far_above_ours_are_not_believed(world: World) -> None:
    network = world.network(public="true")
    node = joined(world, network)
    before = world.store.network(network.id)
    world.join(node.person, network, LATER, roster=2**40, serial=2**50, epoch=2**60)
    assert world.store.network(network.id) == before


def test_strangers_raise_no_numbers_and_bring_no_revocations(world: World) -> None:
    network = world.network()
    before = world.store.network(network.id)
    person = world.person()
    world.join(person, network, roster=5, serial=5, epoch=5, revocations=5)
    assert told(person) == ["pending"]
    world.members.receive_revocations(person.peer, Revocations(network.id, b"x"), NOW)
    assert world.refused == ["unasked_revocations"]
    assert world.store.network(network.id) == before


def test_revocations_that_we_never_signed_are_refused(world: World) -> None:
    network = world.network(public="true")
    node = joined(world, network)
    world.join(node.person, network, LATER, **(node.holds | {"revocations": 9}))
    assert node.person.take(Want)
    world.members.receive_revocations(node.person.peer, Revocations(network.id, b"x"), LATER)
    assert world.refused == ["bad_revocations"]


def test_another_controllers_network_is_not_found(world: World) -> None:
    person = world.person()
    foreign = network_id(b"\x01\x02\x03\x04\x05", 1)
    world.join(person, Network(foreign, world.network().settings, world.network(number=2).numbers))
    assert told(person) == ["not_found"]
