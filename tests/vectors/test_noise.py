"""The public Noise vectors, through the daemon's own handshake code.

Only IKpsk2 is spoken; the other patterns run as well because each of them checks the same tokens in
another order.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from l2mesh.crypto import KeyPair, SodiumCrypto
from l2mesh.session.noise import IKPSK2, CipherState, HandshakeState, Pattern, Role, Token

DATA = Path(__file__).parent / "data" / "noise-25519-chachapoly-blake2s.json"
VECTORS: list[dict[str, Any]] = json.loads(DATA.read_text())["vectors"]
CRYPTO = SodiumCrypto()

# Noise specification sections 7.4, 7.5 and appendix 18: what is known beforehand ("initiator's |
# responder's static"), then the messages.
PATTERNS = {
    "N": ("|s", "e es"),
    "K": ("s|s", "e es ss"),
    "X": ("|s", "e es s ss"),
    "NN": ("|", "e", "e ee"),
    "NK": ("|s", "e es", "e ee"),
    "NK1": ("|s", "e", "e ee es"),
    "NX": ("|", "e", "e ee s es"),
    "NX1": ("|", "e", "e ee s", "es"),
    "XN": ("|", "e", "e ee", "s se"),
    "X1N": ("|", "e", "e ee", "s", "se"),
    "XK": ("|s", "e es", "e ee", "s se"),
    "X1K": ("|s", "e es", "e ee", "s", "se"),
    "XK1": ("|s", "e", "e ee es", "s se"),
    "X1K1": ("|s", "e", "e ee es", "s", "se"),
    "XX": ("|", "e", "e ee s es", "s se"),
    "X1X": ("|", "e", "e ee s es", "s", "se"),
    "XX1": ("|", "e", "e ee s", "es s se"),
    "X1X1": ("|", "e", "e ee s", "es s", "se"),
    "KN": ("s|", "e", "e ee se"),
    "K1N": ("s|", "e", "e ee", "se"),
    "KK": ("s|s", "e es ss", "e ee se"),
    "K1K": ("s|s", "e es", "e ee", "se"),
    "KK1": ("s|s", "e", "e ee se es"),
    "K1K1": ("s|s", "e", "e ee es", "se"),
    "KX": ("s|", "e", "e ee se s es"),
    "K1X": ("s|", "e", "e ee s es", "se"),
    "KX1": ("s|", "e", "e ee se s", "es"),
    "K1X1": ("s|", "e", "e ee s", "se es"),
    "IN": ("|", "e s", "e ee se"),
    "I1N": ("|", "e s", "e ee", "se"),
    "IK": ("|s", "e es s ss", "e ee se"),
    "I1K": ("|s", "e es s", "e ee", "se"),
    "IK1": ("|s", "e s", "e ee se es"),
    "I1K1": ("|s", "e s", "e ee es", "se"),
    "IX": ("|", "e s", "e ee se s es"),
    "I1X": ("|", "e s", "e ee s es", "se"),
    "IX1": ("|", "e s", "e ee se s", "es"),
    "I1X1": ("|", "e s", "e ee s", "se es"),
}


def pattern_of(name: str) -> Pattern:
    """The pattern of that name; "psk0" goes before the first message, "pskN" after message N."""
    base, _, psk = name.partition("psk")
    premessages, *texts = PATTERNS[base]
    messages = [[Token(word) for word in text.split()] for text in texts]
    if psk == "0":
        messages[0].insert(0, Token.PSK)
    elif psk:
        messages[int(psk) - 1].append(Token.PSK)
    initiators, responders = ((Token.S,) if text else () for text in premessages.split("|"))
    return Pattern(name, initiators, responders, tuple(tuple(tokens) for tokens in messages))


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["protocol_name"]).split("_")[1]


def side(vector: dict[str, Any], role: Role) -> HandshakeState:
    prefix = "init" if role is Role.INITIATOR else "resp"

    def given(field: str) -> bytes | None:
        value = vector.get(f"{prefix}_{field}")
        return None if value is None else bytes.fromhex(value)

    def ephemeral(size: int) -> bytes:
        value = given("ephemeral")
        assert value is not None and len(value) == size
        return value

    private = given("static")
    psks = vector.get(f"{prefix}_psks", [])
    name = name_of(vector)
    return HandshakeState(
        CRYPTO,
        IKPSK2 if name == "IKpsk2" else pattern_of(name),
        role,
        random=ephemeral,
        prologue=given("prologue") or b"",
        static=KeyPair(private, CRYPTO.x25519_public(private)) if private else None,
        remote_static=given("remote_static"),
        psk=bytes.fromhex(psks[0]) if psks else None,
    )


def test_the_daemons_pattern_is_the_specifications() -> None:
    assert pattern_of("IKpsk2") == IKPSK2
    assert IKPSK2.protocol_name == b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"


def test_every_pattern_of_the_file_is_covered() -> None:
    assert len(VECTORS) == 59
    assert {name_of(vector).partition("psk")[0] for vector in VECTORS} == set(PATTERNS)


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_vector(vector: dict[str, Any]) -> None:
    sides = initiator, responder = side(vector, Role.INITIATOR), side(vector, Role.RESPONDER)
    messages = [
        (bytes.fromhex(message["payload"]), bytes.fromhex(message["ciphertext"]))
        for message in vector["messages"]
    ]
    handshakes = len(pattern_of(name_of(vector)).messages)
    for number, (payload, ciphertext) in enumerate(messages[:handshakes]):
        writer, reader = sides[number % 2], sides[1 - number % 2]
        assert writer.write_message(payload) == ciphertext
        assert reader.read_message(ciphertext) == payload
    assert initiator.is_finished and responder.is_finished
    assert initiator.handshake_hash == responder.handshake_hash
    assert initiator.handshake_hash.hex() == vector["handshake_hash"]

    ours, theirs = initiator.split(), responder.split()
    assert (ours.send, ours.receive) == (theirs.receive, theirs.send)
    # one-way patterns have one sender; else the turns go on where the handshake left them
    keys = [ours.send] if handshakes == 1 else [ours.send, ours.receive]
    senders = [CipherState(CRYPTO, key) for key in keys]
    readers = [CipherState(CRYPTO, key) for key in keys]
    for number, (payload, ciphertext) in enumerate(messages[handshakes:], handshakes):
        turn = number % len(keys)
        assert senders[turn].encrypt_with_ad(b"", payload) == ciphertext
        assert readers[turn].decrypt_with_ad(b"", ciphertext) == payload
