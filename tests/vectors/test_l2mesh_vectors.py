"""Our own vectors: what is written today is what was written when they were made, and reads back.

`tools/vectors` makes them. A peer written elsewhere from `docs/protocol.md` passes the same.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from l2mesh import address
from l2mesh.credential.config import NetworkConfig
from l2mesh.credential.joinstring import format_join_string, parse_join_string
from l2mesh.credential.membership import MembershipCredential
from l2mesh.credential.revocation import Revocations
from l2mesh.credential.signed import NetworkBody, open_signed
from l2mesh.credential.world import World
from l2mesh.crypto import Cipher, SodiumCrypto
from l2mesh.errors import ConfigError, CryptoError, MalformedPacket
from l2mesh.identity import Identity, PublicIdentity, address_of, signature_input
from l2mesh.session import keys
from l2mesh.session.handshake import Initiation, Offer, Role, open_init
from l2mesh.wire import control, data, group, lan, message, relay
from l2mesh.wire.body import unpack_value
from l2mesh.wire.endpoint import parse_endpoint
from l2mesh.wire.handshake import Payload
from tools.specimens.cast import plain
from tools.specimens.files import FILES, document, path_of
from tools.specimens.messages import messages

CRYPTO = SodiumCrypto()
BODIES: dict[str, type[NetworkBody]] = {
    "credential": MembershipCredential,
    "config": NetworkConfig,
    "revocations": Revocations,
}

Case = dict[str, Any]


def _cases(name: str, key: str) -> list[Any]:
    """The cases of a file that have `key`, each named by its number and why it is invalid."""
    cases = json.loads(path_of(name).read_text())["cases"]
    return [
        pytest.param(case, id=f"{number}-{case.get('invalid', 'valid')}".replace(" ", "_"))
        for number, case in enumerate(cases)
        if key in case
    ]


def _check(case: Case, read: Callable[[], Any]) -> Any:
    """What `read` gives; for an invalid case that it refuses, and then None."""
    if "invalid" not in case:
        return read()
    with pytest.raises((MalformedPacket, CryptoError, ConfigError)):
        read()
    return None


@pytest.mark.parametrize("name", FILES)
def test_vectors_are_what_the_code_writes(name: str) -> None:
    if name == "data" and not CRYPTO.has_aes():
        pytest.skip("this CPU has no AES-256-GCM")
    assert path_of(name).read_text() == document(name)


@pytest.mark.parametrize("case", _cases("identity", "public"))
def test_identity(case: Case) -> None:
    public = _check(case, lambda: PublicIdentity.decode(bytes.fromhex(case["public"]), CRYPTO))
    if public is None:
        return
    assert PublicIdentity.from_text(case["public_text"], CRYPTO) == public
    assert address.parse_fingerprint(case["fingerprint_text"]) == public.fingerprint
    own = address_of(public.fingerprint, CRYPTO)
    assert (None if own is None else own.hex()) == case["address"]
    secret = Identity.decode_secret(bytes.fromhex(case["secret_file"]), CRYPTO)
    assert secret.public == public
    CRYPTO.verify(public.signing, bytes.fromhex(case["binding_input"]), public.binding)


@pytest.mark.parametrize("case", _cases("address", "network_text"))
def test_network_id(case: Case) -> None:
    network = _check(case, lambda: address.parse_network_id(case["network_text"]))
    if network is None:
        return
    assert network == case["network"]
    assert address.controller_address(network).hex() == case["controller"]
    member = bytes.fromhex(case["member"])
    assert address.derive_mac(network, member, case["salt"]).hex() == case["mac"]
    assert address.parse_mac(case["mac_text"]).hex() == case["mac"]


@pytest.mark.parametrize("case", _cases("keys", "key"))
def test_key_of_an_index(case: Case) -> None:
    direction = bytes.fromhex(case["direction_key"])
    derived = keys.derive(direction, case["network"], case["lane"], case["index"])
    assert (derived.key.hex(), derived.salt.hex()) == (case["key"], case["salt"])


@pytest.mark.parametrize("case", _cases("data", "datagram"))
def test_data(case: Case) -> None:
    datagram = bytes.fromhex(case["datagram"])
    header = _check(case, lambda: data.decode_header(datagram))
    if header is None:
        return
    assert header == (case["flags"], case["index"], case["counter"])
    cipher = Cipher[case["cipher"]]
    if cipher is Cipher.AES_256_GCM and not CRYPTO.has_aes():
        pytest.skip("this CPU has no AES-256-GCM")
    transport = CRYPTO.transport(cipher, bytes.fromhex(case["key"]), bytes.fromhex(case["salt"]))
    plaintext = transport.open(case["counter"], datagram[:8], datagram[8:])
    assert plaintext.hex() == case["plaintext"]
    if case["flags"] == data.Flag.FRAG:
        assert data.encode_piece(data.decode_piece(plaintext)) == plaintext


@pytest.mark.parametrize("case", _cases("data", "piece"))
def test_piece_that_is_none(case: Case) -> None:
    _check(case, lambda: data.decode_piece(bytes.fromhex(case["piece"])))


@pytest.mark.parametrize("case", _cases("data", "allowed_flags"))
def test_allowed_flags(case: Case) -> None:
    assert set(case["allowed_flags"]) == data.ALLOWED_FLAGS


@pytest.mark.parametrize("case", _cases("group", "plaintext"))
def test_group(case: Case) -> None:
    plaintext = bytes.fromhex(case["plaintext"])
    decoded = _check(case, lambda: group.decode_group(plaintext))
    if decoded is None:
        return
    assert group.encode_group(decoded) == plaintext
    numbers = decoded.assignment, decoded.generation, decoded.counter
    assert numbers == (case["assignment"], case["generation"], case["counter"])
    signed = group.signed_text(case["network"], *numbers[1:], decoded.frame)
    assert signed.hex() == case["signed_text"]
    signer = PublicIdentity.decode(bytes.fromhex(case["signer"]), CRYPTO)
    assert decoded.source == signer.fingerprint
    CRYPTO.verify(signer.signing, signed, decoded.signature)


@pytest.mark.parametrize("case", _cases("relay", "datagram"))
def test_relay(case: Case) -> None:
    split = _check(case, lambda: relay.split_relay(bytes.fromhex(case["datagram"])))
    assert split is None or split == (case["relay"], bytes.fromhex(case["inner"]))


@pytest.mark.parametrize("case", _cases("lan", "beacon"))
def test_lan_beacon(case: Case) -> None:
    datagram = bytes.fromhex(case["beacon"])
    beacon = _check(case, lambda: lan.LanBeacon.decode(datagram))
    if beacon is None:
        return
    fingerprint, source = bytes.fromhex(case["fingerprint"]), parse_endpoint(case["source"])
    assert (beacon.asks, beacon.nonce.hex()) == (case["asks"], case["nonce"])
    assert beacon.is_of(fingerprint, source)
    assert lan.seal_beacon(fingerprint, beacon.nonce, source, asks=beacon.asks) == datagram


@pytest.mark.parametrize("case", _cases("control", "plaintext"))
def test_control(case: Case) -> None:
    plaintext = bytes.fromhex(case["plaintext"])
    records = _check(case, lambda: control.decode_records(plaintext))
    if records is None:
        return
    assert [type(record).__name__ for record in records] == [one["type"] for one in case["records"]]
    if "comment" not in case:
        assert control.encode_records(records) == plaintext


@pytest.mark.parametrize("case", _cases("messages", "message"))
def test_message(case: Case) -> None:
    raw = bytes.fromhex(case["message"])
    decoded = _check(case, lambda: message.decode_message(raw))
    if decoded is None:
        return
    assert type(decoded).__name__ == case["type"]
    assert plain(decoded) == case["fields"]
    if "comment" not in case:
        assert message.encode_message(decoded) == raw


def test_messages_have_a_vector_for_every_verb() -> None:
    assert {type(one) for one in messages()} == set(message.MESSAGES)


@pytest.mark.parametrize("case", _cases("signed", "object"))
def test_signed_object(case: Case) -> None:
    signed = bytes.fromhex(case["object"])
    signer = PublicIdentity.decode(bytes.fromhex(case["signer"]), CRYPTO)
    kind = case["kind"]
    body = _check(
        case, lambda: open_signed(signed, kind, case["network"], signer, BODIES[kind], CRYPTO)
    )
    if body is None:
        return
    assert plain(body) == case["fields"]
    covered = signature_input(kind, case["network"], unpack_value(signed)[1])
    assert covered.hex() == case["signature_input"]


@pytest.mark.parametrize("case", _cases("world", "world"))
def test_world(case: Case) -> None:
    world = _check(case, lambda: World.parse(bytes.fromhex(case["world"]), CRYPTO))
    if world is None:
        return
    assert (world.id.hex(), world.revision) == (case["id"], case["revision"])
    assert World.from_text(case["text"], CRYPTO) == world
    assert world.encode().hex() == case["world"]


@pytest.mark.parametrize("case", _cases("world", "old"))
def test_world_update(case: Case) -> None:
    old, new = (World.parse(bytes.fromhex(case[key]), CRYPTO) for key in ("old", "new"))
    assert new.is_update_of(old)
    assert not old.is_update_of(new)


@pytest.mark.parametrize("case", _cases("world", "join_string"))
def test_join_string(case: Case) -> None:
    join = parse_join_string(case["join_string"])
    assert plain(join) == case["join"]
    assert format_join_string(join) == case["join_string"]


@pytest.mark.parametrize("case", _cases("payload", "payload"))
def test_payload(case: Case) -> None:
    payload = _check(case, lambda: Payload.decode(bytes.fromhex(case["payload"])))
    if payload is None:
        return
    assert payload.lanes == case["lanes"]
    assert [dataclasses.asdict(one) for one in payload.announcements] == case["indices"]
    assert payload.encode().hex() == case["payload"]


@pytest.mark.parametrize("case", _cases("handshake", "init"))
def test_handshake(case: Case) -> None:
    """Both ends from their secrets; the responder's random bytes do not matter for reading."""
    initiator, responder = (
        Identity.decode_secret(bytes.fromhex(case[side]), CRYPTO)
        for side in ("initiator", "responder")
    )
    role, drawn = (
        Role(case["role"]),
        iter(
            [
                bytes.fromhex(case["initiator_random"])[:4],
                bytes.fromhex(case["initiator_random"])[4:],
            ]
        ),
    )
    opened = open_init(
        bytes.fromhex(case["init"]), local=responder, role=role, crypto=CRYPTO, random=bytes
    )
    assert opened.peer == initiator.public
    assert opened.handshake == case["handshake"]
    initiation = Initiation(
        local=initiator,
        peer=responder.public,
        role=role,
        crypto=CRYPTO,
        random=lambda _: next(drawn),
        offer=Offer(opened.ciphers, opened.control_index, opened.announcements, opened.software),
    )
    assert initiation.datagram.hex() == case["init"]
    assert initiation.read_cookie(bytes.fromhex(case["cookie_datagram"])).hex() == case["cookie"]
    initiation.show(bytes.fromhex(case["cookie"]))
    assert initiation.datagram.hex() == case["init_with_cookie"]
    established = initiation.read_response(bytes.fromhex(case["response"]))
    assert established.peer == responder.public
    assert established.cipher.name == case["cipher"]
    assert established.keys.send.hex() == case["initiator_sends_with"]
    assert established.keys.receive.hex() == case["responder_sends_with"]
