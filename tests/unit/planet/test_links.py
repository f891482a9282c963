"""Links between planets: two machines back to back, and a sister that lies."""

from random import Random

import pytest

from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import Endpoint, RemoveRelay, SetRelay
from l2mesh.identity import Identity
from l2mesh.relay.rendezvous import SWEEP_S, Outcome
from l2mesh.relay.table import LIFE_S, MAX_OFFERS, OFFER_S
from l2mesh.wire.message import (
    LinkAnswer,
    LinkGone,
    LinkRequest,
    Message,
    RelayFailed,
    RelayFailure,
    RelayGone,
    RelayOffer,
    RelayReady,
)
from planet.links import Links

CRYPTO = SodiumCrypto()
RANDOM = Random(5)
A, B, C = sorted(
    (Identity.generate(CRYPTO, RANDOM.randbytes).public for _ in range(3)),
    key=lambda public: public.fingerprint,
)
P, Q = b"P" * 32, b"Q" * 32
AT = {
    who: Endpoint(f"192.0.2.{number}", 9993)
    for number, who in enumerate((A.fingerprint, B.fingerprint, C.fingerprint, P, Q), start=1)
}


class Machine:
    """The links of one planet, with its clients."""

    def __init__(self, *clients: bytes) -> None:
        self.clients = dict.fromkeys(clients, b"")
        self.taken: set[int] = set()
        self.links = Links(
            RANDOM.randbytes,
            where=AT.get,
            publics=lambda who: public(who) if who in self.clients else None,
            is_taken=self.taken.__contains__,
        )


def public(who: bytes) -> bytes:
    return next(each.encode() for each in (A, B, C) if each.fingerprint == who)


def said(outcome: Outcome) -> list[tuple[bytes, type[Message]]]:
    return [(who, type(message)) for who, message in outcome.messages]


def message(outcome: Outcome, kind: type[Message]) -> Message:
    return next(each for _, each in outcome.messages if type(each) is kind)


def linked() -> tuple[Machine, Machine, int]:
    """A at P and B at Q have a relay."""
    p, q = Machine(A.fingerprint), Machine(B.fingerprint)
    asked = p.links.request(A.fingerprint, B.fingerprint, [Q], 0.0)
    request = message(asked, LinkRequest)
    assert isinstance(request, LinkRequest)
    assert said(q.links.receive_request(P, request, 0.0)) == [(B.fingerprint, RelayOffer)]
    agreed = q.links.answer(B.fingerprint, request.relay, 0.0, accept=True)
    assert said(agreed) == [(B.fingerprint, RelayReady), (P, LinkAnswer)]
    right = SetRelay(request.relay, AT[B.fingerprint], AT[P], B.fingerprint, A.fingerprint)
    assert agreed.commands == [right]
    ready = p.links.receive_answer(Q, LinkAnswer(request.relay, accept=True), 0.0)
    assert said(ready) == [(A.fingerprint, RelayReady)]
    left = SetRelay(request.relay, AT[A.fingerprint], AT[Q], A.fingerprint, B.fingerprint)
    assert ready.commands == [left]
    assert p.links.ready == q.links.ready == 1
    return p, q, request.relay


def test_a_relay_of_three_legs_comes_about() -> None:
    linked()


def test_sisters_are_asked_one_after_the_other() -> None:
    p = Machine(A.fingerprint)
    first = p.links.request(A.fingerprint, B.fingerprint, [C.fingerprint, Q], 0.0)
    assert said(first) == [(C.fingerprint, LinkRequest)]
    request = message(first, LinkRequest)
    assert isinstance(request, LinkRequest)
    refused = LinkAnswer(request.relay, accept=False)
    assert said(p.links.receive_answer(C.fingerprint, refused, 0.1)) == [(Q, LinkRequest)]
    assert said(p.links.receive_answer(C.fingerprint, refused, 0.1)) == []
    done = p.links.receive_answer(Q, refused, 0.2)
    assert message(done, RelayFailed) == RelayFailed(B.fingerprint, RelayFailure.ABSENT)
    assert not p.links.has(request.relay)


def test_a_sister_that_says_nothing_is_passed_over() -> None:
    p = Machine(A.fingerprint)
    p.links.request(A.fingerprint, B.fingerprint, [C.fingerprint, Q], 0.0)
    now = OFFER_S + SWEEP_S
    assert (Q, LinkRequest) in said(p.links.handle_timeout(now))
    gone = p.links.handle_timeout(now + OFFER_S + SWEEP_S)
    assert (A.fingerprint, RelayFailed) in said(gone)


