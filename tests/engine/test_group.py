"""Broadcasts that others replicate (section 4.1): signed once, carried on, taken once."""

from dataclasses import replace

import pytest

from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import (
    AssignmentUnknown,
    Deliver,
    DropReason,
    Limits,
    NeedReplicators,
    NeedSession,
    RemoveMember,
    RemoveSend,
    RemoveSource,
    SetAssignment,
    SetBlocked,
    SetGroups,
    SetLimits,
    SetReplication,
    SetSource,
    SourceStale,
    StopReplication,
)
from l2mesh.datapath.reference import Bounds
from l2mesh.wire.data import Flag, encode_header
from l2mesh.wire.group import Group, decode_group, encode_group, signed_text
from tests.engine.lab import (
    BROADCAST,
    NETWORK,
    SESSION,
    Host,
    allow,
    carry,
    ethernet,
    index_of,
    key_of,
    make_mesh,
    transport_of,
)

GENERATION = 1_700_000_000_000
NUMBER = 7
CRYPTO = SodiumCrypto()


def keys(host: Host) -> tuple[bytes, bytes]:
    """(secret, public) with which a host signs."""
    return CRYPTO.ed25519_from_seed(bytes([host.number]) * 32)


def believe(hosts: list[Host], *replicators: Host) -> None:
    """Everyone believes everyone's signature."""
    for one in hosts:
        for other in hosts:
            if one is not other:
                signing = keys(other)[1]
                one.do(SetSource(NETWORK, other.fingerprint, signing, other in replicators))


def replication(
    host: Host, *targets: tuple[Host, int], generation: int = GENERATION
) -> SetReplication:
    to = tuple((each.fingerprint, number) for each, number in targets)
    return SetReplication(NETWORK, host.fingerprint, keys(host)[0], generation, to)


def assign(replicator: Host, source: Host, *members: Host, number: int = NUMBER) -> None:
    to = tuple(member.fingerprint for member in members)
    replicator.do(SetAssignment(NETWORK, source.fingerprint, number, to))


def make_tree(
    count: int = 5, *, bounds: Bounds | None = None, mtu: int = 1500
) -> tuple[Host, Host, list[Host]]:
    """A source, a replicator and those to whom it carries the source's broadcasts on."""
    hosts = make_mesh(count, bounds=bounds, mtu=mtu)
    source, replicator, *others = hosts
    believe(hosts, replicator)
    assign(replicator, source, *others)
    source.do(replication(source, (replicator, NUMBER)))
    return source, replicator, others


def group_of(source: Host, counter: int, frame: bytes, *, assignment: int = 0) -> Group:
    """A broadcast that a host has signed."""
    signature = CRYPTO.sign(keys(source)[0], signed_text(NETWORK, GENERATION, counter, frame))
    return Group(assignment, source.fingerprint, GENERATION, counter, signature, frame)


class Bringer:
    """Seals what it likes on an index from one host to another."""

    def __init__(self, sender: Host, receiver: Host) -> None:
        self.sender, self.receiver = sender, receiver
        allow(sender, receiver, session=9)
        key = key_of(sender, receiver, NETWORK, 9)
        self.index = index_of(sender, receiver, NETWORK, 9)
        self.transport = transport_of(key)
        self.counter = 0

    def bring(self, text: bytes, flags: int = int(Flag.GROUP)) -> list[bytes]:
        """The frames that this delivers."""
        header = encode_header(flags, self.index, self.counter)
        datagram = header + self.transport.seal(self.counter, header, text)
        self.counter += 1
        before = len(self.receiver.delivered)
        engine = self.receiver.engine
        engine.handle_datagram(datagram, self.sender.endpoint, self.receiver.now)
        while (output := engine.poll_output()) is not None:
            if isinstance(output, Deliver):
                self.receiver.delivered.append(output.frame)
        return self.receiver.delivered[before:]


