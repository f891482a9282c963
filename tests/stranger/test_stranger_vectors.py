"""The vectors of the protocol's document, read by a peer that was written from it alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.stranger import group, handshake, identity, messages, noise, pack, wire
from tests.stranger.errors import Refused
from tests.stranger.handshake import Answer, Attempt
from tests.stranger.identity import Identity, Public

DATA = Path(__file__).parents[1] / "vectors" / "data"
Case = dict[str, Any]
CIPHERS = {"AES_256_GCM": noise.AES_256_GCM, "CHACHA20_POLY1305": noise.CHACHA20_POLY1305}


def cases(name: str) -> pytest.MarkDecorator:
    """A decorator: once for each case of a file."""
    loaded = json.loads((DATA / f"l2mesh-{name}.json").read_text())["cases"]
    return pytest.mark.parametrize("case", loaded, ids=lambda case: case.get("invalid", ""))


def plain(value: Any) -> Any:
    """A decoded value as the vectors write it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def named(body: dict[str, Any], key: str, *names: str) -> dict[str, Any]:
    """Arrays within arrays as the maps that the vectors make of them."""
    if key not in body:
        return body
    return body | {key: [dict(zip(names, part, strict=True)) for part in body[key]]}


def secret(case: str) -> Identity:
    """An identity from the secret file: magic 15, version 1, both keys, fingerprint."""
    raw = bytes.fromhex(case)
    assert raw[:16] == b"l2mesh identity\x01"
    read = Identity(raw[16:48], raw[48:80])
    assert read.public.fingerprint == raw[80:]
    return read


@cases("identity")
def test_identities(case: Case) -> None:
    if "invalid" in case:
        with pytest.raises(Refused):
            Public(bytes.fromhex(case["public"]))
        return
    one = secret(case["secret_file"])
    exchange = one.public.exchange
    assert identity.signature_input("identity", 0, exchange).hex() == case["binding_input"]
    assert one.public.raw.hex() == case["public"]
    assert one.public.text == case["public_text"]
    assert one.public.fingerprint.hex() == case["fingerprint"]
    assert one.public.fingerprint_text == case["fingerprint_text"]
    assert one.public.hash.hex() == case["argon2id"]
    assert plain(one.public.address) == case["address"]


@cases("address")
def test_addresses(case: Case) -> None:
    if "invalid" in case:
        with pytest.raises(Refused):
            identity.network_id(case["network_text"])
        return
    network = identity.network_id(case["network_text"])
    assert network == case["network"] == int(case["controller"], 16) << 24 | case["number"]
    mac = identity.derived_mac(network, bytes.fromhex(case["member"]), case["salt"])
    assert (mac.hex(), mac.hex(":")) == (case["mac"], case["mac_text"])


@cases("keys")
def test_keys_of_indices(case: Case) -> None:
    direction = bytes.fromhex(case["direction_key"])
    key, salt = noise.index_key(direction, case["network"], case["lane"], case["index"])
    assert (key.hex(), salt.hex()) == (case["key"], case["salt"])


@cases("handshake")
def test_handshakes(case: Case) -> None:
    initiator, responder = secret(case["initiator"]), secret(case["responder"])
    init, response = bytes.fromhex(case["init"]), bytes.fromhex(case["response"])
    random = bytes.fromhex(case["initiator_random"])
    answer = Answer(responder, init, case["role"])
    attempt = Attempt(
        initiator,
        responder.public,
        case["role"],
        int.from_bytes(random[:4]),
        X25519PrivateKey.from_private_bytes(random[4:]),
        answer.payload,
    )
    assert attempt.number == case["handshake"] and attempt.datagram == init
    check_cookie(case, attempt, responder)
    payload, *keys = attempt.finish(response)
    assert payload.ciphers == answer.cipher == CIPHERS[case["cipher"]]
    assert plain(keys) == [case["initiator_sends_with"], case["responder_sends_with"]]
    ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["responder_random"]))
    again, *keys = answer.reply(ephemeral, payload)
    assert again == response
    assert plain(keys) == [case["initiator_sends_with"], case["responder_sends_with"]]


@cases("payload")
def test_payloads_whose_lanes_are_passed_over(case: Case) -> None:
    if "invalid" not in case:
        payload = handshake.Payload.decode(bytes.fromhex(case["payload"]))
        told = [(one["network"], one["lane"], one["index"]) for one in case["indices"]]
        assert list(payload.indices) == told


def check_cookie(case: Case, attempt: Attempt, responder: Identity) -> None:
    """The COOKIE that answers this INIT, from both ends."""
    cookie, datagram = bytes.fromhex(case["cookie"]), bytes.fromhex(case["cookie_datagram"])
    init = attempt.datagram
    assert handshake.cookie_for(responder, init, cookie, datagram[8:32]) == datagram
    attempt.take_cookie(datagram)
    assert attempt.cookie == cookie and attempt.datagram.hex() == case["init_with_cookie"]
    assert handshake.has_mac2(attempt.datagram, cookie) and not handshake.has_mac2(init, cookie)


@cases("group")
def test_groups(case: Case) -> None:
    plaintext = bytes.fromhex(case["plaintext"])
    if "invalid" in case:
        with pytest.raises(Refused):
            group.Group.parse(plaintext)
        return
    one = group.Group.parse(plaintext)
    assert plain(one.frame) == case["frame"]
    numbers = one.assignment, one.generation, one.counter
    assert numbers == (case["assignment"], case["generation"], case["counter"])
    signer = identity.Public(bytes.fromhex(case["signer"]))
    one.check(case["network"], signer)
    with pytest.raises(Refused):
        one.check(case["network"] + 1, signer)


