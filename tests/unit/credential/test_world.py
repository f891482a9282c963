"""Worlds and their updates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.credential.world import Planet, SigningKey, World, world_id
from l2mesh.crypto import SodiumCrypto
from l2mesh.errors import ConfigError, CryptoError, L2meshError, MalformedPacket
from l2mesh.identity import Identity
from l2mesh.wire.body import pack_value, unpack_value
from l2mesh.wire.endpoint import Endpoint
from tools.specimens.cast import identity, stream
from tools.specimens.worlds import worlds

CRYPTO = SodiumCrypto()
KEYS = [SigningKey.from_seed(bytes([number]) * 32, CRYPTO) for number in range(4)]
HERE = Endpoint("192.0.2.1", 9993)
ONE = Planet(identity("alice").public, (HERE,))
TWO = Planet(identity("bob").public, (HERE, Endpoint("::1", 1)))
FIRST, SECOND = worlds()


def _signed(body: dict[str, object], *keys: SigningKey) -> bytes:
    data = pack_value(body)
    text = b"l2mesh/1/world\0" + bytes(8) + data
    return pack_value(
        ["world", data, [[key.public, CRYPTO.sign(key.secret, text)] for key in keys]]
    )


def _body() -> dict[str, object]:
    return {
        "version": 1,
        "id": world_id([KEYS[0].public]),
        "revision": 1,
        "signers": [KEYS[0].public],
        "planets": [{"public": ONE.identity.encode(), "endpoints": ["192.0.2.1:9993"]}],
    }


def test_world_round_trips() -> None:
    world = World.create([ONE, TWO], KEYS[:2], CRYPTO)
    assert World.parse(world.encode(), CRYPTO) == world
    assert World.from_text(world.text() + "\n", CRYPTO) == world
    assert world.planets == (ONE, TWO)
    assert "\n" not in world.text()


def test_id_is_that_of_the_first_signers_in_any_order() -> None:
    worlds_ = [World.create([ONE], keys, CRYPTO) for keys in (KEYS[:2], KEYS[1::-1])]
    assert worlds_[0].id == worlds_[1].id == world_id(key.public for key in KEYS[:2])
    assert World.create([ONE], KEYS[:2], CRYPTO, revision=7).id == worlds_[0].id


def test_body_has_no_issuer() -> None:
    assert "issuer" not in unpack_value(FIRST.body)


def test_world_cut_anywhere_is_malformed() -> None:
    data = FIRST.encode()
    for size in range(len(data)):
        with pytest.raises(MalformedPacket):
            World.parse(data[:size], CRYPTO)


@given(st.integers(0, 8 * len(FIRST.encode()) - 1))
def test_every_bit_of_a_world_counts(bit: int) -> None:
    data = bytearray(FIRST.encode())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises((MalformedPacket, CryptoError)):
        World.parse(bytes(data), CRYPTO)


@pytest.mark.parametrize(
    "keys", [[], [KEYS[1]], [KEYS[0], KEYS[0]]], ids=["none", "another", "twice"]
)
def test_world_that_its_signer_has_not_signed_once_is_refused(keys: list[SigningKey]) -> None:
    World.parse(_signed(_body(), KEYS[0]), CRYPTO)
    with pytest.raises(CryptoError):
        World.parse(_signed(_body(), *keys), CRYPTO)


def test_forged_signature_of_a_bystander_is_refused_too() -> None:
    kind, body, signatures = unpack_value(_signed(_body(), KEYS[0]))
    forged = pack_value([kind, body, [*signatures, [KEYS[1].public, bytes(64)]]])
    with pytest.raises(CryptoError):
        World.parse(forged, CRYPTO)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"delegation": b"x"},
        {"id": bytes(32)},
        {"revision": 0},
        {"signers": []},
        {"signers": [KEYS[0].public] * 2},
        {"planets": []},
        {"planets": [{"public": ONE.identity.encode(), "endpoints": []}]},
        {"planets": [{"public": ONE.identity.encode(), "endpoints": ["name:1"]}]},
        {"planets": [{"public": ONE.identity.encode(), "endpoints": ["192.0.2.1:1"] * 9}]},
        {"planets": [{"public": ONE.identity.encode(), "endpoints": ["192.0.2.1:1"]}] * 2},
        {"planets": [{"public": bytes(127), "endpoints": ["192.0.2.1:1"]}]},
        {"critical": ["news"], "news": 1},
    ],
    ids="-".join,
)
def test_true_signature_does_not_make_a_bad_world_good(change: dict[str, object]) -> None:
    with pytest.raises(MalformedPacket):
        World.parse(_signed(_body() | change, KEYS[0]), CRYPTO)


def test_planet_with_a_false_identity_is_refused() -> None:
    false = ONE.identity.encode()[:64] + bytes(64)
    body = _body() | {"planets": [{"public": false, "endpoints": ["192.0.2.1:1"]}]}
    with pytest.raises(CryptoError):
        World.parse(_signed(body, KEYS[0]), CRYPTO)


def test_update_needs_all_signers_before_and_a_higher_revision() -> None:
    old = World.create([ONE], KEYS[:2], CRYPTO)
    new = World.create([ONE], KEYS[2:], CRYPTO, previous=old, previous_keys=KEYS[:2])
    assert new.is_update_of(old)
    assert new.revision == 2
    assert new.signers == tuple(sorted(key.public for key in KEYS[2:]))
    assert not old.is_update_of(new)
    assert not old.is_update_of(old)
    same_keys = World.create([TWO], KEYS[:2], CRYPTO, revision=9)
    assert same_keys.is_update_of(old)
    assert not World.create([ONE], KEYS[2:], CRYPTO, revision=9).is_update_of(old)
    with pytest.raises(ConfigError, match="every signer"):
        World.create([ONE], KEYS[2:], CRYPTO, previous=old, previous_keys=KEYS[:1])


def test_next_update_is_signed_by_the_new_signers_alone() -> None:
    assert SECOND.is_update_of(FIRST)
    new_key = SigningKey.from_seed(stream("l2mesh world 2")(32), CRYPTO)
    third = World.create([ONE], [new_key], CRYPTO, previous=SECOND)
    assert third.is_update_of(SECOND)
    assert not third.is_update_of(FIRST)


@pytest.mark.parametrize("planets", [[], [ONE] * 2, [ONE] * 17], ids=["none", "twice", "many"])
def test_world_of_wrong_planets_is_not_made(planets: list[Planet]) -> None:
    with pytest.raises(ConfigError):
        World.create(planets, KEYS[:1], CRYPTO)


def test_world_of_sixteen_planets_fits() -> None:
    endpoints = tuple(
        Endpoint(f"2001:db8:1111:2222:3333:4444:5555:{n:x}", 65535) for n in range(1, 9)
    )
    planets = [
        Planet(Identity.from_keys(bytes([n]) * 32, bytes([n]) * 32, CRYPTO).public, endpoints)
        for n in range(16)
    ]
    world = World.create(planets, KEYS, CRYPTO)
    assert World.from_text(world.text(), CRYPTO).planets == tuple(planets)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "l2mesh-world:",
        "l2mesh-world:AAAA",
        "l2mesh-world:é",
        FIRST.text()[:-3],
        FIRST.text()[7:],
        "l2mesh-world:" + "A" * 200000,
    ],
    ids=["empty", "nothing", "junk", "unicode", "cut", "headless", "long"],
)
def test_text_that_is_no_world_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        World.from_text(text, CRYPTO)
    assert "world create" in caught.value.hint


def test_secret_of_a_signing_key_does_not_show() -> None:
    assert KEYS[1].secret.hex() not in repr(KEYS[1])
    assert repr(KEYS[1].secret) not in repr(KEYS[1])


def test_long_world_is_not_looked_at() -> None:
    with pytest.raises(L2meshError, match="too long"):
        World.parse(bytes(64 * 1024 + 1), CRYPTO)
