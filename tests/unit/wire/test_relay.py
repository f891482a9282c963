"""RELAY datagrams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.errors import MalformedPacket
from l2mesh.wire.relay import frame_relay, split_relay
from tests.values import RELAYS


@given(RELAYS, st.binary(min_size=1))
def test_relay_round_trips(relay: int, inner: bytes) -> None:
    datagram = frame_relay(relay, inner)
    assert datagram[:1] == b"\x04"
    assert datagram[1:8] == relay.to_bytes(7, "big")
    assert split_relay(datagram) == (relay, inner)


@pytest.mark.parametrize("relay", [0, -1, 2**56])
def test_id_that_names_no_relay_is_refused(relay: int) -> None:
    with pytest.raises(MalformedPacket):
        frame_relay(relay, b"a")


def test_datagram_with_nothing_inside_is_refused() -> None:
    whole = frame_relay(1, b"a")
    for size in range(len(whole)):
        with pytest.raises(MalformedPacket):
            split_relay(whole[:size])


def test_other_type_and_id_0_are_refused() -> None:
    for datagram in (b"\x05" + bytes(6) + b"\1a", b"\x04" + bytes(7) + b"a"):
        with pytest.raises(MalformedPacket):
            split_relay(datagram)