@pytest.mark.parametrize("starter", [A, B], ids=["smaller", "larger"])
def test_requests_that_cross_make_one_relay(starter: object) -> None:
    p, q = Machine(A.fingerprint), Machine(B.fingerprint)
    from_a = message(p.links.request(A.fingerprint, B.fingerprint, [Q], 0.0), LinkRequest)
    from_b = message(q.links.request(B.fingerprint, A.fingerprint, [P], 0.0), LinkRequest)
    assert isinstance(from_a, LinkRequest) and isinstance(from_b, LinkRequest)

    def at_p() -> None:
        refusal = message(p.links.receive_request(Q, from_b, 0.1), LinkAnswer)
        assert isinstance(refusal, LinkAnswer) and not refusal.accept
        q.links.receive_answer(P, refusal, 0.2)

    if starter is B:
        at_p()
    outcome = q.links.receive_request(P, from_a, 0.2)
    if starter is B:  # the refusal has ended B's own request: it is offered
        outcome = q.links.answer(B.fingerprint, from_a.relay, 0.3, accept=True)
    answer = message(outcome, LinkAnswer)
    assert answer == LinkAnswer(from_a.relay, accept=True)
    assert isinstance(answer, LinkAnswer)
    p.links.receive_answer(Q, answer, 0.4)
    assert p.links.ready == q.links.ready == 1


def test_ends_of_all_kinds() -> None:
    p, q, relay = linked()
    outcome = p.links.client_gone(A.fingerprint)
    assert said(outcome) == [(Q, LinkGone)] and outcome.commands == [RemoveRelay(relay)]
    gone = q.links.receive_gone(P, LinkGone((relay,)))
    assert said(gone) == [(B.fingerprint, RelayGone)] and gone.commands == [RemoveRelay(relay)]
    p, q, relay = linked()
    assert said(p.links.sister_gone(Q)) == [(A.fingerprint, RelayGone)]
    q.links.renew(B.fingerprint, (relay,), 50.0)
    assert said(q.links.handle_timeout(LIFE_S + SWEEP_S)) == []
    expired = q.links.handle_timeout(50.0 + LIFE_S + SWEEP_S)
    assert set(said(expired)) == {(P, LinkGone), (B.fingerprint, RelayGone)}


def test_a_leg_moves_with_its_client() -> None:
    p, _, relay = linked()
    moved = p.links.moved(A.fingerprint)
    assert [command.relay for command in moved.commands if isinstance(command, SetRelay)] == [relay]
    assert p.links.moved(C.fingerprint).commands == []


def test_who_was_started_anew_is_reminded() -> None:
    p, q, relay = linked()
    again = p.links.request(A.fingerprint, B.fingerprint, [Q], 10.0)
    assert said(again) == [(A.fingerprint, RelayReady), (Q, LinkRequest)]
    request = message(again, LinkRequest)
    assert isinstance(request, LinkRequest)
    soon = p.links.request(A.fingerprint, B.fingerprint, [Q], 11.0)
    assert said(soon) == [(A.fingerprint, RelayReady)]
    answered = q.links.receive_request(P, request, 10.0)
    assert said(answered) == [(P, LinkAnswer), (B.fingerprint, RelayReady)]
    fresh = Machine(B.fingerprint)
    assert said(fresh.links.receive_request(P, request, 10.0)) == [(B.fingerprint, RelayOffer)]
    lost = p.links.receive_answer(Q, LinkAnswer(relay, accept=False), 12.0)
    assert said(lost) == [(A.fingerprint, RelayGone)]


def refuses(machine: Machine, request: LinkRequest, sister: bytes = P) -> bool:
    outcome = machine.links.receive_request(sister, request, 0.0)
    return outcome.commands == [] and outcome.messages == [
        (sister, LinkAnswer(request.relay, accept=False))
    ]


def test_a_lying_sister_gets_nothing() -> None:
    _, q, relay = linked()
    strange = LinkRequest(9, A.encode(), C.fingerprint)
    assert refuses(q, strange)  # C is not here: the request is not passed on
    assert refuses(q, LinkRequest(relay, C.encode(), B.fingerprint))  # an id of others
    q.taken.add(77)
    assert refuses(q, LinkRequest(77, C.encode(), B.fingerprint))
    assert refuses(q, LinkRequest(10, B.encode(), B.fingerprint))  # its asker is a client here
    other = b"R" * 32
    assert said(q.links.receive_gone(other, LinkGone((relay,)))) == []
    assert q.links.ready == 1
    unasked = q.links.receive_answer(other, LinkAnswer(1234, accept=True), 0.0)
    assert said(unasked) == [(other, LinkGone)] and unasked.commands == []


def test_offers_for_one_asker_are_limited() -> None:
    clients = [bytes([number]) * 32 for number in range(MAX_OFFERS + 1)]
    q = Machine()
    q.links = Links(
        Random(3).randbytes,
        where=AT.get,
        publics=lambda who: b"x" if who in clients else None,
        is_taken=lambda _: False,
    )
    for number, client in enumerate(clients[:-1], start=1):
        offered = q.links.receive_request(P, LinkRequest(number, A.encode(), client), 0.0)
        assert said(offered) == [(client, RelayOffer)]
    assert refuses(q, LinkRequest(99, A.encode(), clients[-1]))
    assert said(q.links.request(clients[0], A.fingerprint, [P], 0.0))  # consents: room again
    p = Machine(A.fingerprint)
    for number in range(MAX_OFFERS):
        p.links.request(A.fingerprint, bytes([number]) * 32, [Q], 0.0)
    full = p.links.request(A.fingerprint, B.fingerprint, [Q], 0.0)
    assert message(full, RelayFailed) == RelayFailed(B.fingerprint, RelayFailure.LIMIT)