@pytest.mark.parametrize("size", [28, 1486])
def test_one_copy_leaves_and_everybody_gets_one(size: int) -> None:
    source, replicator, others = make_tree()
    frame = ethernet(BROADCAST, source.mac, bytes(size))
    out = source.send(frame)
    assert {one.endpoint for one in out} == {replicator.endpoint}
    assert len(out) == (1 if size < 1000 else 2)
    for one in out:
        replicator.engine.handle_datagram(one.datagram, source.endpoint, replicator.now)
    carry([source, replicator, *others])
    for host in (replicator, *others):
        assert host.delivered == [frame]
        assert not host.drops
        assert host.engine.fdb(NETWORK, host.now)[0].mac == host.mac
    assert source.engine.counters()["frames_signed"] == 1
    assert replicator.engine.counters()["frames_replicated"] == len(others)
    assert not source.delivered


def test_the_station_is_learned_behind_its_source() -> None:
    hosts = make_mesh(3, bridges=(1,))
    source, replicator, other = hosts
    believe(hosts, replicator)
    assign(replicator, source, other)
    source.do(replication(source, (replicator, NUMBER)))
    station = bytes.fromhex("525400000001")
    source.engine.handle_frame(NETWORK, ethernet(BROADCAST, station), source.now)
    carry(hosts)
    [entry] = [each for each in other.engine.fdb(NETWORK, other.now) if each.mac == station]
    assert entry.peer == source.fingerprint


def test_frames_for_one_station_go_their_own_way() -> None:
    source, _replicator, others = make_tree()
    frame = ethernet(others[0].mac, source.mac)
    assert [one.endpoint for one in source.send(frame)] == [others[0].endpoint]
    assert source.engine.counters()["frames_signed"] == 0


def to_ip_group(source: Host, group: bytes = bytes([239, 1, 2, 3])) -> bytes:
    packet = b"\x45\0\0\x18" + bytes(4) + b"\x01\x11" + bytes(6) + group + b"text"
    return ethernet(b"\x01\0\x5e\x01\x02\x03", source.mac, packet, 0x0800)


def unwant(hosts: list[Host], *those: Host) -> None:
    """The ports of these want no group of IPv4, and everyone knows it; another one wants all."""
    listed = frozenset({(0, 4)})
    known = frozenset({(0, bytes([239, 1, 2, 3]))})
    for host in hosts:
        for one in hosts[1:]:
            peer = one.fingerprint if one is not host else None
            groups = frozenset() if one in those else known
            host.do(SetGroups(NETWORK, peer, listed, frozenset(), groups))


@pytest.mark.parametrize("wanting", [2, 3])
def test_a_group_that_more_than_half_want_is_carried_on_too(wanting: int) -> None:
    source, replicator, others = make_tree(6)
    hosts = [source, replicator, *others]
    unwant(hosts, *hosts[1 + wanting :])
    frame = to_ip_group(source)
    out = source.send(frame)
    if wanting == 2:
        assert [one.endpoint for one in out] == [host.endpoint for host in hosts[1:3]]
        assert source.engine.counters()["frames_signed"] == 0
        return
    assert [one.endpoint for one in out] == [replicator.endpoint]
    replicator.engine.handle_datagram(out[0].datagram, source.endpoint, replicator.now)
    carry(hosts)
    assert [host.delivered for host in hosts[1:]] == [[frame]] * 3 + [[]] * 2
    assert [dict(host.drops) for host in hosts[4:]] == [{DropReason.GROUP_UNWANTED: 1}] * 2


def test_what_is_tunnelled_to_bridges_is_not_carried_on_to_others() -> None:
    hosts = make_mesh(4, bridges=(1, 2, 3))
    source, replicator, bridge, other = hosts
    believe(hosts, replicator)
    assign(replicator, source, bridge, other)
    source.do(replication(source, (replicator, NUMBER)))
    for host in hosts:
        host.do(SetLimits(NETWORK, Limits(bpdu="tunnel")))
    source.engine.handle_frame(
        NETWORK, ethernet(bytes.fromhex("0180c2000000"), source.mac), source.now
    )
    carry(hosts)
    assert [len(host.delivered) for host in hosts] == [0, 1, 1, 0]
    assert source.engine.counters()["frames_signed"] == 0


def test_a_frame_that_comes_twice_is_taken_once() -> None:
    source, replicator, others = make_tree()
    direct = [(each, 0) for each in others]
    source.do(replication(source, (replicator, NUMBER), *direct))
    frame = ethernet(BROADCAST, source.mac)
    source.engine.handle_frame(NETWORK, frame, source.now)
    carry([source, replicator, *others])
    for host in (replicator, *others):
        assert host.delivered == [frame]
    for host in others:
        assert host.drops == {DropReason.REPLAY: 1}


