"""The envelope, on each kind of body."""

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2mesh.credential.config import NetworkConfig, open_config, seal_config
from l2mesh.credential.membership import MembershipCredential, open_membership, seal_membership
from l2mesh.credential.revocation import Revocations, open_revocations, seal_revocations
from l2mesh.credential.signed import NetworkBody, open_signed, seal
from l2mesh.crypto import SodiumCrypto
from l2mesh.errors import CryptoError, MalformedPacket
from l2mesh.wire.body import pack_value, unpack_value
from tests.values import CONFIGS, CREDENTIALS, REVOCATIONS
from tools.specimens.cast import identity, network

CRYPTO = SodiumCrypto()
CAROL = identity("carol")
HERE = network()


class Note(NetworkBody, frozen=True, kw_only=True):
    """The least that a body can be."""

    text: str = ""


NOTE = Note(network=HERE, text="hello")
SIGNED = seal("note", HERE, NOTE, CAROL, CRYPTO)


def _open(data: bytes, kind: str = "note", where: int = HERE) -> Note:
    return open_signed(data, kind, where, CAROL.public, Note, CRYPTO)


def _signed(body: Any, kind: str = "note", where: int = HERE) -> bytes:
    data = msgpack.packb(body)
    return pack_value([kind, data, CAROL.sign(kind, where, data, CRYPTO)])


GOOD = {"version": 1, "issuer": CAROL.fingerprint[:8], "network": HERE, "text": "hello"}


def test_body_names_its_issuer() -> None:
    opened = _open(SIGNED)
    assert opened.issuer == CAROL.fingerprint[:8]
    assert (opened.network, opened.text) == (HERE, "hello")


@settings(max_examples=30)
@given(CREDENTIALS, CONFIGS, REVOCATIONS)
def test_every_body_round_trips(
    credential: MembershipCredential, config: NetworkConfig, revocations: Revocations
) -> None:
    for body, sealed, open_ in (
        (credential, seal_membership(credential, CAROL, CRYPTO), open_membership),
        (config, seal_config(config, CAROL, CRYPTO), open_config),
        (revocations, seal_revocations(revocations, CAROL, CRYPTO), open_revocations),
    ):
        opened: NetworkBody = open_(sealed, body.network, CAROL.public, CRYPTO)
        assert opened.issuer == CAROL.fingerprint[:8]
        for name in type(body).__struct_fields__:
            assert name == "issuer" or getattr(opened, name) == getattr(body, name)


@given(st.integers(0, 8 * len(SIGNED) - 1))
def test_every_bit_counts(bit: int) -> None:
    data = bytearray(SIGNED)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises((MalformedPacket, CryptoError)):
        _open(bytes(data))


def test_object_cut_anywhere_is_refused() -> None:
    for size in range(len(SIGNED)):
        with pytest.raises(MalformedPacket):
            _open(SIGNED[:size])


def test_signature_of_another_kind_network_or_signer_does_not_count() -> None:
    _, body, _ = unpack_value(SIGNED)
    for kind, where, signer in (
        ("config", HERE, CAROL),
        ("note", HERE + 1, CAROL),
        ("note", HERE, identity("bob")),
    ):
        forged = pack_value(["note", body, signer.sign(kind, where, body, CRYPTO)])
        with pytest.raises(CryptoError):
            _open(forged)
    with pytest.raises(MalformedPacket):
        _open(SIGNED, kind="config")
    with pytest.raises(CryptoError):
        _open(SIGNED, where=HERE + 1)


def test_body_is_verified_as_it_came_and_not_encoded_again() -> None:
    # wider numbers than we write, keys in another order
    wide = msgpack.packb(dict(reversed(GOOD.items()))).replace(
        b"\xa7version\x01", b"\xa7version\xcc\1"
    )
    signed = pack_value(["note", wide, CAROL.sign("note", HERE, wide, CRYPTO)])
    assert _open(signed).text == "hello"


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": 0},
        {"issuer": bytes(8)},
        {"issuer": CAROL.fingerprint[:7]},
        {"network": HERE + 1},
        {"network": 0},
        {"delegation": None},
        {"delegation": b"key"},
        {"rule": 5, "critical": ["rule"]},
        {"text": 5},
    ],
    ids=str,
)
def test_true_signature_does_not_make_a_bad_body_good(change: dict[str, object]) -> None:
    assert _open(_signed(GOOD)).text == "hello"
    with pytest.raises(MalformedPacket):
        _open(_signed(GOOD | change))


@pytest.mark.parametrize(
    "parts",
    [
        {"note": 1},
        [],
        ["note", b"body"],
        ["note", b"body", bytes(64), 1],
        [b"note", b"body", bytes(64)],
        ["note", "body", bytes(64)],
        ["note", b"body", bytes(63)],
        ["note", b"body", "a" * 64],
        [["note"], b"body", bytes(64)],
    ],
    ids=str,
)
def test_envelope_of_another_shape_is_malformed(parts: object) -> None:
    with pytest.raises(MalformedPacket):
        _open(pack_value(parts))


def test_body_for_another_network_is_not_signed() -> None:
    with pytest.raises(MalformedPacket):
        seal("note", HERE + 1, NOTE, CAROL, CRYPTO)
