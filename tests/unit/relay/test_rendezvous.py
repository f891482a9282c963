from itertools import count

import pytest

from l2mesh.datapath.interface import Endpoint, RemoveRelay, SetRelay
from l2mesh.relay.rendezvous import MAX_WAITING, Outcome, Rendezvous
from l2mesh.wire.message import (
    RelayFailed,
    RelayFailure,
    RelayGone,
    RelayOffer,
    RelayReady,
)

A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))


def at(number: int) -> Endpoint:
    return Endpoint("192.0.2.1", number)


def planet(*clients: bytes, paths: bool = True) -> Rendezvous:
    numbers = count(1)
    rendezvous = Rendezvous(lambda size: next(numbers).to_bytes(size, "big"))
    for client in clients:
        rendezvous.client_here(client, client * 4)
        if paths:
            rendezvous.client_path_changed(client, at(client[0]), 0.0)
    return rendezvous


def offered(outcome: Outcome) -> int:
    ((_, message),) = outcome.messages
    assert isinstance(message, RelayOffer)
    return message.relay


def ready(rendezvous: Rendezvous, one: bytes, other: bytes, now: float = 0.0) -> int:
    relay = offered(rendezvous.request(one, other, now))
    rendezvous.answer(other, relay, now, accept=True)
    return relay


def test_relay_stands_once_the_peer_accepts() -> None:
    rendezvous = planet(A, B)
    asked = rendezvous.request(A, B, 0.0)
    assert asked.messages == [(B, RelayOffer(relay=1, peer=A * 4))] and not asked.commands
    answered = rendezvous.answer(B, 1, 0.1, accept=True)
    assert answered.commands == [SetRelay(1, at(1), at(2), A, B)]
    assert answered.messages == [
        (A, RelayReady(relay=1, peer=B)),
        (B, RelayReady(relay=1, peer=A)),
    ]
    assert rendezvous.relays == 1


def test_asking_again_yields_the_same_relay() -> None:
    rendezvous = planet(A, B)
    relay = ready(rendezvous, A, B)
    assert rendezvous.request(B, A, 1.0).messages == [(B, RelayReady(relay=relay, peer=A))]
    assert rendezvous.relays == 1


def test_asking_again_reminds_the_other_client_now_and_then() -> None:
    rendezvous = planet(A, B)
    relay = ready(rendezvous, A, B, now=10.0)
    to_a, to_b = (A, RelayReady(relay=relay, peer=B)), (B, RelayReady(relay=relay, peer=A))
    heard = [rendezvous.request(A, B, 10.0 + second).messages for second in (1, 3, 4, 7)]
    assert heard == [[to_a], [to_a, to_b], [to_a], [to_a, to_b]]


def test_both_asking_at_once_is_consent_of_both() -> None:
    rendezvous = planet(A, B)
    relay = offered(rendezvous.request(A, B, 0.0))
    crossed = rendezvous.request(B, A, 0.0)
    assert {client for client, _ in crossed.messages} == {A, B}
    assert crossed.commands == [SetRelay(relay, at(1), at(2), A, B)]
    assert rendezvous.answer(B, relay, 0.1, accept=True).messages == []


def test_nobody_answers_for_another() -> None:
    rendezvous = planet(A, B, C)
    relay = offered(rendezvous.request(A, B, 0.0))
    for other in (A, C):
        assert rendezvous.answer(other, relay, 0.1, accept=True) == Outcome()
    assert rendezvous.relays == 0


def test_refusal_and_absence_are_told() -> None:
    rendezvous = planet(A, B)
    for absent in (C, A):
        failed = RelayFailed(peer=absent, reason=RelayFailure.ABSENT)
        assert rendezvous.request(A, absent, 0.0).messages == [(A, failed)]
    relay = offered(rendezvous.request(A, B, 0.0))
    refused = RelayFailed(peer=B, reason=RelayFailure.REFUSED)
    assert rendezvous.answer(B, relay, 0.1, accept=False).messages == [(A, refused)]
    assert rendezvous.request(C, A, 0.0) == Outcome()


def test_leg_waits_for_a_proven_path() -> None:
    rendezvous = planet(A, B, paths=False)
    relay = offered(rendezvous.request(A, B, 0.0))
    assert rendezvous.answer(B, relay, 0.1, accept=True) == Outcome()
    assert rendezvous.client_path_changed(A, at(10), 0.2) == Outcome()
    proven = rendezvous.client_path_changed(B, at(20), 0.3)
    assert proven.commands == [SetRelay(relay, at(10), at(20), A, B)]
    assert len(proven.messages) == 2


def test_legs_move_with_the_session() -> None:
    rendezvous = planet(A, B)
    relay = ready(rendezvous, A, B)
    moved = rendezvous.client_path_changed(B, at(77), 5.0)
    assert moved == Outcome([SetRelay(relay, at(1), at(77), A, B)], [])
    assert rendezvous.client_path_changed(B, None, 6.0) == Outcome()
    assert rendezvous.client_path_changed(B, at(77), 7.0) == Outcome()


