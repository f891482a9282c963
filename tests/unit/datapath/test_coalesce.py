import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2mesh.datapath.interface import Deliver, Offload, PortOffloads
from l2mesh.datapath.reference.superframe.coalesce import Coalescer
from l2mesh.datapath.reference.superframe.split import parse_superframe, split
from tests.packets import ACK, CWR, ECE, FIN, PSH, SYN, TCP, UDP, URG, Packet, check, extension

ALL = PortOffloads(checksum=True, tso=True, uso=True)
TAG = b"\x81\x00\x20\x05"


def merge(
    *packets: Packet, offloads: PortOffloads = ALL, is_open: bool = True
) -> list[tuple[int, bytes]]:
    """What becomes of packets in one batch: gso_size and payload of each frame."""
    delivered = coalesce([(each.frame(is_open=is_open), is_open) for each in packets], offloads)
    return [
        (each.offload.gso_size if each.offload else 0, each.frame[packets[0].headers :])
        for each in delivered
    ]


def coalesce(frames: list[tuple[bytes, bool]], offloads: PortOffloads = ALL) -> list[Deliver]:
    coalescer = Coalescer()
    for frame, is_open in frames:
        coalescer.add(1, offloads, frame, is_open=is_open)
    delivered = coalescer.flush()
    assert coalescer.flush() == []
    return delivered


def run(packet: Packet, *sizes: int) -> list[Packet]:
    """Packets of one flow that follow each other."""
    packets, sequence = [], packet.sequence
    for index, size in enumerate(sizes):
        packets.append(
            packet.but(
                payload=bytes([index + 1]) * size,
                sequence=sequence % 2**32,
                identification=(packet.identification + index) % 0x10000,
            )
        )
        sequence += size
    return packets


BASE = Packet(payload=b"")
KINDS = [
    BASE,
    BASE.but(version=6),
    BASE.but(protocol=UDP),
    BASE.but(protocol=UDP, version=6),
    BASE.but(tags=TAG, options=b"\1\1\x08\x0a" + bytes(8)),
    BASE.but(df=False, identification=0xFFFF, sequence=2**32 - 50),
]


@pytest.mark.parametrize("base", KINDS)
@pytest.mark.parametrize("is_open", [True, False])
def test_a_run_becomes_one_super_frame(*, base: Packet, is_open: bool) -> None:
    packets = run(base, 100, 100, 100, 7)
    (deliver,) = coalesce([(packet.frame(is_open=is_open), is_open) for packet in packets])
    payload = b"".join(packet.payload for packet in packets)
    assert deliver.frame == packets[0].but(payload=payload).frame(is_open=True)
    assert deliver.offload == base.gso(100)


@given(
    base=st.sampled_from(KINDS),
    payload=st.binary(min_size=1, max_size=5000),
    size=st.integers(80, 1500),
    push=st.booleans(),
    is_open=st.booleans(),
)
def test_split_then_coalesce_gives_the_original(
    *, base: Packet, payload: bytes, size: int, push: bool, is_open: bool
) -> None:
    packet = base.but(payload=payload, flags=ACK | (PSH if push else 0))
    frame = packet.frame(is_open=True)
    whole = parse_superframe(frame, packet.gso(size))
    assert whole is not None
    (deliver,) = coalesce([(segment, is_open) for segment in split(whole, size, is_open=is_open)])
    if len(payload) > size:
        assert deliver == Deliver(1, frame, packet.gso(size))
    else:
        assert deliver == Deliver(
            1, packet.frame(is_open=is_open), packet.offload if is_open else None
        )


def test_a_frame_alone_stays_as_it_is() -> None:
    packet = BASE.but(payload=b"x")
    padded = packet.frame().ljust(60, b"\0")
    assert coalesce([(padded, False)]) == [Deliver(1, padded)]
    assert coalesce([(packet.frame(is_open=True), True)]) == [
        Deliver(1, packet.frame(is_open=True), packet.offload)
    ]


def test_an_open_field_gets_the_right_sum_whatever_it_held() -> None:
    packet = BASE.but(payload=b"x")
    frame = bytearray(packet.frame(is_open=True))
    frame[50:52] = b"\x12\x34"
    assert coalesce([(bytes(frame), True)])[0].frame == packet.frame(is_open=True)