def test_frames_wait_until_targets_are_known() -> None:
    source, replicator, others = make_tree()
    waiting = SetReplication(NETWORK, source.fingerprint, keys(source)[0], GENERATION)
    source.do(StopReplication(NETWORK), waiting)
    source.heard()
    frames = [ethernet(BROADCAST, source.mac, bytes([number])) for number in range(3)]
    assert not source.send(*frames)
    assert source.heard() == [NeedReplicators(NETWORK)]
    source.now += 1.0
    assert not source.send(frames[0])
    assert source.heard() == [NeedReplicators(NETWORK)]
    source.do(replication(source, (replicator, NUMBER)))
    carry([source, replicator, *others])
    for host in (replicator, *others):
        assert host.delivered == [*frames, frames[0]]


def test_who_becomes_a_target_gets_what_was_sent_lately() -> None:
    source, _replicator, others = make_tree()
    old, lost = (ethernet(BROADCAST, source.mac, text) for text in (b"old", b"lost"))
    source.send(old)
    source.now += 4.0
    source.send(lost)  # the replicator is dead
    source.now += 3.9
    source.do(replication(source, *((each, 0) for each in others)))
    carry([source, *others])
    assert [host.delivered for host in others] == [[lost]] * len(others)


def test_not_more_is_kept_than_256_frames() -> None:
    source, _replicator, others = make_tree(3, bounds=Bounds(recent_frames=2))
    source.send(*(ethernet(BROADCAST, source.mac, bytes([number])) for number in range(5)))
    source.do(replication(source, (others[0], 0)))
    carry([source, *others])
    assert [frame[-1] for frame in others[0].delivered] == [3, 4]


def test_what_waits_goes_to_everybody_when_replication_ends() -> None:
    source, replicator, others = make_tree(3)
    waiting = SetReplication(NETWORK, source.fingerprint, keys(source)[0], GENERATION)
    source.do(StopReplication(NETWORK), waiting)
    frame = ethernet(BROADCAST, source.mac)
    source.send(frame)
    source.do(StopReplication(NETWORK))
    carry([source, replicator, *others])
    assert replicator.delivered == others[0].delivered == [frame]
    assert len(source.send(frame)) == 2
    assert source.engine.counters()["frames_signed"] == 1


def test_an_assignment_before_the_newest_goes_on() -> None:
    source, replicator, others = make_tree()
    assign(replicator, source, others[0], number=NUMBER + 1)
    for number, reached in ((NUMBER, others), (NUMBER + 1, others[:1])):
        source.do(replication(source, (replicator, number)))
        source.engine.handle_frame(
            NETWORK, ethernet(BROADCAST, source.mac, bytes([number])), source.now
        )
        carry([source, replicator, *others])
        for host in others:
            has = bool(host.delivered) and host.delivered[-1][-1] == number
            assert has is (host in reached)
    assign(replicator, source, others[0], number=NUMBER + 2)
    replicator.heard()
    source.do(replication(source, (replicator, NUMBER)))
    source.engine.handle_frame(NETWORK, ethernet(BROADCAST, source.mac, b"x"), source.now)
    carry([source, replicator, *others])
    assert replicator.delivered[-1][-1:] == b"x"
    assert others[0].delivered[-1][-1:] != b"x"
    assert AssignmentUnknown(source.fingerprint, NETWORK) in replicator.heard()


def test_nobody_carries_on_for_a_source_that_was_forgotten() -> None:
    source, replicator, others = make_tree()
    assign(replicator, source)
    source.engine.handle_frame(NETWORK, ethernet(BROADCAST, source.mac), source.now)
    carry([source, replicator, *others])
    assert replicator.delivered and not others[0].delivered


def test_a_blocked_replicator_carries_on() -> None:
    source, replicator, others = make_tree()
    replicator.do(SetBlocked(NETWORK, frozenset({0})))
    source.engine.handle_frame(NETWORK, ethernet(BROADCAST, source.mac), source.now)
    carry([source, replicator, *others])
    assert not replicator.delivered and all(host.delivered for host in others)


