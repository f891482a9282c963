"""The reliable channel: once, in order, bounded, whatever the network does."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.errors import StateError
from l2mesh.session.channel import MAX_MESSAGE_BYTES, MAX_WAITING, WINDOW, Channel
from l2mesh.wire.control import Ack, Chunk, ChunkFlag, encode_records

BOTH = ChunkFlag.FIRST | ChunkFlag.LAST
LIMIT = 1200


def chunks(channel: Channel, now: float = 0.0, limit: int = LIMIT) -> list[Chunk]:
    """All chunks that the channel gives now."""
    found: list[Chunk] = []
    while records := channel.poll_records(limit, now):
        encode_records(records)
        found += [each for each in records if isinstance(each, Chunk)]
    return found


def messages(channel: Channel) -> list[bytes]:
    found = []
    while (message := channel.poll_message()) is not None:
        found.append(message)
    return found


def deliver(channel: Channel, records: list[Ack | Chunk], now: float) -> None:
    for each in records:
        if isinstance(each, Chunk):
            channel.receive_chunk(each, now)
        else:
            channel.receive_ack(each, now)


def test_short_message_is_one_chunk() -> None:
    channel = Channel()
    channel.send(b"hello", 2, 0.0)
    assert chunks(channel) == [Chunk(0, BOTH, b"hello")]


def test_empty_message_arrives() -> None:
    sender, receiver = Channel(), Channel()
    sender.send(b"", 2, 0.0)
    deliver(receiver, list(chunks(sender)), 0.0)
    assert messages(receiver) == [b""]


def test_long_message_is_cut_and_put_together() -> None:
    sender, receiver = Channel(), Channel()
    text = Random(1).randbytes(3000)
    sender.send(text, 2, 0.0)
    pieces = chunks(sender)
    assert [each.flags for each in pieces] == [ChunkFlag.FIRST, 0, ChunkFlag.LAST]
    deliver(receiver, list(pieces), 0.0)
    assert messages(receiver) == [text]


def test_small_messages_share_a_datagram() -> None:
    channel = Channel()
    for _ in range(30):
        channel.send(b"x" * 50, 2, 0.0)
    assert len(channel.poll_records(LIMIT, 0.0)) == 20


def test_window_holds_32_chunks_until_acknowledged() -> None:
    channel = Channel()
    for _ in range(40):
        channel.send(b"x", 2, 0.0)
    assert [each.number for each in chunks(channel)] == list(range(WINDOW))
    channel.receive_ack(Ack(0, 0xFFFFFFFE), 0.0)
    assert chunks(channel) == []
    channel.receive_ack(Ack(1, 0), 0.0)
    assert [each.number for each in chunks(channel)] == [32]


def test_acknowledgements_of_many_chunks_are_one_record_and_come_first() -> None:
    sender, receiver = Channel(), Channel()
    receiver.send(b"mine", 2, 0.0)
    for _ in range(5):
        sender.send(b"x", 2, 0.0)
    deliver(receiver, [each for each in chunks(sender) if each.number != 1], 0.0)
    records = receiver.poll_records(LIMIT, 0.0)
    assert records[0] == Ack(1, 0b111)
    assert isinstance(records[1], Chunk)
    assert receiver.poll_records(LIMIT, 0.0) == []


def test_every_duplicate_is_acknowledged_again() -> None:
    receiver = Channel()
    for _ in range(2):
        receiver.receive_chunk(Chunk(0, BOTH, b"x"), 0.0)
        assert receiver.poll_records(LIMIT, 0.0) == [Ack(1, 0)]
    assert messages(receiver) == [b"x"]


def test_unacknowledged_chunk_is_repeated_after_doubling_waits() -> None:
    channel = Channel()
    channel.send(b"x", 2, 0.0)
    chunks(channel)
    now, waits = 0.0, []
    for _ in range(7):
        due = channel.next_timeout()
        assert due is not None
        assert channel.poll_records(LIMIT, due - 0.001) == []
        channel.handle_timeout(due)
        assert channel.next_timeout() is None
        assert len(chunks(channel, due)) == 1
        waits.append(due - now)
        now = due
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    channel.receive_ack(Ack(1, 0), now)
    assert channel.next_timeout() is None


def test_waiting_messages_leave_by_priority() -> None:
    channel = Channel()
    for priority, message in [(2, b"rest"), (1, b"member"), (0, b"revoked"), (1, b"member 2")]:
        channel.send(message, priority, 0.0)
    assert [each.data for each in chunks(channel)] == [b"revoked", b"member", b"member 2", b"rest"]


def test_message_under_way_is_finished_before_a_more_urgent_one() -> None:
    channel = Channel()
    channel.send(b"a" * 2000, 2, 0.0)
    first = channel.poll_records(LIMIT, 0.0)
    channel.send(b"revoked", 0, 0.0)
    rest = chunks(channel)
    assert len(first) == 1
    assert [each.data[:1] for each in rest] == [b"a", b"r"]


def test_caller_is_refused_beyond_256_messages_and_4_mib() -> None:
    channel = Channel()
    for _ in range(MAX_WAITING):
        channel.send(b"", 2, 0.0)
    with pytest.raises(StateError):
        channel.send(b"", 2, 0.0)
    chunks(channel)
    with pytest.raises(StateError):
        channel.send(b"", 2, 0.0)
    channel.receive_ack(Ack(1, 0), 0.0)
    channel.send(b"", 2, 0.0)
    heavy = Channel()
    for _ in range(4):
        heavy.send(bytes(MAX_MESSAGE_BYTES), 2, 0.0)
    with pytest.raises(StateError):
        heavy.send(b"x", 2, 0.0)
    with pytest.raises(StateError):
        Channel().send(bytes(MAX_MESSAGE_BYTES + 1), 2, 0.0)


def test_receiver_keeps_32_chunks_out_of_order() -> None:
    receiver = Channel()
    for number in range(100, 0, -1):
        receiver.receive_chunk(Chunk(number, BOTH, b"%d" % number), 0.0)
    assert receiver.poll_records(LIMIT, 0.0) == [Ack(0, 0xFFFFFFFF)]
    receiver.receive_chunk(Chunk(0, BOTH, b"0"), 0.0)
    assert messages(receiver) == [b"%d" % number for number in range(33)]


@pytest.mark.parametrize(
    "flags", [[0], [ChunkFlag.LAST], [ChunkFlag.FIRST, ChunkFlag.FIRST], [ChunkFlag.FIRST, BOTH]]
)
def test_chunk_out_of_its_place_breaks_the_channel(flags: list[int]) -> None:
    receiver = Channel()
    for number, flag in enumerate(flags):
        assert not receiver.is_broken
        receiver.receive_chunk(Chunk(number, flag, b"x"), 0.0)
    assert receiver.is_broken
    receiver.receive_chunk(Chunk(len(flags), BOTH, b"x"), 0.0)
    assert messages(receiver) == []


def test_message_beyond_1_mib_breaks_the_channel() -> None:
    receiver = Channel()
    for number in range(1025):
        assert not receiver.is_broken
        flag = 0 if number else ChunkFlag.FIRST
        receiver.receive_chunk(Chunk(number, flag, bytes(1024)), 0.0)
    assert receiver.is_broken


def test_receiver_takes_no_more_than_its_owner_polls() -> None:
    receiver = Channel()
    for number in range(1000):
        receiver.receive_chunk(Chunk(number, BOTH, b"x"), 0.0)
    assert len(messages(receiver)) == 256


def test_acknowledgement_of_what_was_never_sent_means_nothing() -> None:
    channel = Channel()
    channel.send(b"x", 2, 0.0)
    chunks(channel)
    channel.receive_ack(Ack(2, 0), 0.0)
    assert channel.next_timeout() is not None


def test_owed_messages_are_handed_over_once_and_in_order() -> None:
    channel = Channel()
    channel.send(b"sent", 2, 0.0)
    channel.send(b"a" * 40_000, 2, 0.0)
    chunks(channel)
    channel.receive_ack(Ack(1, 0), 0.0)
    channel.send(b"waits", 2, 0.0)
    channel.send(b"revoked", 0, 0.0)
    assert channel.unacknowledged() == [(2, b"a" * 40_000), (0, b"revoked"), (2, b"waits")]
    assert channel.unacknowledged() == []


def test_what_is_bound_to_its_session_is_not_handed_over() -> None:
    channel = Channel()
    channel.send(b"bound", 1, 0.0, is_bound=True)
    channel.send(b"free", 2, 0.0)
    assert len(list(chunks(channel))) == 2
    channel.send(b"free, waits", 2, 0.0)
    channel.send(b"bound, waits", 1, 0.0, is_bound=True)
    assert channel.unacknowledged() == [(2, b"free"), (2, b"free, waits")]
    assert [chunk.data for chunk in chunks(channel)] == [b"bound, waits"]


def test_channel_works_on_after_handing_over() -> None:
    sender, receiver = Channel(), Channel()
    sender.send(b"a" * 2000, 2, 0.0)
    deliver(receiver, sender.poll_records(LIMIT, 0.0), 0.0)
    sender.unacknowledged()
    sender.send(b"next", 2, 0.0)
    deliver(receiver, list(chunks(sender)), 0.0)
    assert messages(receiver) == [b"a" * 2000, b"next"]


@given(
    seed=st.integers(0, 2**32),
    sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=30),
    loss=st.floats(0, 0.6),
)
def test_every_message_arrives_once_and_in_order(seed: int, sizes: list[int], loss: float) -> None:
    """Both ways at once, through loss, duplication and reordering, in virtual time."""
    random = Random(seed)
    ends = (Channel(), Channel())
    sent = tuple([random.randbytes(size) for size in sizes] for _ in ends)
    for channel, texts in zip(ends, sent, strict=True):
        for text in texts:
            channel.send(text, 1, 0.0)
    got: tuple[list[bytes], list[bytes]] = ([], [])
    flying: list[tuple[float, int, int, list[Ack | Chunk]]] = []
    now, order = 0.0, 0
    while now < 3600.0 and got != (sent[1], sent[0]):
        for side, channel in enumerate(ends):
            while records := channel.poll_records(LIMIT, now):
                for _ in range(random.choice((1, 1, 2))):
                    if random.random() >= loss:
                        order += 1
                        flying.append((now + random.uniform(0.01, 0.4), order, 1 - side, records))
        due = [at for at in (each.next_timeout() for each in ends) if at is not None]
        now = min([at for at, *_ in flying] + due)
        for each in sorted(each for each in flying if each[0] <= now):
            flying.remove(each)
            deliver(ends[each[2]], each[3], now)
            got[each[2]].extend(messages(ends[each[2]]))
        for channel in ends:
            channel.handle_timeout(now)
    assert got == (sent[1], sent[0])


def test_a_new_path_is_used_at_once_for_what_is_in_flight() -> None:
    channel = Channel()
    channel.send(b"x", 2, 0.0)
    now = 0.0
    for _ in range(4):
        chunks(channel, now)
        now = channel.next_timeout() or 0.0
    channel.path_changed()
    assert chunks(channel, 2.0) == [Chunk(0, BOTH, b"x")]
    assert channel.next_timeout() == 2.25
