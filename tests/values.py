"""Strategies for every value that has a wire form, each giving only values that may be sent."""

from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network

from hypothesis import strategies as st

from l2mesh.credential.config import Bpdu, Guard, NetworkConfig, Route
from l2mesh.credential.joinstring import JoinString
from l2mesh.credential.membership import MembershipCredential, Right
from l2mesh.credential.revocation import Revocations, Revoked
from l2mesh.wire import control, message
from l2mesh.wire.endpoint import Endpoint

U8 = st.integers(0, 2**8 - 1)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
NETWORKS = st.builds(
    lambda controller, number: controller << 24 | number,
    st.integers(1, 0xFEFFFFFFFF),
    st.integers(1, 2**24 - 1),
)
RELAYS = st.integers(1, 2**56 - 1)
FINGERPRINTS = st.binary(min_size=32, max_size=32)
VLANS = st.integers(0, 4095)
TAGS = st.binary(min_size=16, max_size=16)
PUBLICS = st.binary(min_size=128, max_size=128)
SIGNED = st.binary(min_size=1, max_size=300)
TOKENS = st.binary(min_size=16, max_size=32)
ADDRESSES = st.integers(1, 0xFEFFFFFFFF).map(lambda number: number.to_bytes(5, "big"))
MACS = st.integers(1, 2**40).map(lambda number: b"\x02" + number.to_bytes(6, "big")[1:])
NAMES = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"],
        exclude_characters="\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    ),
    max_size=64,
)

HOSTS = (st.ip_addresses(v=4) | st.ip_addresses(v=6)).filter(
    lambda host: int(host) != 0 and (host.version == 4 or host.ipv4_mapped is None)
)
ENDPOINTS = st.builds(Endpoint, HOSTS.map(str), st.integers(1, 65535), uplink=st.just(0))


def _width(host: IPv4Address | IPv6Address) -> int:
    return 32 if host.version == 4 else 128


def _prefix(host: IPv4Address | IPv6Address, length: int) -> str:
    return str(ip_network(f"{host}/{length % (_width(host) + 1)}", strict=False))


def _interface(host: IPv4Address | IPv6Address, length: int) -> str:
    return str(ip_interface(f"{host}/{length % (_width(host) + 1)}"))


PREFIXES = st.builds(_prefix, HOSTS, U8)
INTERFACES = st.builds(_interface, HOSTS, U8)


# --- records ------------------------------------------------------------------------------------

RECORDS: st.SearchStrategy[control.Record] = st.one_of(
    st.builds(control.Ack, U32, U32),
    st.builds(control.Chunk, U32, st.integers(0, 3), st.binary(max_size=1024)),
    st.builds(control.Probe, U64),
    st.builds(control.ProbeReply, U64, st.none() | ENDPOINTS),
    st.builds(control.Held, U64, U32),
    st.builds(control.Close, U8),
)


# --- messages -----------------------------------------------------------------------------------


def _tuples(one: st.SearchStrategy[object], most: int) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(one, max_size=most).map(tuple)


_LANES = st.lists(
    st.builds(message.LaneIndex, U8, st.integers(1, 2**24 - 1)),
    max_size=8,
    unique_by=lambda entry: entry.lane,
).map(tuple)

_GROUPS = st.one_of(
    st.binary(min_size=3, max_size=3).map(lambda rest: b"\xef" + rest),
    st.binary(min_size=15, max_size=15).map(lambda rest: b"\xff" + rest),
)

