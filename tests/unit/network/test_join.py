"""From a network ID to a member: the directory, the conflict, and the controller's answers."""

import pytest

from l2mesh.address import controller_address, format_fingerprint
from l2mesh.network.join import ABSENT_AFTER_S, JoinMachine, JoinState, Status
from tests.unit.network.authority import Authority


def machine(authority: Authority, wanted: bytes | None = None) -> JoinMachine:
    return JoinMachine(authority.network, authority.crypto, wanted=wanted)


def test_the_directory_is_asked_for_the_controllers_address() -> None:
    authority = Authority()
    join = machine(authority)
    assert join.poll_whois(0.0) == controller_address(authority.network)
    assert join.poll_whois(0.1) is None
    due = join.next_timeout()
    assert due is not None
    assert join.poll_whois(due) is not None


def test_one_admissible_claim_is_the_controller() -> None:
    authority = Authority()
    join = machine(authority)
    stranger = authority.identity().public
    assert join.receive_claims([stranger]) is None
    assert join.receive_claims([authority.controller.public]) == authority.controller.public
    join.controller_known()
    assert join.state is JoinState.ASKING
    assert join.next_timeout() is None


def test_two_claims_are_a_conflict_that_names_both() -> None:
    authority = Authority()
    rival = authority.identity()
    address = controller_address(authority.network)
    authority.crypto.addresses[rival.fingerprint] = address
    join = machine(authority)
    assert join.receive_claims([authority.controller.public, rival.public]) is None
    assert join.status is Status.ERROR
    for fingerprint in (authority.controller.fingerprint, rival.fingerprint):
        assert format_fingerprint(fingerprint) in join.reason
    named = machine(authority, wanted=rival.fingerprint)
    claims = [authority.controller.public, rival.public]
    assert named.receive_claims(claims) == rival.public


def test_nobody_at_the_address_is_not_found_and_goes_on_asking() -> None:
    authority = Authority()
    join = machine(authority)
    now = 0.0
    while now < ABSENT_AFTER_S + 10:
        join.poll_whois(now)
        due = join.next_timeout()
        assert due is not None
        now = due
    assert join.status is Status.NOT_FOUND
    assert join.receive_claims([authority.controller.public]) is not None


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ok", Status.OK),
        ("pending", Status.REQUESTING),
        ("denied", Status.DENIED),
        ("not_found", Status.NOT_FOUND),
        ("error", Status.ERROR),
        ("maybe", Status.ERROR),
    ],
)
def test_the_answer_decides_the_status(word: str, status: Status) -> None:
    authority = Authority()
    join = machine(authority)
    join.controller_known()
    assert join.receive_reply(word, "because")
    assert not join.receive_reply(word, "because")
    assert join.status is status


def test_a_refusal_is_not_for_ever() -> None:
    join = machine(Authority())
    join.controller_known()
    join.receive_reply("denied", "")
    assert join.receive_reply("ok", "")
    assert join.status is Status.OK


@pytest.mark.parametrize("status", ["denied", "not_found", "error"])
def test_repeated_join_waits_for_a_new_answer(status: str) -> None:
    join = machine(Authority())
    join.controller_known()
    join.receive_reply(status, "no")
    join.repeat(1.0)
    assert (join.status, join.reason) == (Status.REQUESTING, "")
    join.receive_reply("ok", "")
    join.repeat(2.0)
    assert join.status is Status.OK


def test_repeated_join_asks_for_an_absent_controller_at_once() -> None:
    join = machine(Authority())
    for now in (0.0, ABSENT_AFTER_S, ABSENT_AFTER_S + 2):
        join.poll_whois(now)
    assert join.status == "not_found"
    join.repeat(20.0)
    assert join.status == "requesting"
    assert join.poll_whois(20.0) is not None