def test_relays_die_with_either_session() -> None:
    rendezvous = planet(A, B, C)
    relay = ready(rendezvous, A, B)
    pending = offered(rendezvous.request(C, B, 0.0))
    gone = rendezvous.client_gone(B, 1.0)
    assert gone.commands == [RemoveRelay(relay)]
    assert gone.messages == [
        (A, RelayGone(relays=(relay,))),
        (C, RelayFailed(peer=B, reason=RelayFailure.ABSENT)),
    ]
    assert rendezvous.answer(B, pending, 1.0, accept=True) == Outcome()
    assert rendezvous.client_gone(B, 2.0) == Outcome() and rendezvous.relays == 0


def sweep(rendezvous: Rendezvous, until: float) -> Outcome:
    outcome = Outcome()
    while (due := rendezvous.next_timeout()) is not None and due <= until:
        more = rendezvous.handle_timeout(due)
        outcome.commands += more.commands
        outcome.messages += more.messages
    return outcome


@pytest.mark.parametrize("first", [A, B])
def test_relay_lives_90_s_after_the_last_renewal_of_each(first: bytes) -> None:
    """Who wants nothing any more gets nothing, however much the other wants to send."""
    rendezvous = planet(A, B)
    relay = ready(rendezvous, A, B)
    for client in (A, B):
        assert rendezvous.renew(client, (relay,), 60.0) == Outcome()
    assert sweep(rendezvous, 149.0) == Outcome()
    other = B if first == A else A
    for moment in (90.0, 120.0, 149.0):
        assert rendezvous.renew(other, (relay,), moment) == Outcome()
    expired = sweep(rendezvous, 151.0)
    assert expired.commands == [RemoveRelay(relay)]
    assert [client for client, _ in expired.messages] == [A, B]
    assert rendezvous.next_timeout() is None


def test_renewing_what_is_not_there_is_answered() -> None:
    rendezvous = planet(A, B, C)
    relay = ready(rendezvous, A, B)
    assert rendezvous.renew(C, (relay, 99), 1.0).messages == [(C, RelayGone(relays=(relay, 99)))]


def test_unanswered_offer_ends_after_five_seconds() -> None:
    rendezvous = planet(A, B)
    rendezvous.request(A, B, 0.0)
    failed = RelayFailed(peer=B, reason=RelayFailure.ABSENT)
    assert sweep(rendezvous, 5.0).messages == [(A, failed)]


def test_four_offers_at_a_time_and_the_rest_in_turn() -> None:
    others = [number.to_bytes(2, "big") * 16 for number in range(4096, 4106)]
    rendezvous = planet(A, *others)
    offers = [rendezvous.request(A, other, 0.0) for other in others]
    assert [len(offer.messages) for offer in offers] == [1] * 4 + [0] * 6
    for expected in others[4:]:
        first = offers.pop(0)
        ((client, _),) = first.messages
        answered = rendezvous.answer(client, offered(first), 0.1, accept=True)
        last_client, message = answered.messages[-1]
        assert last_client == expected and isinstance(message, RelayOffer)
        offers.append(Outcome([], [(last_client, message)]))
        offers = [offer for offer in offers if offer.messages]


def test_requests_that_wait_are_bounded() -> None:
    others = [number.to_bytes(2, "big") * 16 for number in range(4096, 4096 + MAX_WAITING + 6)]
    rendezvous = planet(A, *others)
    told = [rendezvous.request(A, other, 0.0).messages for other in others]
    failed = RelayFailed(peer=others[-1], reason=RelayFailure.LIMIT)
    assert told[-1] == [(A, failed)]
    assert sum(not messages for messages in told) == MAX_WAITING


def test_a_client_has_at_most_1024_relays() -> None:
    others = [number.to_bytes(2, "big") * 16 for number in range(4096, 4096 + 1025)]
    rendezvous = planet(A, *others)
    for other in others[:1024]:
        ready(rendezvous, A, other)
    failed = RelayFailed(peer=others[-1], reason=RelayFailure.LIMIT)
    assert rendezvous.request(A, others[-1], 0.0).messages == [(A, failed)]
    refused = RelayFailed(peer=A, reason=RelayFailure.LIMIT)
    assert rendezvous.request(others[-1], A, 0.0).messages == [(others[-1], refused)]


def test_who_may_not_be_relayed_any_more_is_parted() -> None:
    rendezvous = planet(A, B, C)
    relay, offer = ready(rendezvous, A, B), offered(rendezvous.request(A, C, 0.0))
    gone = RelayGone(relays=(relay,))
    parted = rendezvous.part(B, A, 1.0)
    assert parted.commands == [RemoveRelay(relay)]
    assert parted.messages == [(A, gone), (B, gone)]
    failed = RelayFailed(peer=C, reason=RelayFailure.REFUSED)
    assert rendezvous.part(A, C, 1.0).messages == [(A, failed)]
    assert not len(rendezvous) and not rendezvous.pairs()
    assert rendezvous.answer(C, offer, 1.1, accept=True) == Outcome()
    assert rendezvous.part(A, C, 1.2) == Outcome()