MESSAGES: st.SearchStrategy[message.Message] = st.one_of(
    st.builds(message.Whois, ADDRESSES),
    st.builds(message.WhoisReply, ADDRESSES, _tuples(PUBLICS, 4)),
    st.builds(message.RelayRequest, FINGERPRINTS),
    st.builds(message.RelayOffer, RELAYS, PUBLICS),
    st.builds(message.RelayAnswer, RELAYS, st.booleans()),
    st.builds(message.RelayReady, RELAYS, FINGERPRINTS),
    st.builds(message.RelayFailed, FINGERPRINTS, st.sampled_from(message.RelayFailure)),
    st.builds(message.RelayRenew, _tuples(RELAYS, 8)),
    st.builds(message.RelayGone, _tuples(RELAYS, 8)),
    st.builds(message.Draining, st.booleans()),
    st.builds(message.LinkRequest, RELAYS, PUBLICS, FINGERPRINTS),
    st.builds(message.LinkAnswer, RELAYS, st.booleans()),
    st.builds(message.LinkGone, _tuples(RELAYS, 8)),
    st.builds(
        message.Join,
        network=NETWORKS,
        name=NAMES,
        token=st.none() | TOKENS,
        config=U64,
        roster=U64,
        serial=U64,
        epoch=U64,
        revocations=U32,
    ),
    st.builds(message.JoinReply, NETWORKS, st.sampled_from(message.JoinStatus), NAMES),
    st.builds(message.Config, NETWORKS, SIGNED),
    st.builds(message.Credential, NETWORKS, SIGNED),
    st.builds(
        message.Roster,
        NETWORKS,
        U64,
        U64,
        _tuples(st.builds(message.RosterMember, SIGNED, PUBLICS), 4),
        _tuples(FINGERPRINTS, 4),
    ),
    st.builds(message.Revocations, NETWORKS, SIGNED),
    st.builds(message.Leave, NETWORKS),
    st.builds(message.HaveWorld, FINGERPRINTS, st.integers(1, 2**64 - 1)),
    st.builds(message.WorldUpdate, SIGNED),
    st.builds(message.Meet, NETWORKS, U32, SIGNED, U64),
    st.builds(message.Indices, NETWORKS, _LANES),
    st.builds(message.Want, NETWORKS, U32),
    st.builds(message.Refuse, NETWORKS),
    st.lists(ENDPOINTS, max_size=8).map(lambda some: message.Candidates.of(tuple(some))),
    st.builds(message.Sighted, NETWORKS, VLANS, TAGS),
    st.builds(message.SightingConfirmed, NETWORKS, VLANS, TAGS),
    st.builds(
        message.Relearn, NETWORKS, st.lists(FINGERPRINTS, min_size=1, max_size=16).map(tuple)
    ),
    st.builds(
        message.WantedGroups,
        NETWORKS,
        U32,
        _tuples(st.builds(message.Listed, VLANS, st.sampled_from((4, 6)), st.booleans()), 8),
        _tuples(st.builds(message.WantedGroup, VLANS, _GROUPS), 8),
    ),
    st.builds(message.Replicate, NETWORKS, U32, _tuples(FINGERPRINTS, 4)),
    st.builds(message.Replicating, NETWORKS, U32, _tuples(FINGERPRINTS, 4)),
)


# --- signed bodies ------------------------------------------------------------------------------

CREDENTIALS = st.builds(
    MembershipCredential,
    network=NETWORKS,
    fingerprint=FINGERPRINTS,
    address=ADDRESSES,
    mac=MACS,
    name=NAMES,
    addresses=_tuples(INTERFACES, 4),
    rights=_tuples(st.sampled_from([str(right) for right in Right]), 5),
    groups=_tuples(NAMES, 4),
    tags=st.dictionaries(NAMES, NAMES, max_size=4),
    serial=U64,
    epoch=U64,
    expires=st.none() | U64,
)

_RATES = st.sampled_from(["pass", "drop"]) | U32


def _route(destination: IPv4Address | IPv6Address, via: int, length: int) -> Route:
    gateway = type(destination)(via % 2 ** _width(destination))
    return Route(_prefix(destination, length), str(gateway) if via else None)


CONFIGS = st.builds(
    NetworkConfig,
    network=NETWORKS,
    revision=U64,
    name=NAMES,
    mtu=st.integers(576, 9000),
    pools=_tuples(PREFIXES, 4),
    routes=_tuples(st.builds(_route, HOSTS, U64, U8), 4),
    dns=_tuples(HOSTS.map(str), 4),
    guard=st.sampled_from(Guard),
    broadcast=_RATES,
    multicast=_RATES,
    unknown_unicast=_RATES,
    arp=_RATES,
    nd=_RATES,
    discovery=_RATES,
    bpdu=st.sampled_from(Bpdu),
    public=st.booleans(),
)

_REVOKED = st.lists(
    st.builds(Revoked, FINGERPRINTS, U64), max_size=6, unique_by=lambda entry: entry.fingerprint
).map(lambda entries: tuple(sorted(entries)))
REVOCATIONS = st.builds(
    Revocations, network=NETWORKS, revision=U32, minimum_epoch=U64, revoked=_REVOKED
)

JOIN_STRINGS = st.builds(
    JoinString,
    NETWORKS,
    FINGERPRINTS,
    st.none() | st.binary(min_size=1, max_size=300),
    st.none() | TOKENS,
)
