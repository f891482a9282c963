"""Whatever bytes come, an engine neither raises nor changes anything but its counters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.interface import AddRelayLeg, DropReason, SetGuard, SetRelay, SetUnderlay
from tests.engine.lab import (
    ELSEWHERE,
    NETWORK,
    SESSION,
    Host,
    ethernet,
    index_of,
    make_mesh,
    sealed,
    tagged,
)
from tests.engine.test_data import state_of
from tests.engine.test_guard import PUBLIC

RELAY = 5


def ready(*, real: bool = True) -> tuple[Host, Host]:
    a, b = make_mesh(2, real=real)
    b.do(
        SetGuard(PUBLIC, bytes(32)),
        AddRelayLeg(RELAY, ELSEWHERE),
        SetRelay(RELAY + 1, a.endpoint, a.endpoint, b"l" * 32, b"r" * 32),
        SetUnderlay(9993, frozenset({"10.0.0.1", "fe80::1"})),
    )
    return a, b


def prefixes() -> list[bytes]:
    a, b = ready()
    index = index_of(a, b, NETWORK, SESSION).to_bytes(3, "big")
    relay = b"\x04" + RELAY.to_bytes(7, "big")
    data = [bytes([0x80 | flags]) + index for flags in (0, 1, 2, 4, 8, 16, 32, 127)]
    plain = [b"", b"\x01\x01\0\0", b"\x02\x01\0\0", b"\x03\x01\0\0", relay, *data]
    return plain + [relay + one for one in plain]


@given(st.sampled_from(prefixes()), st.binary(max_size=600))
def test_datagrams_of_strangers_change_nothing(prefix: bytes, rest: bytes) -> None:
    _, b = ready()
    before = state_of(b)
    b.engine.handle_datagram(prefix + rest, ELSEWHERE, b.now)
    assert state_of(b) == before and b.outputs() == [] and not b.delivered
    if len(prefix + rest) not in {64, 72}:  # a COOKIE of right shape goes up
        assert b.heard() == [] and sum(b.drops.values()) == 1


@given(st.integers(0, 127), st.binary(max_size=200), st.booleans())
def test_plaintexts_of_members_never_raise(flags: int, text: bytes, is_framed: bool) -> None:  # noqa: FBT001
    a, b = ready(real=False)
    if is_framed:
        text = ethernet(b.mac, a.mac, text, 0x0800)
    b.engine.handle_datagram(sealed(a, b, flags, text, 0), a.endpoint, b.now)
    assert b.outputs() == []
    assert len(b.delivered) + sum(b.drops.values()) <= 1


KINDS = st.sampled_from([0x0800, 0x86DD, 0x8100, 0x88A8, 0x0806])
MACS = st.sampled_from(
    [b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02", b"\xff" * 6, b"\x01\x80\xc2\0\0\x0e"]
)


@given(MACS, st.one_of(MACS, st.binary(min_size=6, max_size=6)), KINDS, st.binary(max_size=80))
def test_frames_of_the_port_leave_or_are_counted(
    target: bytes, source: bytes, kind: int, payload: bytes
) -> None:
    a, b = ready(real=False)
    for frame in (
        ethernet(target, source, payload, kind),
        tagged(ethernet(target, source, payload, kind), 7),
        payload,
    ):
        before = sum(b.drops.values())
        out = b.send(frame)
        assert len(out) + sum(b.drops.values()) - before == 1
        assert not b.delivered and all(one.endpoint == a.endpoint for one in out)


@pytest.mark.parametrize("reason", list(DropReason))
def test_every_reason_is_provoked_by_a_test(reason: DropReason) -> None:
    from pathlib import Path

    text = "".join(one.read_text() for one in Path(__file__).parent.glob("test_*.py"))
    assert f"DropReason.{reason.name}" in text
