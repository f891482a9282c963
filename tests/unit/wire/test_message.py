"""Messages of the reliable channel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.errors import MalformedPacket
from l2mesh.wire import message
from l2mesh.wire.endpoint import Endpoint
from l2mesh.wire.message import MESSAGES, PRIORITIES, PRIORITY, decode_message, encode_message
from tests.values import MESSAGES as ANY_MESSAGE

VERBS = [
    *range(0x10, 0x1D),
    *range(0x20, 0x27),
    0x28,
    0x29,
    *range(0x30, 0x36),
    *range(0x38, 0x3E),
]


@given(ANY_MESSAGE)
def test_message_round_trips(one: message.Message) -> None:
    data = encode_message(one)
    assert data[0] == one.VERB
    assert decode_message(data) == one
    assert encode_message(decode_message(data)) == data


@given(ANY_MESSAGE, st.data())
def test_message_cut_anywhere_is_refused(one: message.Message, draw: st.DataObject) -> None:
    data = encode_message(one)
    size = draw.draw(st.integers(0, len(data) - 1))
    with pytest.raises(MalformedPacket):
        decode_message(data[:size])


def test_verbs_are_those_of_the_protocol() -> None:
    assert [kind.VERB for kind in MESSAGES] == VERBS


def test_every_verb_has_a_priority_and_revocations_come_first() -> None:
    assert set(PRIORITY) == set(MESSAGES)
    assert [kind for kind in MESSAGES if PRIORITY[kind] == 0] == [message.Revocations]
    assert PRIORITY[message.Meet] == PRIORITY[message.Indices] == 1
    assert max(PRIORITY.values()) == PRIORITIES - 1


def test_unknown_verb_is_told_apart() -> None:
    for verb in set(range(256)) - set(VERBS):
        with pytest.raises(message.UnknownVerb) as caught:
            decode_message(bytes([verb]) + b"\x80")
        assert caught.value.verb == verb


@pytest.mark.parametrize(
    "one",
    [
        message.Whois(b"1234"),
        message.WhoisReply(b"12345", (bytes(128),) * 5),
        message.WhoisReply(b"12345", (bytes(127),)),
        message.RelayAnswer(0, accept=True),
        message.RelayAnswer(2**56, accept=True),
        message.RelayFailed(bytes(32), "why"),  # type: ignore[arg-type]
        message.RelayRenew((1,) * 1025),
        message.Leave(0),
        message.Leave(2**64),
        message.Leave(-1),
        message.Join(network=1, name="a" * 65),
        message.Join(network=1, name="a\n"),
        message.Join(network=1, name="\x1b[2J"),
        message.Join(network=1, name="a\u202eb"),
        message.Join(network=1, token=bytes(15)),
        message.Join(network=1, token=bytes(33)),
        message.Join(network=1, revocations=2**32),
        message.Config(1, b""),
        message.Meet(1, -1, b"a"),
        message.Indices(1, (message.LaneIndex(256, 1),)),
        message.Indices(1, (message.LaneIndex(0, 0),)),
        message.Indices(1, (message.LaneIndex(0, 2**24),)),
        message.Candidates(("192.0.2.1:1",) * 9),
        message.WantedGroups(1, 1, (message.Listed(4096, 4, reports=True),), ()),
        message.WantedGroups(1, 1, (message.Listed(0, 5, reports=True),), ()),  # type: ignore[arg-type]
        message.WantedGroups(1, 1, (message.Listed(0, 4, reports=True),) * 257, ()),
        message.WantedGroups(1, 1, (), (message.WantedGroup(0, bytes([224, 0, 0, 1])),) * 1025),
        message.Candidates(("a" * 65,)),
        message.Call("random", ("192.0.2.1:1",) * 5),
        message.Call("random", (), -1),
        message.Config(1, bytes(1024 * 1024)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_message_that_no_peer_would_take_is_not_sent(one: message.Message) -> None:
    with pytest.raises(MalformedPacket):
        encode_message(one)


def test_lane_twice_cannot_be() -> None:
    with pytest.raises(MalformedPacket):
        message.Indices(1, (message.LaneIndex(0, 1), message.LaneIndex(0, 2)))


def test_token_does_not_show() -> None:
    assert "secret" not in repr(message.Join(network=1, token=b"secret".ljust(16)))


def test_candidate_that_cannot_be_read_is_skipped() -> None:
    some = message.Candidates(("192.0.2.1:1", "relay://x", "192.0.2.1:1", "[::1]:2"))
    assert some.parsed() == (Endpoint("192.0.2.1", 1), Endpoint("::1", 2))


def test_longest_message_is_one_mebibyte() -> None:
    room = 1024 * 1024 - len(encode_message(message.Config(1, bytes(70_000)))) + 70_000
    assert len(encode_message(message.Config(1, bytes(room)))) == 1024 * 1024
    with pytest.raises(MalformedPacket):
        encode_message(message.Config(1, bytes(room + 1)))