def test_a_guarded_frame_is_not_carried_on() -> None:
    source, replicator, others = make_tree()
    bringer = Bringer(source, replicator)
    frame = ethernet(BROADCAST, others[0].mac)
    group = group_of(source, 0, frame, assignment=NUMBER)
    assert not bringer.bring(encode_group(group))
    assert replicator.drops == {DropReason.SOURCE_MAC: 1}
    assert replicator.engine.counters()["frames_replicated"] == 0


def test_copies_for_one_source_are_limited() -> None:
    source, replicator, others = make_tree(bounds=Bounds(copy_rate=4))
    for number in range(3):
        frame = ethernet(BROADCAST, source.mac, bytes([number]))
        source.engine.handle_frame(NETWORK, frame, source.now)
    carry([source, replicator, *others])
    assert replicator.engine.counters()["frames_replicated"] == 3
    assert replicator.drops == {DropReason.RELAY_RATE: 2}


def test_forged_and_altered_broadcasts_are_refused() -> None:
    source, replicator, others = make_tree()
    bringer = Bringer(replicator, others[0])
    frame = ethernet(BROADCAST, source.mac)
    good = group_of(source, 5, frame)
    for bad in (
        good._replace(counter=6),
        good._replace(generation=GENERATION + 1),
        good._replace(frame=frame + b"!"),
        good._replace(signature=bytes(64)),
        good._replace(source=others[1].fingerprint),
        group_of(replicator, 5, frame)._replace(source=source.fingerprint),
    ):
        assert not bringer.bring(encode_group(bad))
    assert others[0].drops == {DropReason.FORGED: 6}
    assert bringer.bring(encode_group(good)) == [frame], "none of them changed anything"


def test_replayed_broadcasts_are_refused() -> None:
    source, replicator, others = make_tree()
    bringer, direct = Bringer(replicator, others[0]), Bringer(source, others[0])
    frame = ethernet(BROADCAST, source.mac)
    text = encode_group(group_of(source, 5, frame))
    assert bringer.bring(text) == [frame]
    assert not bringer.bring(text)
    assert not direct.bring(text)
    assert others[0].drops == {DropReason.REPLAY: 2}
    assert direct.bring(encode_group(group_of(source, 4, frame))) == [frame], "late, but new"


def test_an_older_generation_counts_only_on_the_word_of_the_source() -> None:
    source, replicator, others = make_tree()
    bringer = Bringer(replicator, others[0])
    frame = ethernet(BROADCAST, source.mac)

    def broadcast(generation: int, counter: int) -> bytes:
        signature = CRYPTO.sign(keys(source)[0], signed_text(NETWORK, generation, counter, frame))
        return encode_group(Group(0, source.fingerprint, generation, counter, signature, frame))

    assert bringer.bring(broadcast(10, 3))
    assert bringer.bring(broadcast(11, 3)), "another generation counts anew"
    others[0].heard()
    assert not bringer.bring(broadcast(10, 4))
    assert others[0].heard() == [SourceStale(source.fingerprint, NETWORK)]
    assert not bringer.bring(broadcast(10, 5))
    assert not others[0].heard(), "once a second"
    told = SetSource(NETWORK, source.fingerprint, keys(source)[1], generation=10)
    others[0].do(told)
    assert bringer.bring(broadcast(10, 4))
    others[0].do(told)
    assert not bringer.bring(broadcast(10, 4)), "told again, it changes nothing"


@pytest.mark.parametrize("length", [0, 4, 111, 112, 125])
def test_truncated_group_is_refused(length: int) -> None:
    source, replicator, others = make_tree()
    bringer = Bringer(replicator, others[0])
    text = encode_group(group_of(source, 0, ethernet(BROADCAST, source.mac)))
    assert not bringer.bring(text[:length])
    assert others[0].drops == {DropReason.BAD_GROUP: 1}


