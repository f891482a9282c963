"""Messages, their bodies and the signed objects: sections 6, 6.1, 7.1 and 9."""

import hashlib
import ipaddress
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tests.stranger import pack
from tests.stranger.errors import require
from tests.stranger.identity import (
    Public,
    b64,
    network_id,
    signature_input,
    unb64,
    verify,
)

Check = Callable[[Any], bool]
REQUIRED = object()
NAME_LENGTH, REASON_LENGTH = 64, 256
U64 = 2**64


def uint(low: int = 0, high: int = U64 - 1) -> Check:
    """An integer from `low` to `high`."""
    return lambda value: (
        isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    )


def binary(low: int, high: int | None = None) -> Check:
    """So many bytes."""
    return lambda value: isinstance(value, bytes) and low <= len(value) <= (high or low)


def text(longest: int) -> Check:
    """Text without control characters, line separators and marks of the writing direction."""
    marks = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return lambda value: (
        isinstance(value, str)
        and len(value) <= longest
        and not any(unicodedata.category(sign) in ("Cc", "Zl", "Zp") for sign in value)
        and not marks & set(value)
    )


def word(*allowed: str) -> Check:
    """One of these."""
    return lambda value: isinstance(value, str) and value in allowed


def array(of: Check, most: int = pack.MAX_VALUES, least: int = 0) -> Check:
    """So many elements, each good."""
    return lambda value: (
        isinstance(value, list) and least <= len(value) <= most and all(of(part) for part in value)
    )


def tuple_of(*checks: Check) -> Check:
    """An array of exactly these."""
    return lambda value: (
        isinstance(value, list)
        and len(value) == len(checks)
        and all(check(part) for check, part in zip(checks, value, strict=True))
    )


def optional(check: Check) -> Check:
    """Or nil."""
    return lambda value: value is None or check(value)


def either(*checks: Check) -> Check:
    """Any of these."""
    return lambda value: any(check(value) for check in checks)