@pytest.mark.parametrize(
    "change",
    [
        {"source": b"\x02\0\0\0\0\x0c"},
        {"traffic_class": 1},
        {"ttl": 63},
        {"df": False},
        {"acknowledgement": 78},
        {"window": 501},
        {"flags": ACK | ECE},
        {"sequence": 100},
        {"sequence": 102},
        {"options": b"\1\1\1\1"},
        {"tags": TAG},
    ],
    ids=str,
)
def test_what_differs_is_not_merged(change: dict[str, object]) -> None:
    first, second = run(BASE, 100, 100)
    assert len(merge(first, second)) == 1
    assert len(coalesce([(first.frame(), False), (second.but(**change).frame(), False)])) == 2


def test_without_df_identifications_count_up() -> None:
    first, second = run(BASE.but(df=False), 100, 100)
    assert len(merge(first, second)) == 1
    assert len(merge(first, second.but(identification=9))) == 2
    first, second = run(BASE, 100, 100)
    assert len(merge(first, second.but(identification=9))) == 1


@given(
    identification=st.integers(0xFFC0, 0xFFFF) | st.integers(0, 0xFFFF),
    sequence=st.integers(2**32 - 6000, 2**32 - 1),
    ttl=st.integers(1, 255),
    df=st.booleans(),
    size=st.integers(90, 110),
)
def test_no_field_that_wraps_around_ends_or_spoils_a_super_frame(
    *, identification: int, sequence: int, ttl: int, df: bool, size: int
) -> None:
    """All that differs from one to the next: identification, checksum and sequence number."""
    packet = BASE.but(
        identification=identification, sequence=sequence, ttl=ttl, df=df, payload=bytes(5000)
    )
    whole = parse_superframe(packet.frame(is_open=True), packet.gso(size))
    assert whole is not None
    cut = list(split(whole, size, is_open=True))
    sizes = [size] * (5000 // size) + [5000 % size] * (5000 % size > 0)
    expected = [each.but(payload=bytes(len(each.payload))) for each in run(packet, *sizes)]
    assert cut == [each.frame(is_open=True) for each in expected]
    (deliver,) = coalesce([(segment, True) for segment in cut])
    assert deliver == Deliver(1, packet.frame(is_open=True), packet.gso(size))


def test_a_segment_that_has_joined_does_not_join_again() -> None:
    first, second, third = run(BASE, 100, 100, 100)
    opened, summed = second.frame(is_open=True), second.frame()
    before = [(first.frame(is_open=True), True)]
    for twice in ([(summed, False), (opened, True)], [(opened, True), (opened, True)]):
        after = [(third.frame(is_open=True), True)]
        assert [len(each.frame) for each in coalesce(before + twice + after)] == [254, 254]


def test_a_longer_or_shorter_payload_ends_it() -> None:
    assert [size for size, _ in merge(*run(BASE, 100, 101))] == [0, 0]
    assert [size for size, _ in merge(*run(BASE, 100, 99, 99))] == [100, 0]
    assert [size for size, _ in merge(*run(BASE.but(protocol=UDP), 100, 99, 99))] == [100, 0]


def test_push_ends_it_and_is_kept() -> None:
    first, second, third = run(BASE, 100, 100, 100)
    second = second.but(flags=ACK | PSH)
    (merged, alone) = coalesce([(p.frame(), False) for p in (first, second, third)])
    assert merged.frame[47] == ACK | PSH and alone.frame == third.frame()


def test_sixty_four_frames_and_64_kib_are_the_most() -> None:
    assert [len(payload) for _, payload in merge(*run(BASE, *[10] * 70))] == [640, 60]
    assert [len(payload) for _, payload in merge(*run(BASE, *[1400] * 50))] == [64400, 5600]
    assert [len(payload) for _, payload in merge(*run(BASE.but(version=6), *[1400] * 50))] == [
        64400,
        5600,
    ]


@pytest.mark.parametrize("flag", [SYN, FIN, URG, CWR, 0x04])
def test_other_flags_go_alone_and_end_the_flow(flag: int) -> None:
    packets = run(BASE, 100, 100, 100, 100)
    packets[2] = packets[2].but(flags=ACK | flag)
    assert [len(payload) for _, payload in merge(*packets)] == [200, 100, 100]


def test_a_pure_acknowledgement_ends_nothing() -> None:
    first, second = run(BASE, 100, 100)
    answer = BASE.but(sequence=101)
    assert [len(payload) for _, payload in merge(first, answer, second)] == [200, 0]


def test_flows_are_merged_side_by_side() -> None:
    ours, theirs = run(BASE, 100, 100, 100), run(BASE.but(ports=(5, 6)), 50, 50, 50)
    mixed = [packet for pair in zip(ours, theirs, strict=True) for packet in pair]
    assert [len(payload) for _, payload in merge(*mixed)] == [300, 150]


def test_what_hides_a_flow_ends_all() -> None:
    first, second = run(BASE, 100, 100)
    for hiding in (
        BASE.but(fragment=0x2000, df=False, payload=b"f"),
        BASE.but(ip_options=b"\1\1\1\0", payload=b"f"),
        BASE.but(version=6, extensions=extension(TCP), payload=b"f"),
    ):
        frames = [(packet.frame(), False) for packet in (first, hiding, second)]
        assert len(coalesce(frames)) == 3
    arp = BASE.frame()[:12] + b"\x08\x06" + bytes(28)
    assert len(coalesce([(first.frame(), False), (arp, False), (second.frame(), False)])) == 2


def test_a_wrong_sum_is_not_made_right() -> None:
    for base, at in ((BASE, 50), (BASE, 24), (BASE.but(protocol=UDP), 40)):
        first, second = run(base, 100, 100)
        wrong = bytearray(second.frame())
        wrong[at] ^= 1
        delivered = coalesce([(first.frame(), False), (bytes(wrong), False)])
        assert [each.frame for each in delivered] == [first.frame(), bytes(wrong)]


def test_udp_without_a_checksum_is_not_given_one() -> None:
    frames = []
    for packet in run(BASE.but(protocol=UDP), 100, 100):
        frame = bytearray(packet.frame())
        frame[40:42] = bytes(2)
        frames.append((bytes(frame), False))
    assert [each.frame for each in coalesce(frames)] == [frame for frame, _ in frames]


def test_padding_is_left_off() -> None:
    first, second = run(BASE.but(protocol=UDP), 10, 10)
    frames = [(packet.frame().ljust(60, b"\0"), False) for packet in (first, second)]
    (deliver,) = coalesce(frames)
    assert deliver.frame == first.but(payload=first.payload + second.payload).frame(is_open=True)


def test_only_what_the_port_understands() -> None:
    tcp, udp = run(BASE, 100, 100), run(BASE.but(protocol=UDP), 100, 100)
    assert len(merge(*tcp, offloads=PortOffloads(checksum=True, uso=True))) == 2
    assert len(merge(*udp, offloads=PortOffloads(checksum=True, tso=True))) == 2


def test_networks_are_apart() -> None:
    coalescer = Coalescer()
    for network, packet in zip((1, 2), run(BASE, 100, 100), strict=True):
        coalescer.add(network, ALL, packet.frame(), is_open=False)
    assert [deliver.network for deliver in coalescer.flush()] == [1, 2]


@settings(max_examples=300)
@given(st.data())
def test_no_frames_do_harm_and_what_is_merged_is_valid(data: st.DataObject) -> None:
    """Hostile frames: each comes out as it was, or in a super-frame that cuts into them again."""
    frames: list[tuple[bytes, bool]] = []
    base = data.draw(st.sampled_from(KINDS))
    for packet in run(base, *data.draw(st.lists(st.integers(0, 120), min_size=1, max_size=6))):
        frame = bytearray(packet.frame())
        for _ in range(data.draw(st.sampled_from([0, 0, 0, 1, 2]))):
            frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
        frames.append((bytes(frame[: data.draw(st.just(len(frame)) | st.integers(14, 60))]), False))
    left = [frame for frame, _ in frames]
    for deliver in coalesce(frames):
        if deliver.offload is None or not deliver.offload.gso_type:
            left.remove(deliver.frame)
            continue
        whole = parse_superframe(deliver.frame, deliver.offload)
        assert whole is not None
        check(deliver.frame, base, is_open=True)
        for segment in split(whole, whole.gso_size, is_open=False):
            left.remove(next(one for one in left if _same(one, segment)))
    assert not left


def _same(frame: bytes, segment: bytes) -> bool:
    """Equal, but for the identification of IPv4 and padding."""
    at = frame.find(b"\x45\0", 12, 22)
    if at < 0:
        return frame == segment
    return (
        frame[: at + 4] == segment[: at + 4]
        and frame[at + 6 : at + 10] == segment[at + 6 : at + 10]
        and frame[at + 12 : len(segment)] == segment[at + 12 :]
    )


def test_offload_says_the_kind() -> None:
    assert BASE.but(version=6).gso(9) == Offload(4, 9, 54, 16, needs_csum=True)
    assert BASE.but(protocol=UDP).gso(9) == Offload(5, 9, 34, 6, needs_csum=True)
