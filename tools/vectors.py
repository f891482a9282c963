"""Makes the test vectors of `docs/protocol.md`, section 12.

Every file is an object with a `comment` and a list of `cases`. Bytes are lower-case hex, numbers
are JSON numbers, whatever their size. A case with `invalid` says why its bytes must be refused. All
keys come from `stream(label)`, so that two runs write the same bytes.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from hashlib import shake_256
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from l2mesh import address
from l2mesh.credential.config import Bpdu, Guard, NetworkConfig, Route, seal_config
from l2mesh.credential.joinstring import JoinString, format_join_string
from l2mesh.credential.membership import MembershipCredential, seal_membership
from l2mesh.credential.revocation import Revocations, Revoked, seal_revocations
from l2mesh.credential.world import Planet, SigningKey, World
from l2mesh.crypto import Cipher, Random, SodiumCrypto
from l2mesh.identity import Identity, address_of, signature_input
from l2mesh.session import keys, macs
from l2mesh.session.handshake import Initiation, Offer, Role, open_init, respond
from l2mesh.wire import control, data, group, lan, message, relay
from l2mesh.wire.body import pack_value, unpack_value
from l2mesh.wire.endpoint import Endpoint, parse_endpoint
from l2mesh.wire.handshake import Announcement, Extension, Indices, Lanes, Payload

Case: TypeAlias = dict[str, Any]

DATA: Final = Path(__file__).resolve().parents[1] / "tests" / "vectors" / "data"
CRYPTO: Final = SodiumCrypto()


def stream(label: str) -> Random:
    """An endless, fixed source of bytes: SHAKE-256 over the label, cut as it is drawn from."""
    drawn = 0

    def draw(size: int) -> bytes:
        nonlocal drawn
        drawn += size
        return shake_256(label.encode()).digest(drawn)[drawn - size :]

    return draw


@cache
def identity(label: str) -> Identity:
    """The admissible identity that this label draws first."""
    return Identity.generate(CRYPTO, stream(f"l2mesh identity {label}"))


@cache
def address_for(label: str) -> bytes:
    """The address of `identity(label)`."""
    found = address_of(identity(label).fingerprint, CRYPTO)
    assert found is not None
    return found


def network() -> int:
    """Network 1 of the controller `carol`."""
    return address.network_id(address_for("carol"), 1)


def plain(value: object) -> Any:
    """A value as JSON has it: bytes as hex, Structs and NamedTuples as objects, None as null.

    Of an endpoint what is on the wire; by which uplink a host reaches it is its own matter.
    """
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Endpoint):
        return {"host": value.host, "port": value.port}
    if isinstance(value, msgspec.Struct):
        return plain(msgspec.structs.asdict(value))
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items() if one is not msgspec.UNSET}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


# --- identity, address, keys --------------------------------------------------------------------


def identity_cases() -> Iterator[Case]:
    for label in ("alice", "bob", "carol"):
        yield _identity_case(identity(label))
    yield _identity_case(_inadmissible())
    public = bytearray(identity("alice").public.encode())
    yield {"invalid": "127 bytes", "public": public[:127].hex()}
    public[-1] ^= 1
    yield {"invalid": "the binding does not verify", "public": public.hex()}


def _inadmissible() -> Identity:
    draw = stream("l2mesh identity inadmissible")
    while True:
        found = Identity.from_keys(draw(32), draw(32), CRYPTO)
        if address_of(found.fingerprint, CRYPTO) is None:
            return found


def _identity_case(one: Identity) -> Case:
    own_address = address_of(one.fingerprint, CRYPTO)
    return {
        "exchange_private": one.exchange_private.hex(),
        "signing_seed": one.signing_secret[:32].hex(),
        "binding_input": signature_input("identity", 0, one.public.exchange).hex(),
        "public": one.public.encode().hex(),
        "public_text": one.public.text(),
        "fingerprint": one.fingerprint.hex(),
        "fingerprint_text": address.format_fingerprint(one.fingerprint),
        "argon2id": CRYPTO.address_hash(one.fingerprint).hex(),
        "address": plain(own_address),
        "secret_file": one.encode_secret().hex(),
    }


def address_cases() -> Iterator[Case]:
    for label, number, salt in (("carol", 1, 0), ("carol", 1, 1), ("bob", 2**24 - 1, 255)):
        controller = address_for(label)
        network_id = address.network_id(controller, number)
        mac = address.derive_mac(network_id, address_for("alice"), salt)
        yield {
            "controller": controller.hex(),
            "number": number,
            "network": network_id,
            "network_text": address.format_network_id(network_id),
            "member": address_for("alice").hex(),
            "salt": salt,
            "mac": mac.hex(),
            "mac_text": address.format_mac(mac),
        }
    yield {"invalid": "15 digits", "network_text": "89e92ceee500000"}
    yield {"invalid": "number 0", "network_text": "89e92ceee5000000"}
    yield {"invalid": "address 0", "network_text": "0000000000000001"}
    yield {"invalid": "address begins with ff", "network_text": "ff00000000000001"}
    yield {"invalid": "not hex", "network_text": "89e92ceee500000g"}


def keys_cases() -> Iterator[Case]:
    draw = stream("l2mesh keys")
    for network_id, lane, index in (
        (0, 0, 1),
        (network(), 0, 0x020001),
        (2**64 - 1, 255, 2**24 - 1),
    ):
        direction_key = draw(32)
        derived = keys.derive(direction_key, network_id, lane, index)
        yield {
            "direction_key": direction_key.hex(),
            "network": network_id,
            "lane": lane,
            "index": index,
            "key": derived.key.hex(),
            "salt": derived.salt.hex(),
        }


# --- datagrams ----------------------------------------------------------------------------------


def data_cases() -> Iterator[Case]:
    draw = stream("l2mesh data")
    frame = bytes.fromhex("0200000000020200000000010800") + bytes(range(46))
    for cipher in Cipher:
        for flags, plaintext in (
            (0, frame),
            (int(data.Flag.CONTROL), b""),
            (int(data.Flag.FRAG), data.encode_piece(data.Piece(7, 0, 60, frame[:32]))),
            (int(data.Flag.FRAG), data.encode_piece(data.Piece(7, 32, 60, frame[32:]))),
            (int(data.Flag.CONT | data.Flag.CSUM | data.Flag.ELIDED), frame[14:]),
        ):
            key, salt = draw(32), draw(4)
            index, counter = int.from_bytes(draw(3), "big"), int.from_bytes(draw(4), "big")
            header = data.encode_header(flags, index, counter)
            sealed = CRYPTO.transport(cipher, key, salt).seal(counter, header, plaintext)
            yield {
                "cipher": cipher.name,
                "key": key.hex(),
                "salt": salt.hex(),
                "flags": flags,
                "index": index,
                "counter": counter,
                "plaintext": plaintext.hex(),
                "datagram": (header + sealed).hex(),
            }
    yield {"allowed_flags": sorted(data.ALLOWED_FLAGS)}
    yield {"invalid": "23 bytes", "datagram": "80" + bytes(22).hex()}
    yield {"invalid": "not DATA", "datagram": "7f" + bytes(30).hex()}
    for reason, piece in {
        "no head": bytes(7),
        "empty": bytes.fromhex("00000007 0000 003c"),
        "beyond its frame": bytes.fromhex("00000007 003b 003c") + b"ab",
        "a frame of 14 bytes": bytes.fromhex("00000007 0000 000e") + b"a",
    }.items():
        yield {"invalid": reason, "piece": piece.hex()}


def group_cases() -> Iterator[Case]:
    alice, frame = (
        identity("alice"),
        b"\xff" * 6 + bytes.fromhex("0200000000010800") + bytes(range(20)),
    )
    for assignment, generation, counter in ((0, 1_700_000_000_000, 0), (7, 2**64 - 1, 2**32 - 1)):
        signed = group.signed_text(network(), generation, counter, frame)
        signature = CRYPTO.sign(alice.signing_secret, signed)
        one = group.Group(assignment, alice.fingerprint, generation, counter, signature, frame)
        yield {
            "network": network(),
            "signer": alice.public.encode().hex(),
            "assignment": assignment,
            "generation": generation,
            "counter": counter,
            "frame": frame.hex(),
            "signed_text": signed.hex(),
            "plaintext": group.encode_group(one).hex(),
        }
    head = bytes(group.GROUP_HEAD_BYTES)
    yield {"invalid": "no whole Ethernet header", "plaintext": (head + frame[:13]).hex()}
    yield {"invalid": "for a single station", "plaintext": (head + b"\2" + frame[1:]).hex()}


def relay_cases() -> Iterator[Case]:
    inner = bytes.fromhex("80000001 00000000") + bytes(16)
    for relay_id in (1, 0x0123456789ABCD, 2**56 - 1):
        datagram = relay.frame_relay(relay_id, inner)
        yield {"relay": relay_id, "inner": inner.hex(), "datagram": datagram.hex()}
    yield {"invalid": "nothing inside", "datagram": "0400000000000001"}
    yield {"invalid": "relay id 0", "datagram": "0400000000000000" + inner.hex()}
    yield {"invalid": "not RELAY", "datagram": "0500000000000001" + inner.hex()}


def lan_cases() -> Iterator[Case]:
    sender, nonce = identity("alice").fingerprint, bytes(range(16))
    for text, asks in (("192.168.1.5:9993", True), ("10.0.0.1:1", False)):
        source = parse_endpoint(text)
        beacon = lan.seal_beacon(sender, nonce, source, asks=asks)
        case = {"fingerprint": sender.hex(), "source": text, "asks": asks, "nonce": nonce.hex()}
        yield {**case, "beacon": beacon.hex()}
    yield {"invalid": "an unknown flag", "beacon": "06010002" + bytes(32).hex()}
    yield {"invalid": "another version", "beacon": "06020000" + bytes(32).hex()}
    yield {"invalid": "another type", "beacon": "05010000" + bytes(32).hex()}
    yield {"invalid": "35 bytes", "beacon": "06010000" + bytes(31).hex()}
    yield {"invalid": "37 bytes", "beacon": "06010000" + bytes(33).hex()}


def control_cases() -> Iterator[Case]:
    records: list[control.Record] = [
        control.Ack(7, 0b101),
        control.Chunk(0, control.ChunkFlag.FIRST | control.ChunkFlag.LAST, b"\x33\x80"),
        control.Probe(2**64 - 1),
        control.ProbeReply(1, None),
        control.ProbeReply(1, Endpoint("192.0.2.1", 9993)),
        control.ProbeReply(1, Endpoint("2001:db8::1", 65535)),
        control.Held(network(), 3),
        control.Close(control.CloseReason.NO_SHARED_NETWORK),
    ]
    for some in ([], *([record] for record in records), records):
        yield {
            "records": [_record(record) for record in some],
            "plaintext": control.encode_records(some).hex(),
        }
    yield {"comment": "an unknown type is skipped", "records": [], "plaintext": "7f0002abcd"}
    for reason, plaintext in {
        "a head of two bytes": "0300",
        "PROBE of seven bytes": "030007" + bytes(7).hex(),
        "PROBE of nine bytes": "030009" + bytes(9).hex(),
        "a length beyond the datagram": "7f0002ab",
        "unknown chunk flag": "020005" + "00000000" + "04",
        "a chunk of 1025 bytes": "020406" + "00000000" + "03" + bytes(1025).hex(),
        "observed port 0": "04001a" + bytes(8).hex() + bytes(15).hex() + "01" + "0000",
        "1201 bytes": "7f04ae" + bytes(1198).hex(),
    }.items():
        yield {"invalid": reason, "plaintext": plaintext}


def _record(record: control.Record) -> Case:
    fields = {name: getattr(record, name) for name in record.__dataclass_fields__ if name != "TYPE"}
    return {"type": type(record).__name__, **plain(fields)}


# --- messages -----------------------------------------------------------------------------------


def messages() -> tuple[message.Message, ...]:
    """One of every verb, and more where a field has a second shape."""
    alice, bob, here = identity("alice").public, identity("bob").public, network()
    signed = seal_membership(_credential("alice"), identity("carol"), CRYPTO)
    return (
        message.Whois(address_for("carol")),
        message.WhoisReply(address_for("carol"), (identity("carol").public.encode(),)),
        message.WhoisReply(address_for("carol"), ()),
        message.RelayRequest(bob.fingerprint),
        message.RelayOffer(0x0123456789ABCD, alice.encode()),
        message.RelayAnswer(0x0123456789ABCD, accept=True),
        message.RelayReady(0x0123456789ABCD, bob.fingerprint),
        message.RelayFailed(bob.fingerprint, message.RelayFailure.ABSENT),
        message.RelayRenew((1, 2**56 - 1)),
        message.RelayGone(()),
        message.Draining(True),
        message.LinkRequest(0x0123456789ABCD, alice.encode(), bob.fingerprint),
        message.LinkAnswer(0x0123456789ABCD, accept=False),
        message.LinkGone((0x0123456789ABCD,)),
        message.Join(network=here, name="alice", token=bytes(range(16))),
        message.Join(
            network=here, config=1, roster=2**32, serial=3, epoch=1, revocations=2**32 - 1
        ),
        message.JoinReply(here, message.JoinStatus.PENDING, "waits for an administrator"),
        message.Config(here, seal_config(_config(), identity("carol"), CRYPTO)),
        message.Credential(here, signed),
        message.Roster(here, 0, 1, (message.RosterMember(signed, alice.encode()),)),
        message.Roster(here, 1, 2, (), (alice.fingerprint,)),
        message.Revocations(here, seal_revocations(_revocations(), identity("carol"), CRYPTO)),
        message.Leave(here),
        message.HaveWorld(bytes(range(32)), 7),
        message.WorldUpdate(bytes(range(40))),
        message.Meet(here, 3, signed),
        message.Indices(here, (message.LaneIndex(0, 0x020001), message.LaneIndex(1, 2**24 - 1))),
        message.Indices(here, ()),
        message.Want(here, 3),
        message.Refuse(here),
        message.Candidates(("192.0.2.1:9993", "[2001:db8::1]:9993")),
        message.Call("independent", ("192.0.2.1:9993",)),
        message.Call("sequential", ("192.0.2.1:40002", "192.0.2.1:40000"), 2),
        message.Sighted(here, 7, bytes(range(16))),
        message.SightingConfirmed(here, 7, bytes(range(16, 32))),
        message.Relearn(here, (bytes(range(32)),)),
        message.WantedGroups(
            here,
            1,
            (message.Listed(0, 4, reports=True), message.Listed(7, 6, reports=False)),
            (
                message.WantedGroup(0, bytes((239, 1, 2, 3))),
                message.WantedGroup(7, bytes.fromhex("ff05") + bytes(13) + b"\x03"),
            ),
        ),
        message.Meet(here, 3, signed, 1_700_000_000_000),
        message.Replicate(here, 1, (alice.fingerprint, bob.fingerprint)),
        message.Replicate(here, 2),
        message.Replicating(here, 1, (bob.fingerprint,)),
        message.Replicating(here, 0),
    )


def messages_cases() -> Iterator[Case]:
    for one in messages():
        yield {
            "type": type(one).__name__,
            "fields": plain(one),
            "message": message.encode_message(one).hex(),
        }
    yield {
        "comment": "an unknown key is skipped, and numbers may be wider than they need be",
        "type": "Leave",
        "fields": {"network": 5},
        "message": "26" + "82" + "a3" + b"new".hex() + "c0" + "a7" + b"network".hex() + "d300000000"
        "00000005",
    }
    for reason, body in _bad_bodies().items():
        yield {"invalid": reason, "message": "26" + body.hex()}
    yield {"invalid": "empty", "message": ""}
    yield {"invalid": "unknown verb", "message": "7780"}
    leave_network = b"\xa7network"
    for reason, raw in {
        "a lane twice": b"\x31\x82" + leave_network + b"\x05\xa7indices\x92\x92\0\1\x92\0\2",
        "index 0": b"\x31\x82" + leave_network + b"\x05\xa7indices\x91\x92\0\0",
        "an address of four bytes": b"\x10\x81\xa7address\xc4\x04abcd",
        "an address as text": b"\x10\x81\xa7address\xa5abcde",
    }.items():
        yield {"invalid": reason, "message": raw.hex()}


def _bad_bodies() -> dict[str, bytes]:
    """Bodies that are no LEAVE, which needs `network` alone."""
    key = b"\xa7network"
    return {
        "not a map": b"\x91\x05",
        "no network": b"\x80",
        "network 0": b"\x81" + key + b"\x00",
        "a bool for a number": b"\x81" + key + b"\xc3",
        "a negative number": b"\x81" + key + b"\xff",
        "a float": b"\x81" + key + b"\xcb" + bytes(8),
        "a key twice": b"\x82" + (key + b"\x05") * 2,
        "a key that is binary": b"\x82\xc4\x01a\x01" + key + b"\x05",
        "an extension": b"\x82\xa1a\xd4\x01\x00" + key + b"\x05",
        "a byte after the end": b"\x81" + key + b"\x05\x00",
        "an unknown critical key": b"\x82\xa8critical\x91\xa3new" + key + b"\x05",
        "nine deep": b"\x82\xa1a" + b"\x91" * 7 + b"\x90" + key + b"\x05",
        "an array that claims too much": b"\x82\xa1a\xdd\xff\xff\xff\xff" + key + b"\x05",
        "bad UTF-8": b"\x82\xa1a\xa1\xff" + key + b"\x05",
    }


# --- signed objects -----------------------------------------------------------------------------


def _credential(label: str) -> MembershipCredential:
    return MembershipCredential(
        network=network(),
        fingerprint=identity(label).fingerprint,
        address=address_for(label),
        mac=address.derive_mac(network(), address_for(label), 0),
        name=label,
        addresses=("10.9.0.1/24", "fd00::1/64"),
        rights=("bridge", "router"),
        groups=("servers",),
        tags={"site": "attic"},
        serial=2,
        epoch=1,
        expires=2_000_000_000,
    )


def _config() -> NetworkConfig:
    return NetworkConfig(
        network=network(),
        revision=4,
        name="home",
        mtu=1400,
        pools=("10.9.0.0/24",),
        routes=(Route("192.168.7.0/24", "10.9.0.1"), Route("fd01::/64", None)),
        dns=("10.9.0.53",),
        guard=Guard.STRICT,
        broadcast=100,
        multicast="pass",
        unknown_unicast="drop",
        arp=1000,
        nd="pass",
        discovery="drop",
        bpdu=Bpdu.PASS,
        snooping=False,
        querier=False,
        unknown_groups="drop",
        public=True,
    )


def _revocations() -> Revocations:
    names = sorted(identity(label).fingerprint for label in ("alice", "bob"))
    revoked = tuple(Revoked(name, serial) for serial, name in enumerate(names))
    return Revocations(network=network(), revision=3, minimum_epoch=1, revoked=revoked)


def signed_cases() -> Iterator[Case]:
    carol = identity("carol")
    for kind, body, signed in (
        ("credential", _credential("alice"), seal_membership(_credential("alice"), carol, CRYPTO)),
        ("config", _config(), seal_config(_config(), carol, CRYPTO)),
        ("config", _plain_config(), seal_config(_plain_config(), carol, CRYPTO)),
        ("revocations", _revocations(), seal_revocations(_revocations(), carol, CRYPTO)),
    ):
        exact = unpack_value(signed)[1]
        case = {"kind": kind, "network": network(), "signer": carol.public.encode().hex()}
        fields = plain(body) | {"issuer": carol.fingerprint[:8].hex()}
        yield case | {
            "fields": fields,
            "signature_input": signature_input(kind, network(), exact).hex(),
            "object": signed.hex(),
        }
        other = identity("bob").public.encode().hex()
        yield case | {"signer": other, "invalid": "another signer", "object": signed.hex()}
        yield case | {"network": 5, "invalid": "another network", "object": signed.hex()}
    yield from _wrong_bodies()


def _plain_config() -> NetworkConfig:
    return NetworkConfig(network=network(), revision=1)


def _wrong_bodies() -> Iterator[Case]:
    """Truly signed, and still refused for what they say."""
    carol, head = identity("carol"), {"version": 1, "issuer": identity("carol").fingerprint[:8]}
    good = head | {"network": network(), "revision": 1}
    for reason, body in {
        "version 2": good | {"version": 2},
        "a delegation": good | {"delegation": b"x"},
        "another issuer": good | {"issuer": bytes(8)},
        "the network of another": good | {"network": network() + 1},
        "an unknown critical key": good | {"rule": 1, "critical": ["rule"]},
        "a prefix with host bits": good | {"pools": ["10.9.0.1/24"]},
        "MTU 575": good | {"mtu": 575},
    }.items():
        exact = pack_value(body)
        signature = carol.sign("config", network(), exact, CRYPTO)
        yield {
            "kind": "config",
            "network": network(),
            "signer": carol.public.encode().hex(),
            "invalid": reason,
            "object": pack_value(["config", exact, signature]).hex(),
        }


def worlds() -> tuple[World, World]:
    """A world of revision 1, and an update that changes its signer."""
    old_key = SigningKey.from_seed(stream("l2mesh world 1")(32), CRYPTO)
    new_key = SigningKey.from_seed(stream("l2mesh world 2")(32), CRYPTO)
    one = Planet(identity("alice").public, (Endpoint("192.0.2.1", 9993),))
    two = Planet(identity("bob").public, (Endpoint("2001:db8::1", 9993), Endpoint("192.0.2.2", 1)))
    first = World.create([one], [old_key], CRYPTO)
    second = World.create([one, two], [new_key], CRYPTO, previous=first, previous_keys=[old_key])
    return first, second


def world_cases() -> Iterator[Case]:
    first, second = worlds()
    for one in (first, second):
        yield {
            "id": one.id.hex(),
            "revision": one.revision,
            "signers": plain(one.signers),
            "planets": [
                {"public": planet.identity.encode().hex(), "endpoints": plain(planet.endpoints)}
                for planet in one.planets
            ],
            "signature_input": signature_input("world", 0, one.body).hex(),
            "world": one.encode().hex(),
            "text": one.text(),
        }
    yield {"comment": "the second updates the first", "old": first.encode().hex()} | {
        "new": second.encode().hex()
    }
    damaged = bytearray(first.encode())
    damaged[-1] ^= 1
    yield {"invalid": "the signature does not verify", "world": damaged.hex()}
    unsigned = pack_value(["world", first.body, []])
    yield {"invalid": "the signer has not signed", "world": unsigned.hex()}
    carol = identity("carol")
    for join in (
        JoinString(network(), carol.fingerprint),
        JoinString(network(), carol.fingerprint, first.encode(), bytes(range(16))),
    ):
        yield {"join": plain(join), "join_string": format_join_string(join)}


# --- handshake ----------------------------------------------------------------------------------


def handshake_cases() -> Iterator[Case]:
    alice, bob, draw = identity("alice"), identity("bob"), stream("l2mesh handshake")
    offers = Offer(frozenset(Cipher), 0x010001, (Announcement(network(), 0, 0x020002),), "l2mesh")
    for role in Role:
        random_initiator, random_responder = draw(36), draw(32)
        initiation = Initiation(
            local=alice,
            peer=bob.public,
            role=role,
            crypto=CRYPTO,
            random=_replay(random_initiator),
            offer=offers,
        )
        init = initiation.datagram
        opened = open_init(
            init, local=bob, role=role, crypto=CRYPTO, random=_replay(random_responder)
        )
        response, established = respond(opened, local=bob, offer=Offer(frozenset(Cipher), 0x030003))
        nonce, cookie = draw(24), draw(16)
        cookie_datagram = macs.cookie_datagram(
            init,
            cookie=cookie,
            key=macs.cookie_key(bob.public.exchange),
            crypto=CRYPTO,
            random=_replay(nonce),
        )
        initiation.show(cookie)
        yield {
            "role": int(role),
            "initiator": alice.encode_secret().hex(),
            "responder": bob.encode_secret().hex(),
            "handshake": initiation.handshake,
            "initiator_random": random_initiator.hex(),
            "responder_random": random_responder.hex(),
            "init": init.hex(),
            "response": response.hex(),
            "cipher": established.cipher.name,
            "initiator_sends_with": established.keys.receive.hex(),
            "responder_sends_with": established.keys.send.hex(),
            "cookie": cookie.hex(),
            "cookie_datagram": cookie_datagram.hex(),
            "init_with_cookie": initiation.datagram.hex(),
        }


def payload_cases() -> Iterator[Case]:
    def payload(*extensions: Extension) -> bytes:
        public = identity("alice").public.encode()
        return Payload(public, 1, 3, 0x010001, extensions).encode()

    told = tuple(Announcement(network(), lane, 0x020000 + lane) for lane in (0, 1, 7))
    for sent, lanes in ((None, 1), (1, 1), (2, 2), (8, 8), (9, 8), (255, 8)):
        extensions: list[Extension] = [Indices(told)]
        if sent is not None:
            extensions.append(Lanes(sent))
        yield {
            "indices": [dataclasses.asdict(one) for one in told],
            "lanes": lanes,
            "payload": payload(*extensions).hex(),
        }
    yield {"invalid": "no lane at all", "payload": payload().hex() + "04000100"}
    yield {"invalid": "lanes of two bytes", "payload": payload().hex() + "0400020001"}
    yield {"invalid": "lanes of no byte", "payload": payload().hex() + "040000"}


def _replay(drawn: bytes) -> Random:
    """A source that gives these bytes in turn, and no others."""
    left = bytearray(drawn)

    def draw(size: int) -> bytes:
        assert size <= len(left)
        taken = bytes(left[:size])
        del left[:size]
        return taken

    return draw


# --- files --------------------------------------------------------------------------------------

FILES: Final[dict[str, tuple[str, Callable[[], Iterator[Case]]]]] = {
    "identity": ("Identities and addresses, section 1.", identity_cases),
    "address": ("Network IDs and MACs, section 1.", address_cases),
    "keys": ("The key of each index, section 3.6.", keys_cases),
    "data": ("DATA datagrams and pieces, section 4.", data_cases),
    "group": ("Plaintext of GROUP, section 4.1.", group_cases),
    "relay": ("RELAY datagrams, section 5.", relay_cases),
    "lan": ("LAN beacons, section 8.6.", lan_cases),
    "control": ("Control records, section 6.", control_cases),
    "messages": ("Messages and bodies, section 6.", messages_cases),
    "signed": ("Signed objects, sections 9.1 to 9.4.", signed_cases),
    "world": ("Worlds, section 7.1, and join strings, section 9.5.", world_cases),
    "handshake": (
        "Handshakes and cookies, section 3; random = handshake u32 | e.",
        handshake_cases,
    ),
    "payload": ("Plaintext of INIT and RESPONSE, section 3.3, with LANES.", payload_cases),
}


def path_of(name: str) -> Path:
    """Where the vectors of this name are kept."""
    return DATA / f"l2mesh-{name}.json"


def document(name: str) -> str:
    """The text of a file, made anew."""
    comment, cases = FILES[name]
    return json.dumps({"comment": comment, "cases": list(cases())}, indent=1) + "\n"


def main() -> None:
    for name in FILES:
        path_of(name).write_text(document(name))
        print(path_of(name).name)


if __name__ == "__main__":
    main()
