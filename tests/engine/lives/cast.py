"""Who and what there is in the lives of two nodes: few of each, so that they meet again."""

from __future__ import annotations

from hashlib import blake2s

from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import Endpoint, PortOffloads
from l2mesh.datapath.reference import Bounds

NAMES = "ab"
NETWORKS = (1, 2)
SESSIONS = (5, 6)
PEERS = [bytes([number]) * 32 for number in range(1, 6)]
"""The first two are the engines themselves, as the other one knows them."""
MACS = [bytes([2, 0, 0, 0, 0, number]) for number in range(1, 7)]
STATIONS = [bytes([2, 0, 0, 0, 1, number]) for number in range(1, 9)]
GROUPS = [bytes.fromhex(mac) for mac in ("0180c2000000", "0180c2000010", "01005e000001")]
GROUPS += [bytes.fromhex(mac) for mac in ("01005e0000fb", "3333ff000001")]
ADDRESSES = [bytes([10, 0, 0, number]) for number in range(1, 6)]
ADDRESSES += [bytes.fromhex("fd") + bytes(14) + bytes([number]) for number in range(1, 6)]
"""Of each kind the first are signed to whom the MACs of the same number are."""
IP_GROUPS = [bytes([239, 1, 2, 3]), bytes([224, 0, 0, 251]), bytes([224, 0, 1, 9])]
IP_GROUPS += [bytes.fromhex(head) + bytes(13) + b"\1" for head in ("ff02", "ff05", "ff01")]
LINK_LOCAL = bytes.fromhex("fe80") + bytes(13) + b"\1"
BROADCAST = b"\xff" * 6
HOSTS = ["192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1", "2001:db8::2", "203.0.113.9"]
ENDPOINTS = [Endpoint(host, 9000 + n) for n, host in enumerate(HOSTS)]
RELAYS = (77, 78, 2**56 - 1)
PUBLIC = bytes(range(32))
SEED = b"s" * 32
OWN = Endpoint("10.0.0.1", 9993)
SIGNERS = [SodiumCrypto().ed25519_from_seed(peer) for peer in PEERS]
"""Secret and public key with which each signs its broadcasts."""
GENERATIONS = (1, 2, 2, 2, 3)
NUMBERS = (1, 2, 3)
OFFLOADS = [
    PortOffloads(),
    PortOffloads(checksum=True),
    PortOffloads(checksum=True, tso=True),
    PortOffloads(checksum=True, tso=True, uso=True),
]

SMALL = Bounds(
    rekey_counter=50,
    refuse_counter=200,
    held_frames=4,
    held_bytes=4000,
    sources_remembered=2,
    fragment_frames=3,
    fragment_bytes=6000,
    pieces=6,
    fdb_per_peer=3,
    fdb_own=4,
    fdb_per_network=6,
    control_upcalls=4,
    event_upcalls=6,
    handshake_upcalls=4,
    guard_burst=2,
    guard_prefixes=2,
    relay_rate=5,
    relay_burst=6,
    capture_frames=5,
    capture_bytes=4000,
    recent_frames=3,
    recent_bytes=4000,
    group_rate=2,
    group_burst=4,
    copy_rate=6,
)


def key_of(*parts: object) -> bytes:
    return blake2s(repr(parts).encode()).digest()


def index_of(*parts: object) -> int:
    """Few slots, so that some are shared."""
    return key_of("index", *parts)[0] % 4 << 16 | key_of(*parts)[0] % 8 + 1
