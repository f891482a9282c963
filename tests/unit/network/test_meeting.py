"""Two members accept each other by credentials alone, and lose each other by revocation."""

from l2mesh.identity import Identity
from l2mesh.network.meeting import WAIT_FOR_REVOCATIONS_S, Accept, Action, Drop, Meetings, Say
from l2mesh.network.state import Refusal
from l2mesh.wire.message import Meet, Refuse, Revocations, Want
from tests.unit.network.authority import Authority

SESSION = 1


def member_of(authority: Authority, revision: int = 0) -> tuple[Identity, Meetings]:
    identity, state = authority.identity(), authority.state()
    state.take_config(authority.config())
    state.take_credential(authority.credential(identity), identity.fingerprint)
    if revision:
        state.take_revocations(authority.revocations(revision))
    return identity, Meetings(state)


def said(actions: list[Action]) -> list[object]:
    return [action.message for action in actions if isinstance(action, Say)]


def meet_of(meetings: Meetings, peer: Identity) -> Meet:
    (message,) = said(meetings.open(peer.fingerprint, SESSION, 0.0))
    assert isinstance(message, Meet)
    return message


def test_two_members_accept_each_other() -> None:
    authority = Authority()
    alice, at_alice = member_of(authority)
    bob, at_bob = member_of(authority)
    meet = meet_of(at_alice, bob)
    actions = at_bob.receive_meet(alice.fingerprint, SESSION, meet, now=0, unix_now=0)
    (answer,) = said(actions)
    assert isinstance(answer, Meet)
    assert isinstance(actions[-1], Accept)
    back = at_alice.receive_meet(bob.fingerprint, SESSION, answer, now=0, unix_now=0)
    assert [type(action) for action in back] == [Accept]
    assert alice.fingerprint in at_bob.accepted
    assert bob.fingerprint in at_alice.accepted


def test_a_meeting_is_opened_once_in_a_session() -> None:
    authority = Authority()
    _, meetings = member_of(authority)
    bob = authority.identity()
    assert meetings.open(bob.fingerprint, 1, 0.0)
    assert not meetings.open(bob.fingerprint, 1, 0.0)
    assert meetings.open(bob.fingerprint, 2, 0.0)


def test_a_stranger_hears_one_refusal_whatever_is_wrong() -> None:
    authority, other = Authority(1), Authority(2)
    _, meetings = member_of(authority)
    mallory = authority.identity()
    network = authority.network
    for credential in (b"", other.credential(mallory), authority.credential(authority.identity())):
        meet = Meet(network=network, revocations=0, credential=credential)
        actions = meetings.receive_meet(mallory.fingerprint, 1, meet, now=0, unix_now=0)
        assert said(actions) == [Refuse(network=network)]
        assert mallory.fingerprint not in meetings.accepted


def test_a_meet_that_knows_more_waits_for_the_revocations() -> None:
    authority = Authority()
    alice, at_alice = member_of(authority, revision=3)
    bob, at_bob = member_of(authority, revision=1)
    meet = meet_of(at_alice, bob)
    actions = at_bob.receive_meet(alice.fingerprint, SESSION, meet, now=0, unix_now=0)
    assert said(actions) == [Want(network=authority.network, revocations=1)]
    taught = at_alice.receive_want(bob.fingerprint, 1)
    (message,) = said(taught)
    assert isinstance(message, Revocations)
    assert at_bob.state.take_revocations(message.object)
    assert any(isinstance(each, Accept) for each in at_bob.revocations_changed(0, 0))


def test_a_meet_is_judged_by_what_is_held_when_nothing_comes() -> None:
    authority = Authority()
    alice, at_alice = member_of(authority, revision=3)
    bob, at_bob = member_of(authority)
    meet = meet_of(at_alice, bob)
    at_bob.receive_meet(alice.fingerprint, SESSION, meet, now=10, unix_now=0)
    due = at_bob.next_timeout()
    assert due == 10 + WAIT_FOR_REVOCATIONS_S
    assert not at_bob.handle_timeout(due - 0.1, 0)
    assert any(isinstance(each, Accept) for each in at_bob.handle_timeout(due, 0))
    assert at_bob.next_timeout() is None