def boolean(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def anything(value: Any) -> bool:
    """What is not looked into."""
    return True


def canonical(parse: Callable[[str], Any]) -> Check:
    """Text that is what `parse` would write itself."""

    def check(value: Any) -> bool:
        try:
            return isinstance(value, str) and str(parse(value)) == value
        except ValueError:
            return False

    return check


def by_lane_once(value: Any) -> bool:
    """INDICES: pairs of lane and index, each lane once."""
    pairs = array(tuple_of(uint(0, 255), uint(1, 2**24 - 1)))
    return pairs(value) and len({lane for lane, _ in value}) == len(value)


def ip_version(value: Any) -> bool:
    """Of IP."""
    return uint()(value) and value in (4, 6)


def group(value: Any) -> bool:
    """An IP group of 4 or 16 bytes."""
    if binary(4)(value):
        return bool(224 <= value[0] < 240)
    return binary(16)(value) and bool(value[0] == 255)


def rising(value: Any) -> bool:
    """The sorted entries of revocations."""
    entries = array(tuple_of(binary(32), uint()), 16_384)
    return entries(value) and all(one[0] < other[0] for one, other in pairwise(value))


def tags(value: Any) -> bool:
    """A map of names."""
    name = text(NAME_LENGTH)
    return (
        isinstance(value, dict)
        and len(value) <= 64
        and all(name(part) for pair in value.items() for part in pair)
    )


def route(value: Any) -> bool:
    """`destination` and `via` of one family."""
    if not isinstance(value, dict) or not PREFIX(value.get("destination")):
        return False
    via = value.get("via")
    return via is None or (ADDRESS(via) and (":" in via) == (":" in value["destination"]))


NETWORK, FINGERPRINT, PUBLIC, OBJECT = uint(1), binary(32), binary(128), binary(1, pack.MAX_BYTES)
NAME, REASON, REVISION = text(NAME_LENGTH), text(REASON_LENGTH), uint(0, 2**32 - 1)
PREFIX, ADDRESS = canonical(ipaddress.ip_network), canonical(ipaddress.ip_address)
INTERFACE, RELAY = canonical(ipaddress.ip_interface), uint(1, 2**56 - 1)
LIMIT = either(word("pass", "drop"), uint())
Fields = dict[str, tuple[Check, Any]]


def _needs(**checks: Check) -> Fields:
    return {key: (check, REQUIRED) for key, check in checks.items()}


SIGNED = _needs(network=NETWORK, object=OBJECT)
SIGHTING = _needs(network=NETWORK, vlan=uint(0, 4095), tag=binary(16))
VERBS: dict[int, tuple[str, Fields]] = {
    0x10: ("Whois", _needs(address=binary(5))),
    0x11: ("WhoisReply", _needs(address=binary(5), claims=array(PUBLIC, 4))),
    0x12: ("RelayRequest", _needs(peer=FINGERPRINT)),
    0x13: ("RelayOffer", _needs(relay=RELAY, peer=PUBLIC)),
    0x14: ("RelayAnswer", _needs(relay=RELAY, accept=boolean)),
    0x15: ("RelayReady", _needs(relay=RELAY, peer=FINGERPRINT)),
    0x16: ("RelayFailed", _needs(peer=FINGERPRINT) | {"reason": (REASON, "")}),
    0x17: ("RelayRenew", _needs(relays=array(RELAY, 1024))),
    0x18: ("RelayGone", _needs(relays=array(RELAY, 1024))),
    0x19: ("Draining", _needs(draining=boolean)),
    0x1A: ("LinkRequest", _needs(relay=RELAY, asker=PUBLIC, peer=FINGERPRINT)),
    0x1B: ("LinkAnswer", _needs(relay=RELAY, accept=boolean)),
    0x1C: ("LinkGone", _needs(relays=array(RELAY, 1024))),
    0x20: (
        "Join",
        _needs(network=NETWORK)
        | {"name": (NAME, ""), "token": (optional(binary(16, 32)), None)}
        | {key: (uint(), 0) for key in ("config", "roster", "serial", "epoch")}
        | {"revocations": (REVISION, 0)},
    ),
    0x21: (
        "JoinReply",
        _needs(network=NETWORK, status=word("ok", "pending", "denied", "not_found", "error"))
        | {"reason": (REASON, "")},
    ),
    0x22: ("Config", SIGNED),
    0x23: ("Credential", SIGNED),
    0x24: (
        "Roster",
        _needs(network=NETWORK, base=uint(), revision=uint())
        | {"members": (array(tuple_of(OBJECT, PUBLIC), 4096), [])}
        | {"removed": (array(FINGERPRINT, 4096), [])},
    ),
    0x25: ("Revocations", SIGNED),
    0x26: ("Leave", _needs(network=NETWORK)),
    0x28: ("HaveWorld", _needs(id=FINGERPRINT, revision=uint(1))),
    0x29: ("WorldUpdate", _needs(object=OBJECT)),
    0x30: (
        "Meet",
        _needs(network=NETWORK, revocations=REVISION, credential=OBJECT)
        | {"generation": (uint(), 0)},
    ),
    0x31: ("Indices", _needs(network=NETWORK, indices=by_lane_once)),
    0x32: ("Want", _needs(network=NETWORK, revocations=REVISION)),
    0x33: ("Refuse", _needs(network=NETWORK)),
    0x34: ("Candidates", _needs(endpoints=array(text(64), 8))),
    0x35: (
        "Call",
        _needs(mapping=NAME, endpoints=array(text(64), 4)) | {"step": (uint(), 0)},
    ),
    0x38: ("Sighted", SIGHTING),
    0x39: ("SightingConfirmed", SIGHTING),
    0x3A: ("Relearn", _needs(network=NETWORK, behind=array(FINGERPRINT, 16, least=1))),
    0x3B: (
        "WantedGroups",
        _needs(network=NETWORK, revision=uint())
        | _needs(listed=array(tuple_of(uint(0, 4095), ip_version, boolean), 256))
        | _needs(groups=array(tuple_of(uint(0, 4095), group), 1024)),
    ),
    0x3C: (
        "Replicate",
        _needs(network=NETWORK, assignment=REVISION)
        | {"receivers": (array(FINGERPRINT, 4096), [])},
    ),
    0x3D: (
        "Replicating",
        _needs(network=NETWORK, assignment=REVISION) | {"missing": (array(FINGERPRINT, 4096), [])},
    ),
}
NUMBERS = {name: number for number, (name, _) in VERBS.items()}
OBJECTS: dict[str, Fields] = {
    "credential": _needs(
        version=uint(1, 1),
        issuer=binary(8),
        network=NETWORK,
        fingerprint=FINGERPRINT,
        address=binary(5),
        mac=binary(6),
    )
    | {"name": (NAME, ""), "addresses": (array(INTERFACE, 64), [])}
    | {"rights": (array(NAME, 32), []), "groups": (array(NAME, 64), []), "tags": (tags, {})}
    | _needs(serial=uint(), epoch=uint())
    | {"expires": (optional(uint()), None)},
    "config": _needs(version=uint(1, 1), issuer=binary(8), network=NETWORK, revision=uint())
    | {"name": (NAME, ""), "mtu": (uint(576, 9000), 1500)}
    | {"pools": (array(PREFIX, 64), []), "routes": (array(route, 256), [])}
    | {"dns": (array(ADDRESS, 8), []), "guard": (word("default", "strict", "off"), "default")}
    | dict.fromkeys(("broadcast", "multicast", "unknown_unicast"), (LIMIT, 500))
    | dict.fromkeys(("arp", "nd", "discovery"), (LIMIT, 500))
    | {"bpdu": (word("block", "pass", "tunnel"), "block"), "public": (boolean, False)}
    | dict.fromkeys(("snooping", "querier"), (boolean, True))
    | {"unknown_groups": (word("flood", "drop"), "flood")}
    | {"replicate_above": (uint(0, 2**32 - 1), 250)},
    "revocations": _needs(version=uint(1, 1), issuer=binary(8), network=NETWORK, revision=REVISION)
    | _needs(minimum_epoch=uint(), revoked=rising),
    "world": _needs(
        version=uint(1, 1), id=binary(32), revision=uint(), signers=array(binary(32), 8)
    )
    | _needs(planets=array(anything, 16)),
    "join": _needs(network=NETWORK, fingerprint=FINGERPRINT)
    | {"world": (optional(binary(1, 1 << 16)), None), "token": (optional(binary(16, 32)), None)},
}


def checked(body: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """Only the fields, with their defaults; Refused if one is wrong or a critical one unknown."""
    critical = body.get("critical", [])
    require(array(text(64))(critical), "`critical` is no array of text")
    require(set(critical) <= set(fields), "an unknown critical key")
    result: dict[str, Any] = {}
    for key, (check, default) in fields.items():
        value = body.get(key, default)
        require(value is not REQUIRED, f"no {key}")
        require(check(value), f"bad {key}")
        result[key] = value
    return result


def encode(verb: str, /, **fields: Any) -> bytes:
    """A message."""
    return bytes([NUMBERS[verb]]) + pack.encode(fields)


def decode(message: bytes) -> tuple[str, dict[str, Any]]:
    """Name and body of a message; Refused if the verb is unknown or the body broken."""
    require(message and message[0] in VERBS, "an unknown verb")
    name, fields = VERBS[message[0]]
    return name, checked(pack.decode_map(message[1:]), fields)


def open_object(raw: bytes, kind: str, network: int, signer: Public) -> dict[str, Any]:
    """The body of a signed object; Refused unless this signer signed it for this network."""
    parts = pack.decode(raw)
    require(tuple_of(word(kind), OBJECT, binary(64))(parts), f"no {kind}")
    verify(signer.signing, parts[2], signature_input(kind, network, parts[1]))
    body = pack.decode_map(parts[1])
    require("delegation" not in body, "a delegation")
    body = checked(body, OBJECTS[kind])
    require(body["network"] == network, "the network of another")
    require(body["issuer"] == signer.fingerprint[:8], "another issuer")
    return body


def open_world(raw: bytes, old: dict[str, Any] | None = None) -> dict[str, Any]:
    """The body of a world, its planets as (Public, endpoints); with `old`, an update of that."""
    require(len(raw) <= 1 << 16, "more than 64 KiB")
    parts = pack.decode(raw)
    signatures = array(tuple_of(binary(32), binary(64)), 16)
    require(tuple_of(word("world"), OBJECT, signatures)(parts), "no world")
    for key, signature in parts[2]:
        verify(key, signature, signature_input("world", 0, parts[1]))
    body = checked(pack.decode_map(parts[1]), OBJECTS["world"])
    signed = {key for key, _ in parts[2]}
    needed = body["signers"] + (old["signers"] if old else [])
    require(body["signers"] and set(needed) <= signed, "a signer has not signed")
    if old:
        require(body["id"] == old["id"] and body["revision"] > old["revision"], "no update")
    if body["revision"] == 1:
        signers = b"".join(sorted(body["signers"]))
        require(body["id"] == hashlib.blake2b(signers, digest_size=32).digest(), "another id")
    planets = []
    for planet in body["planets"]:
        require(isinstance(planet, dict) and PUBLIC(planet.get("public")), "bad planet")
        require(array(text(64), 8)(planet.get("endpoints")), "bad endpoints")
        planets.append((Public(planet["public"]), planet["endpoints"]))
    require(planets, "no planets")
    return body | {"planets": planets}


def read_world(line: str) -> dict[str, Any]:
    """A world from the text of its file."""
    require(line.startswith("l2mesh-world:"), "no world")
    return open_world(unb64(line.strip().removeprefix("l2mesh-world:")))


def read_join_string(line: str) -> dict[str, Any]:
    """Network, fingerprint, world and token."""
    require(line.startswith("l2mesh:"), "no join string")
    body = pack.decode_map(unb64(line.removeprefix("l2mesh:")))
    join = checked(body, OBJECTS["join"])
    network_id(f"{join['network']:016x}")
    return join


def write_join_string(**fields: Any) -> str:
    """The reverse."""
    return "l2mesh:" + b64(pack.encode(fields))
