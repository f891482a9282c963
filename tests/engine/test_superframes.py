"""Super-frames through a pair of engines: what is on the wire, and what comes out."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2mesh.datapath.interface import (
    Deliver,
    DropReason,
    Endpoint,
    InstallSend,
    Offload,
    Path,
    PortOffloads,
    Received,
    SetPath,
    SetPortOffloads,
    SetRelay,
    Transmit,
    TransmitTrain,
)
from l2mesh.wire.relay import frame_relay
from tests.engine.lab import (
    CIPHER,
    NETWORK,
    SESSION,
    Host,
    allow,
    index_of,
    key_of,
    make_mesh,
    transport_of,
)
from tests.packets import ACK, FIN, PSH, TCP, UDP, Packet, check, extension

ALL = PortOffloads(checksum=True, tso=True, uso=True)
FRAG, CONT, CSUM, ELIDED = 0x02, 0x04, 0x08, 0x10
BROADCAST = b"\xff" * 6


def elide(sender: Host, receiver: Host) -> None:
    """Let frames from one to the other travel without their Ethernet header."""
    elided = receiver.mac + sender.mac
    allow(sender, receiver, elided=elided)
    key = key_of(sender, receiver, NETWORK, SESSION)
    index = index_of(sender, receiver, NETWORK, SESSION)
    sender.do(
        InstallSend(
            receiver.fingerprint, SESSION, NETWORK, index, CIPHER, key, key[:4], elided=elided
        )
    )


def push(host: Host, frame: bytes, offload: Offload | None) -> list[Transmit | TransmitTrain]:
    host.engine.handle_frame(NETWORK, frame, host.now, offload)
    sent = []
    while (output := host.engine.poll_output()) is not None:
        assert not isinstance(output, Deliver)
        sent.append(output)
    return sent


def pull(host: Host, sent: list[Transmit | TransmitTrain], source: Endpoint) -> list[Deliver]:
    batch = [
        Received(one.datagram, 0, source)
        if isinstance(one, Transmit)
        else Received(one.datagrams, one.stride, source)
        for one in sent
    ]
    host.engine.handle_datagrams(batch, host.now)
    delivered = []
    while (output := host.engine.poll_output()) is not None:
        assert isinstance(output, Deliver)
        delivered.append(output)
    return delivered


def cut(sent: list[Transmit | TransmitTrain]) -> list[bytes]:
    datagrams: list[bytes] = []
    for one in sent:
        if isinstance(one, Transmit):
            datagrams.append(one.datagram)
        else:
            run, stride = one.datagrams, one.stride
            datagrams += [run[at : at + stride] for at in range(0, len(run), stride)]
    return datagrams


def flags(sent: list[Transmit | TransmitTrain]) -> list[int]:
    return [datagram[0] & 0x7F for datagram in cut(sent)]


def between(a: Host, b: Host, payload: int = 20_000, **fields: object) -> Packet:
    packet = Packet(payload=bytes(i & 0xFF for i in range(payload)), source=a.mac)
    return packet.but(destination=b.mac, **fields)


def pair(*, offloads: PortOffloads = ALL, size: int = 1472) -> list[Host]:
    hosts = make_mesh(2, size=size)
    for host in hosts:
        host.do(SetPortOffloads(NETWORK, offloads))
    return hosts


KINDS = [
    {},
    {"version": 6, "options": b"\1\1\x08\x0a" + bytes(8)},
    {"tags": b"\x81\x00\0\x09", "flags": ACK | PSH},
    {"protocol": UDP},
    {"protocol": UDP, "version": 6},
]


@pytest.mark.parametrize("fields", KINDS, ids=str)
@pytest.mark.parametrize("elided", [False, True])
def test_super_frame_leaves_as_a_train_and_arrives_whole(
    *, fields: dict[str, object], elided: bool
) -> None:
    a, b = pair()
    if elided:
        elide(a, b)
    packet = between(a, b).but(**fields)
    sent = push(a, packet.frame(is_open=True), packet.gso(1300))
    assert [type(one) for one in sent] == [TransmitTrain]
    first = CSUM | (ELIDED if elided and not packet.tags else 0)
    assert flags(sent) == [first] + [first | CONT] * (len(cut(sent)) - 1)
    (deliver,) = pull(b, sent, a.endpoint)
    assert deliver == Deliver(NETWORK, packet.frame(is_open=True), packet.gso(1300))


def test_tcp_is_cut_at_the_path_and_never_in_pieces() -> None:
    a, b = pair(size=1300)
    packet = between(a, b)
    sent = push(a, packet.frame(is_open=True), packet.gso(1448))
    lengths = [len(datagram) for datagram in cut(sent)]
    assert set(lengths[:-1]) == {1300} and lengths[-1] <= 1300
    (deliver,) = pull(b, sent, a.endpoint)
    assert deliver == Deliver(NETWORK, packet.frame(is_open=True), packet.gso(1300 - 24 - 54))


def test_lone_tcp_segment_that_does_not_fit_is_cut_in_two() -> None:
    a, b = pair()
    packet = between(a, b, 1460)
    sent = push(a, packet.frame(is_open=True), packet.offload)
    assert flags(sent) == [CSUM, CSUM | CONT]
    (deliver,) = pull(b, sent, a.endpoint)
    assert deliver.frame == packet.frame(is_open=True)


def test_what_may_not_be_cut_goes_in_pieces_with_its_sum() -> None:
    a, b = pair(size=1300)
    for fields in ({"df": False}, {"protocol": UDP}):
        packet = between(a, b, 2800, **fields)
        sent = push(a, packet.frame(is_open=True), packet.gso(1400))
        assert flags(sent) == [FRAG] * 4
        (deliver,) = pull(b, sent, a.endpoint)
        assert deliver == Deliver(NETWORK, packet.frame(is_open=True), packet.gso(1400))


def test_trains_hold_no_more_than_every_kernel_takes() -> None:
    a, b = pair()
    packet = between(a, b, 65_000)
    for size in (1390, 200):
        sent = push(a, packet.frame(is_open=True), packet.gso(size))
        for one in sent:
            assert isinstance(one, TransmitTrain)
            assert len(one.datagrams) <= 65_000
            assert 2 <= -(-len(one.datagrams) // one.stride) <= 63
        delivered = pull(b, sent, a.endpoint)
        payload = b"".join(each.frame[packet.headers :] for each in delivered)
        assert payload == packet.payload


def test_port_without_offloads_gets_complete_frames() -> None:
    a, b = pair()
    b.do(SetPortOffloads(NETWORK, PortOffloads()))
    packet = between(a, b, 5000)
    delivered = pull(b, push(a, packet.frame(is_open=True), packet.gso(1300)), a.endpoint)
    assert [each.offload for each in delivered] == [None] * 4
    for each in delivered:
        check(each.frame, packet, is_open=False)


def test_port_with_open_checksums_alone_gets_segments() -> None:
    a, b = pair()
    b.do(SetPortOffloads(NETWORK, PortOffloads(checksum=True)))
    packet = between(a, b, 5000)
    delivered = pull(b, push(a, packet.frame(is_open=True), packet.gso(1300)), a.endpoint)
    assert [each.offload for each in delivered] == [packet.offload] * 4
    for each in delivered:
        check(each.frame, packet, is_open=True)


def test_open_checksum_travels_open() -> None:
    a, b = pair()
    packet = between(a, b, 100)
    sent = push(a, packet.frame(is_open=True), packet.offload)
    assert flags(sent) == [CSUM]
    assert pull(b, sent, a.endpoint) == [
        Deliver(NETWORK, packet.frame(is_open=True), packet.offload)
    ]


def test_open_checksum_that_may_not_travel_is_completed() -> None:
    a, b = pair()
    packet = between(a, b, 100, version=6, extensions=extension(TCP))
    sent = push(a, packet.frame(is_open=True), packet.offload)
    assert flags(sent) == [0]
    assert pull(b, sent, a.endpoint) == [Deliver(NETWORK, packet.frame())]


def test_flooded_super_frame_is_sealed_for_each_and_counts_as_its_segments() -> None:
    hosts = make_mesh(3)
    packet = Packet(payload=bytes(12_000), source=hosts[0].mac, destination=BROADCAST, protocol=UDP)
    a, *others = hosts
    for host in others:
        host.do(SetPortOffloads(NETWORK, ALL))
    sent = push(a, packet.frame(is_open=True), packet.gso(1200))
    assert [one.endpoint for one in sent] == [host.endpoint for host in others]
    for one, host in zip(sent, others, strict=True):
        assert pull(host, [one], a.endpoint) == [
            Deliver(NETWORK, packet.frame(is_open=True), packet.gso(1200))
        ]
    for _ in range(99):
        push(a, packet.frame(is_open=True), packet.gso(1200))
    assert DropReason.STORM not in a.drops
    assert push(a, packet.frame(is_open=True), packet.gso(1200)) == []
    assert a.drops[DropReason.STORM] == 1


def test_held_super_frame_leaves_when_there_is_a_path() -> None:
    a, b = pair()
    a.do(SetPath(b.fingerprint, None))
    packet = between(a, b)
    assert push(a, packet.frame(is_open=True), packet.gso(1300)) == []
    a.engine.execute(SetPath(b.fingerprint, Path(b.endpoint)), a.now)
    sent = []
    while (output := a.engine.poll_output()) is not None:
        assert not isinstance(output, Deliver)
        sent.append(output)
    assert [deliver.frame for deliver in pull(b, sent, a.endpoint)] == [packet.frame(is_open=True)]


def test_planet_forwards_a_merged_buffer_as_one_train() -> None:
    (planet,) = make_mesh(1)
    left, right = Endpoint("192.0.2.1", 1), Endpoint("192.0.2.2", 2)
    planet.do(SetRelay(9, left, right, b"l" * 32, b"r" * 32))
    run = b"".join(frame_relay(9, bytes([number]) * 100) for number in range(5))[:-30]
    planet.engine.handle_datagrams([Received(run, 108, left)], planet.now)
    assert planet.engine.poll_output() == TransmitTrain(run, 108, right)
    assert planet.engine.counters()["relayed_packets"] == 5
    mixed = run + frame_relay(8, b"x" * 70)
    planet.engine.handle_datagrams([Received(mixed[:216] + mixed[-78:], 108, left)], planet.now)
    assert planet.engine.counters()["relayed_packets"] == 7
    assert planet.drops[DropReason.UNKNOWN_RELAY] == 1


def test_lying_metadata_are_dropped() -> None:
    a, b = pair()
    packet = between(a, b, 5000)
    for wrong in (
        packet.gso(0),
        packet.gso(1000)._replace(csum_start=3),
        packet.gso(1000)._replace(gso_type=7),
        Offload(0, 0, 65535, 65535, needs_csum=True),
    ):
        assert push(a, packet.frame(is_open=True), wrong) == []
    assert a.drops == {DropReason.BAD_OFFLOAD: 4}
    assert push(a, packet.frame(is_open=True), packet.gso(1480)) == []
    assert a.drops[DropReason.BAD_FRAME] == 1  # a segment of it would be a giant


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_hostile_peer_hurts_nobody(data: st.DataObject) -> None:
    """Authentic datagrams with any flags and any text: no exception, nothing but valid frames."""
    a, b = pair()
    elide(a, b)
    packet = between(
        a, b, data.draw(st.integers(0, 300)), flags=ACK | FIN * data.draw(st.booleans())
    )
    key = transport_of(key_of(a, b, NETWORK, SESSION))
    word = 0x80 << 24 | index_of(a, b, NETWORK, SESSION)
    sent: list[Transmit | TransmitTrain] = []
    for counter in range(data.draw(st.integers(1, 5))):
        text = bytearray(packet.frame(is_open=True))
        for _ in range(data.draw(st.integers(0, 2))):
            text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
        skip = data.draw(st.sampled_from([0, 14]))
        flag = data.draw(st.sampled_from([0, CONT, CSUM, CSUM | CONT, ELIDED, FRAG, 0x1C, 0x20]))
        header = (word | flag << 24).to_bytes(4, "big") + counter.to_bytes(4, "big")
        sent.append(Transmit(header + key.seal(counter, header, bytes(text[skip:])), b.endpoint))
    for deliver in pull(b, sent, a.endpoint):
        if deliver.offload is not None:
            end = deliver.offload.csum_start + deliver.offload.csum_offset + 2
            assert deliver.offload.needs_csum and end <= len(deliver.frame)