def test_only_replicators_bring_what_is_not_theirs() -> None:
    source, replicator, others = make_tree()
    frame = ethernet(BROADCAST, source.mac)
    group = group_of(source, 0, frame)
    other = Bringer(others[1], others[0])
    assert not other.bring(encode_group(group))
    lying = Bringer(replicator, others[0])
    assert not lying.bring(encode_group(group._replace(assignment=1)))
    unicast = group_of(source, 1, ethernet(others[0].mac, source.mac))
    assert not lying.bring(encode_group(unicast))
    assert others[0].drops == {DropReason.BAD_GROUP: 3}
    others[0].do(RemoveSource(NETWORK, source.fingerprint))
    assert not lying.bring(encode_group(group))
    others[0].do(RemoveMember(NETWORK, replicator.fingerprint))
    assert not lying.bring(encode_group(group))
    assert others[0].drops[DropReason.NOT_A_MEMBER] == 2


def test_whoever_is_no_member_any_more_gets_no_copy() -> None:
    source, replicator, others = make_tree()
    gone = others[0]
    replicator.do(RemoveMember(NETWORK, gone.fingerprint), RemoveSend(gone.fingerprint, NETWORK))
    source.engine.handle_frame(NETWORK, ethernet(BROADCAST, source.mac), source.now)
    carry([source, replicator, *others])
    assert not gone.delivered and all(host.delivered for host in others[1:])


def test_signatures_looked_at_are_limited_for_each_bringer() -> None:
    source, replicator, others = make_tree(bounds=Bounds(group_rate=1, group_burst=3))
    bringer, direct = Bringer(replicator, others[0]), Bringer(source, others[0])
    frame = ethernet(BROADCAST, source.mac)
    false = group_of(source, 0, frame)._replace(signature=bytes(64))
    for _ in range(5):
        bringer.bring(encode_group(false))
    assert others[0].drops == {DropReason.FORGED: 3, DropReason.STORM: 2}
    assert direct.bring(encode_group(group_of(source, 0, frame))) == [frame]


def test_limits_of_classes_hold_for_the_source_whoever_brings_it() -> None:
    source, replicator, others = make_tree()
    bringer = Bringer(replicator, others[0])
    frame = ethernet(BROADCAST, source.mac)
    for counter in range(1002):
        bringer.bring(encode_group(group_of(source, counter, frame)))
    assert others[0].drops == {DropReason.STORM: 2}
    assert len(others[0].delivered) == 1000


def test_copies_wait_for_a_session() -> None:
    source, replicator, others = make_tree(3)
    replicator.do(RemoveSend(others[0].fingerprint, NETWORK))
    source.engine.handle_frame(NETWORK, ethernet(BROADCAST, source.mac, bytes(1400)), source.now)
    carry([source, replicator, *others])
    assert replicator.heard()[-1:] == [NeedSession(others[0].fingerprint, NETWORK)]
    allow(replicator, others[0], session=SESSION + 1)
    carry([source, replicator, *others])
    assert len(others[0].delivered) == 1


@pytest.mark.parametrize("flags", [0x21, 0x24, 0x28, 0x30, 0x60])
def test_group_with_any_other_flag_is_refused(flags: int) -> None:
    source, replicator, others = make_tree()
    bringer = Bringer(replicator, others[0])
    text = encode_group(group_of(source, 0, ethernet(BROADCAST, source.mac)))
    assert not bringer.bring(text, flags)
    assert others[0].drops == {DropReason.BAD_FLAGS: 1}


def test_commands_about_the_unknown_are_ignored() -> None:
    host = make_mesh(1)[0]
    host.do(
        SetSource(NETWORK, b"x" * 32, bytes(32)),
        SetAssignment(NETWORK, b"x" * 32, 1, (b"y" * 32,)),
        RemoveSource(NETWORK, b"x" * 32),
        StopReplication(NETWORK),
    )
    stray = replace(replication(host), network=NETWORK + 1)
    host.do(stray, replication(host, (host, 3)))
    assert not host.send(ethernet(BROADCAST, host.mac))


def test_vector_layout() -> None:
    group = Group(1, b"s" * 32, 2, 3, b"g" * 64, ethernet(BROADCAST, b"\2" * 6))
    text = encode_group(group)
    assert text[:48] == b"\0\0\0\1" + b"s" * 32 + b"\0\0\0\0\0\0\0\2" + b"\0\0\0\3"
    assert decode_group(text) == group