@cases("data")
def test_data(case: Case) -> None:
    if "allowed_flags" in case:
        assert sorted(wire.ALLOWED_FLAGS) == case["allowed_flags"]
    elif "invalid" in case:
        parse: Callable[[bytes], object] = wire.parse_piece if "piece" in case else wire.data_head
        with pytest.raises(Refused):
            parse(bytes.fromhex(case.get("piece") or case["datagram"]))
    else:
        aead = noise.aead_of(CIPHERS[case["cipher"]], bytes.fromhex(case["key"]))
        network = 0 if case["flags"] == wire.CONTROL else 1
        salt, index = bytes.fromhex(case["salt"]), case["index"]
        sender = wire.IndexKey(network, 0, index, aead, salt, counter=case["counter"])
        receiver = wire.IndexKey(network, 0, index, aead, salt)
        datagram, plaintext = bytes.fromhex(case["datagram"]), bytes.fromhex(case["plaintext"])
        assert wire.data_head(datagram) == (case["flags"], index, case["counter"])
        assert receiver.open(datagram) == (case["flags"], plaintext)
        assert sender.seal(case["flags"], plaintext) == datagram
        with pytest.raises(Refused):
            receiver.open(datagram)


@cases("relay")
def test_relay(case: Case) -> None:
    datagram = bytes.fromhex(case["datagram"])
    if "invalid" in case:
        with pytest.raises(Refused):
            wire.relay_unwrap(datagram)
    else:
        inner = bytes.fromhex(case["inner"])
        assert wire.relay_unwrap(datagram) == (case["relay"], inner)
        assert wire.relay_wrap(case["relay"], inner) == datagram


def record_as_listed(kind: int, value: bytes) -> Case:
    """A record as the vectors write it."""
    number = int.from_bytes
    if kind == wire.ACK:
        return {"type": "Ack", "next": number(value[:4]), "bits": number(value[4:])}
    if kind == wire.CHUNK:
        data = {"flags": value[4], "data": value[5:].hex()}
        return {"type": "Chunk", "number": number(value[:4])} | data
    if kind == wire.PROBE:
        return {"type": "Probe", "nonce": number(value)}
    if kind == wire.HELD:
        return {"type": "Held", "network": number(value[:8]), "revision": number(value[8:])}
    if kind == wire.CLOSE:
        return {"type": "Close", "reason": value[0]}
    seen = wire.observed(value)
    assert wire.pack_endpoint(seen) == value[8:]
    listed = None if seen is None else {"host": seen[0], "port": seen[1]}
    return {"type": "ProbeReply", "nonce": number(value[:8]), "observed": listed}


@cases("control")
def test_control_records(case: Case) -> None:
    plaintext = bytes.fromhex(case["plaintext"])
    if "invalid" in case:
        with pytest.raises(Refused):
            wire.records(plaintext)
        return
    found = wire.records(plaintext)
    assert [record_as_listed(*one) for one in found] == case["records"]
    if "comment" not in case:
        assert b"".join(wire.record(*one) for one in found) == plaintext


@cases("messages")
def test_messages(case: Case) -> None:
    message = bytes.fromhex(case["message"])
    if "invalid" in case:
        with pytest.raises(Refused):
            messages.decode(message)
        return
    name, body = messages.decode(message)
    listed = named(body, "members", "credential", "public")
    listed = named(listed, "indices", "lane", "number")
    listed = named(listed, "listed", "vlan", "version", "reports")
    listed = named(listed, "groups", "vlan", "group")
    assert (name, plain(listed)) == (case["type"], case["fields"])
    if "comment" not in case:
        assert messages.encode(name, **body) == message


@cases("signed")
def test_signed_objects(case: Case) -> None:
    raw, signer = bytes.fromhex(case["object"]), Public(bytes.fromhex(case["signer"]))
    kind, network = case["kind"], case["network"]
    if "invalid" in case:
        with pytest.raises(Refused):
            messages.open_object(raw, kind, network, signer)
        return
    body = messages.open_object(raw, kind, network, signer)
    assert plain(named(body, "revoked", "fingerprint", "serial")) == case["fields"]
    exact = pack.decode(raw)[1]
    assert identity.signature_input(kind, network, exact).hex() == case["signature_input"]
    assert pack.encode(pack.decode(exact)) == exact


@cases("world")
def test_worlds_and_join_strings(case: Case) -> None:
    if "invalid" in case:
        with pytest.raises(Refused):
            messages.open_world(bytes.fromhex(case["world"]))
    elif "join" in case:
        join = messages.read_join_string(case["join_string"])
        assert plain(join) == case["join"]
        assert messages.write_join_string(**join) == case["join_string"]
    elif "old" in case:
        old = messages.open_world(bytes.fromhex(case["old"]))
        new = messages.open_world(bytes.fromhex(case["new"]), old)
        assert new["revision"] > old["revision"]
    else:
        check_world(case)


def check_world(case: Case) -> None:
    """A world's file and its body."""
    world = messages.read_world(case["text"])
    assert plain(world["id"]) == case["id"]
    assert world["revision"] == case["revision"] and plain(world["signers"]) == case["signers"]
    assert [public.raw.hex() for public, _ in world["planets"]] == [
        planet["public"] for planet in case["planets"]
    ]
    for (_, endpoints), planet in zip(world["planets"], case["planets"], strict=True):
        listed = [(at["host"], at["port"]) for at in planet["endpoints"]]
        assert [wire.endpoint_of(text) for text in endpoints] == listed
    exact = pack.decode(bytes.fromhex(case["world"]))[1]
    assert identity.signature_input("world", 0, exact).hex() == case["signature_input"]