def test_who_knows_less_is_taught_before_being_judged() -> None:
    authority = Authority()
    alice, at_alice = member_of(authority)
    bob, at_bob = member_of(authority, revision=2)
    meet = meet_of(at_alice, bob)
    actions = at_bob.receive_meet(alice.fingerprint, SESSION, meet, now=0, unix_now=0)
    assert isinstance(said(actions)[0], Revocations)
    assert isinstance(said(actions)[1], Meet)


def test_a_revoked_member_is_dropped_and_the_word_spreads() -> None:
    authority = Authority()
    _, at_bob = member_of(authority)
    alice, carol = authority.identity(), authority.identity()
    for peer in (alice, carol):
        meet = Meet(network=authority.network, revocations=0, credential=authority.credential(peer))
        at_bob.receive_meet(peer.fingerprint, SESSION, meet, now=0, unix_now=0)
    at_bob.state.take_revocations(authority.revocations(1, {alice.fingerprint: 1}))
    actions = at_bob.revocations_changed(0, 0)
    assert Drop(alice.fingerprint, Refusal.REVOKED) in actions
    told = [action.peer for action in actions if isinstance(action, Say)]
    assert told == [carol.fingerprint]
    assert list(at_bob.accepted) == [carol.fingerprint]


def test_heartbeats_tell_who_holds_less() -> None:
    authority = Authority()
    alice, at_alice = member_of(authority)
    bob, at_bob = member_of(authority)
    at_bob.receive_meet(alice.fingerprint, 1, meet_of(at_alice, bob), now=0, unix_now=0)
    assert not at_bob.receive_held(alice.fingerprint, 0)
    assert said(at_bob.receive_held(alice.fingerprint, 5)) == [
        Want(network=authority.network, revocations=0)
    ]
    assert not at_bob.receive_held(authority.identity().fingerprint, 5)


def test_an_expired_credential_is_dropped_in_time() -> None:
    authority = Authority()
    _, meetings = member_of(authority)
    alice = authority.identity()
    credential = authority.credential(alice, expires=100)
    meet = Meet(network=authority.network, revocations=0, credential=credential)
    meetings.receive_meet(alice.fingerprint, 1, meet, now=0, unix_now=50)
    assert not meetings.handle_timeout(1, 100)
    assert meetings.handle_timeout(2, 101) == [Drop(alice.fingerprint, Refusal.EXPIRED)]


def test_a_newer_credential_from_the_roster_renews_the_acceptance() -> None:
    authority = Authority()
    _, meetings = member_of(authority)
    alice = authority.identity()
    meet = Meet(network=authority.network, revocations=0, credential=authority.credential(alice))
    meetings.receive_meet(alice.fingerprint, 1, meet, now=0, unix_now=0)
    newer = meetings.state.judge(alice.fingerprint, authority.credential(alice, serial=2), 0)
    assert meetings.credential_changed(alice.fingerprint, newer) == [
        Accept(alice.fingerprint, newer)
    ]
    assert not meetings.credential_changed(alice.fingerprint, newer)


def test_a_meeting_that_missed_its_aim_is_repeated_and_ends() -> None:
    """One came while the other was no member yet: both get there by repeating, and then stop."""
    authority = Authority()
    alice, at_alice = member_of(authority)
    bob, at_bob = member_of(authority)
    meet_of(at_alice, bob)  # refused by bob, who was not ready
    meet = meet_of(at_bob, alice)
    taken = at_alice.receive_meet(bob.fingerprint, SESSION, meet, now=0.1, unix_now=0)
    assert not said(taken)  # alice has shown hers already; bob would wait for ever
    assert not at_bob.open(alice.fingerprint, SESSION, 0.5, is_missing=True)
    (again,) = said(at_bob.open(alice.fingerprint, SESSION, 2.2, is_missing=True))
    assert isinstance(again, Meet)
    (answer,) = said(at_alice.receive_meet(bob.fingerprint, SESSION, again, now=2.3, unix_now=0))
    assert isinstance(answer, Meet)
    last = at_bob.receive_meet(alice.fingerprint, SESSION, answer, now=2.4, unix_now=0)
    assert [type(action) for action in last] == [Accept]
