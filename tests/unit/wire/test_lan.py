"""LAN beacons: recognised by who knows the sender, and by nobody else."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.interface import Endpoint
from l2mesh.wire.lan import BEACON_BYTES, NONCE_BYTES, LanBeacon, seal_beacon

FINGERPRINTS = st.binary(min_size=32, max_size=32)
NONCES = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES)
SOURCES = st.builds(
    Endpoint, st.integers(1, 2**32 - 1).map(lambda n: str(IPv4Address(n))), st.integers(1, 65535)
)
SOURCE = Endpoint("192.168.1.5", 9993)


@given(FINGERPRINTS, NONCES, SOURCES, st.booleans())
def test_beacon_round_trips(
    fingerprint: bytes,
    nonce: bytes,
    source: Endpoint,
    asks: bool,  # noqa: FBT001
) -> None:
    datagram = seal_beacon(fingerprint, nonce, source, asks=asks)
    beacon = LanBeacon.decode(datagram)
    assert len(datagram) == BEACON_BYTES
    assert (beacon.asks, beacon.nonce) == (asks, nonce)
    assert beacon.is_of(fingerprint, source)


@given(FINGERPRINTS, FINGERPRINTS, NONCES)
def test_others_do_not_recognise_the_sender(one: bytes, other: bytes, nonce: bytes) -> None:
    beacon = LanBeacon.decode(seal_beacon(one, nonce, SOURCE, asks=False))
    assert beacon.is_of(other, SOURCE) == (one == other)


def test_beacon_counts_only_from_where_it_was_sent_and_as_it_was() -> None:
    sender = bytes(range(32))
    datagram = seal_beacon(sender, bytes(16), SOURCE, asks=False)
    beacon = LanBeacon.decode(datagram)
    assert not beacon.is_of(sender, Endpoint("192.168.1.6", 9993))
    assert not beacon.is_of(sender, Endpoint("192.168.1.5", 9994))
    for at in (3, 4, 19, 20, 35):
        forged = bytearray(datagram)
        forged[at] ^= 1
        assert not LanBeacon.decode(bytes(forged)).is_of(sender, SOURCE)
