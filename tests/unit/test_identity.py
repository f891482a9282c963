"""Identities: keys, binding, fingerprint, address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.crypto import SodiumCrypto
from l2mesh.errors import ConfigError, CryptoError, MalformedPacket
from l2mesh.identity import (
    Identity,
    PublicIdentity,
    address_of,
    fingerprint_of,
    signature_input,
)
from tools.specimens.cast import address_for, identity, stream

CRYPTO = SodiumCrypto()
ALICE = identity("alice")


def test_drawn_identity_is_admissible() -> None:
    drawn = Identity.generate(CRYPTO, stream("test"))
    address = address_of(drawn.fingerprint, CRYPTO)
    digest = CRYPTO.address_hash(drawn.fingerprint)
    assert digest[0] < 0x10
    assert address == digest[1:6]


def test_identities_differ_with_their_source() -> None:
    drawn = {Identity.generate(CRYPTO, stream(f"test {number}")).fingerprint for number in range(3)}
    assert len(drawn) == 3


def test_source_that_repeats_itself_ends() -> None:
    class Never(SodiumCrypto):
        def address_hash(self, fingerprint: bytes) -> bytes:
            return b"\xff" * 32

    with pytest.raises(CryptoError, match="repeats"):
        Identity.generate(Never(), bytes)


@pytest.mark.parametrize(
    ("digest", "address"),
    [
        (b"\x0f12345", b"12345"),
        (b"\x1012345", None),
        (b"\x00\0\0\0\0\0", None),
        (b"\x00\xff1234", None),
    ],
)
def test_address_follows_from_the_hash(digest: bytes, address: bytes | None) -> None:
    class Given(SodiumCrypto):
        def address_hash(self, fingerprint: bytes) -> bytes:
            return digest.ljust(32)

    assert address_of(bytes(32), Given()) == address


def test_public_identity_round_trips() -> None:
    public = ALICE.public
    assert len(public.encode()) == 128
    assert PublicIdentity.decode(public.encode(), CRYPTO) == public
    assert len(public.text()) == 171
    assert PublicIdentity.from_text(public.text(), CRYPTO) == public
    assert public.fingerprint == fingerprint_of(public.exchange, public.signing)
    assert {public: 1}[PublicIdentity.decode(public.encode(), CRYPTO)] == 1


def test_identity_of_another_length_is_malformed() -> None:
    data = ALICE.public.encode()
    for size in [*range(128), 129]:
        with pytest.raises(MalformedPacket):
            PublicIdentity.decode((data + b"a")[:size], CRYPTO)


@given(st.integers(0, 1023))
def test_every_bit_of_a_public_identity_counts(bit: int) -> None:
    data = bytearray(ALICE.public.encode())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CryptoError):
        PublicIdentity.decode(bytes(data), CRYPTO)


def test_binding_of_another_kind_or_network_does_not_count() -> None:
    exchange = ALICE.public.exchange
    for kind, network in (("config", 0), ("identity", 1)):
        binding = ALICE.sign(kind, network, exchange, CRYPTO)
        forged = exchange + ALICE.public.signing + binding
        with pytest.raises(CryptoError):
            PublicIdentity.decode(forged, CRYPTO)


@pytest.mark.parametrize("damage", ["short", "sign", "letter", "tail", "unicode", "space"])
def test_text_that_is_damaged_is_refused_with_a_hint(damage: str) -> None:
    text = ALICE.public.text()
    damaged = {
        "short": text[:-1],
        "sign": "+" + text[1:],
        "letter": ("A" if text[0] != "A" else "B") + text[1:],
        "tail": text[:-1] + chr(ord(text[-1]) + 1),
        "unicode": "é" + text[1:],
        "space": " " + text[1:],
    }[damage]
    with pytest.raises(ConfigError) as caught:
        PublicIdentity.from_text(damaged, CRYPTO)
    assert "public" in caught.value.hint


def test_secret_round_trips() -> None:
    secret = ALICE.encode_secret()
    assert len(secret) == 112
    assert Identity.decode_secret(secret, CRYPTO) == ALICE


@pytest.mark.parametrize("place", [0, 15, 16, 48, 80, 111])
def test_damaged_secret_makes_no_other_identity(place: int) -> None:
    data = bytearray(ALICE.encode_secret())
    data[place] ^= 8  # X25519 ignores the three lowest bits of a private key
    with pytest.raises(ConfigError) as caught:
        Identity.decode_secret(bytes(data), CRYPTO)
    assert "backup" in caught.value.hint
    assert data[16:48].hex() not in str(caught.value)


def test_secret_of_another_length_is_refused() -> None:
    for data in (b"", ALICE.encode_secret()[:-1], ALICE.encode_secret() + b"a"):
        with pytest.raises(ConfigError):
            Identity.decode_secret(data, CRYPTO)


def test_secrets_do_not_show() -> None:
    shown = repr(ALICE)
    for secret in (ALICE.exchange_private, ALICE.signing_secret, ALICE.signing_secret[:32]):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


def test_signature_input_has_its_layout() -> None:
    assert signature_input("config", 5, b"body") == b"l2mesh/1/config\0" + bytes(7) + b"\x05body"


def test_fixed_identities_have_addresses() -> None:
    assert len({address_for(label) for label in ("alice", "bob", "carol")}) == 3
