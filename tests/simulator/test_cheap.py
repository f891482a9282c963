"""The cheap provider works as the real one does, except that it protects nothing."""

from random import Random

import pytest

from l2mesh.address import controller_address, network_id
from l2mesh.crypto import Cipher, Crypto
from l2mesh.errors import CryptoError
from l2mesh.identity import Identity, PublicIdentity, address_of
from tests.simulator.cheap import CheapCrypto

CRYPTO: Crypto = CheapCrypto()


def test_both_sides_agree_on_a_secret() -> None:
    random = Random(1)
    one, other = (CRYPTO.generate_x25519(random.randbytes) for _ in range(2))
    assert CRYPTO.dh(one.private, other.public) == CRYPTO.dh(other.private, one.public)


def test_a_signature_fits_one_message_and_one_key() -> None:
    secret, public = CRYPTO.ed25519_from_seed(bytes(32))
    _, stranger = CRYPTO.ed25519_from_seed(bytes([1]) * 32)
    signature = CRYPTO.sign(secret, b"text")
    CRYPTO.verify(public, b"text", signature)
    for key, message in ((public, b"texT"), (stranger, b"text")):
        with pytest.raises(CryptoError):
            CRYPTO.verify(key, message, signature)


@pytest.mark.parametrize("change", ["key", "counter", "aad", "text", "short"])
def test_what_was_changed_does_not_open(change: str) -> None:
    sealed = CRYPTO.transport(Cipher.AES_256_GCM, bytes(32), bytes(4)).seal(7, b"head", b"text")
    key = bytes(31) + b"\x01" if change == "key" else bytes(32)
    sealed = {"text": b"T" + sealed[1:], "short": sealed[:15]}.get(change, sealed)
    opener = CRYPTO.transport(Cipher.AES_256_GCM, key, bytes(4))
    with pytest.raises(CryptoError):
        opener.open(8 if change == "counter" else 7, b"h" if change == "aad" else b"head", sealed)


def test_an_identity_is_drawn_and_read_back() -> None:
    identity = Identity.generate(CRYPTO, Random(2).randbytes)
    again = PublicIdentity.decode(identity.public.encode(), CRYPTO)
    assert again.fingerprint == identity.fingerprint


def test_two_identities_can_be_given_one_address() -> None:
    crypto = CheapCrypto()
    one, other = (Identity.generate(crypto, Random(seed).randbytes) for seed in (1, 2))
    address = address_of(one.fingerprint, crypto)
    assert address is not None and address != address_of(other.fingerprint, crypto)
    crypto.addresses[other.fingerprint] = address
    assert address_of(other.fingerprint, crypto) == address
    assert controller_address(network_id(address, 1)) == address
