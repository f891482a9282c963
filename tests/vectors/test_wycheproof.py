"""Wycheproof's edge cases (C2SP, testvectors_v1), through the provider that the daemon uses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from l2mesh.crypto import X25519_PRIME, Cipher, SodiumCrypto, Transport
from l2mesh.errors import CryptoError

DATA = Path(__file__).parent / "data"
CRYPTO = SodiumCrypto()

needs_aes = pytest.mark.skipif(not CRYPTO.has_aes(), reason="no AES hardware, none to test")


def cases(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each (test group, test) of a file."""
    for group in json.loads((DATA / f"wycheproof-{name}.json").read_text())["testGroups"]:
        for test in group["tests"]:
            yield group, test


def aead_cases(name: str) -> list[dict[str, Any]]:
    """The cases of our sizes: 256-bit keys, 96-bit nonces, 128-bit tags."""
    sizes = {"keySize": 256, "ivSize": 96, "tagSize": 128}
    return [test for group, test in cases(name) if sizes.items() <= group.items()]


def fields(test: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(test[name]) for name in names]


def transport(cipher: Cipher, key: bytes, iv: bytes) -> tuple[Transport, int]:
    """The transport and counter whose nonce is `iv`."""
    return CRYPTO.transport(cipher, key, iv[:4]), int.from_bytes(iv[4:], "big")


@pytest.mark.parametrize(
    ("cipher", "name", "count"),
    [
        pytest.param(Cipher.AES_256_GCM, "aes_gcm", 66, marks=needs_aes),
        pytest.param(Cipher.CHACHA20_POLY1305, "chacha20_poly1305", 316),
    ],
)
def test_transport(cipher: Cipher, name: str, count: int) -> None:
    tests = aead_cases(name)
    assert len(tests) == count
    for test in tests:
        key, iv, aad, msg, ct, tag = fields(test, "key", "iv", "aad", "msg", "ct", "tag")
        end, counter = transport(cipher, key, iv)
        if test["result"] == "valid":
            assert end.seal(counter, aad, msg) == ct + tag, test["tcId"]
            assert end.open(counter, aad, ct + tag) == msg, test["tcId"]
        else:
            with pytest.raises(CryptoError):
                end.open(counter, aad, ct + tag)


def test_handshake_cipher() -> None:
    """Of the same vectors, those whose nonce begins with 32 zero bits are Noise nonces too."""
    tests = [t for t in aead_cases("chacha20_poly1305") if t["iv"].startswith("00000000")]
    assert len(tests) == 10
    for test in tests:
        key, iv, aad, msg, ct, tag = fields(test, "key", "iv", "aad", "msg", "ct", "tag")
        nonce = int.from_bytes(iv[4:], "little")
        if test["result"] == "valid":
            assert CRYPTO.handshake_seal(key, nonce, aad, msg) == ct + tag, test["tcId"]
            assert CRYPTO.handshake_open(key, nonce, aad, ct + tag) == msg, test["tcId"]
        else:
            with pytest.raises(CryptoError):
                CRYPTO.handshake_open(key, nonce, aad, ct + tag)


def test_ed25519() -> None:
    verdicts = {"valid": 0, "invalid": 0}
    for group, test in cases("ed25519"):
        public = bytes.fromhex(group["publicKey"]["pk"])
        msg, sig = fields(test, "msg", "sig")
        verdicts[test["result"]] += 1
        if test["result"] == "valid":
            CRYPTO.verify(public, msg, sig)
        else:
            with pytest.raises(CryptoError):
                CRYPTO.verify(public, msg, sig)
    assert verdicts == {"valid": 88, "invalid": 63}


def test_x25519() -> None:
    """Every case, the twist's included, except points that a peer of ours may not use."""
    refused = computed = 0
    for _, test in cases("x25519"):
        public, private, shared = fields(test, "public", "private", "shared")
        if not any(shared) or int.from_bytes(public, "little") >= X25519_PRIME:
            refused += 1
            with pytest.raises(CryptoError):
                CRYPTO.dh(private, public)
        else:
            computed += 1
            assert CRYPTO.dh(private, public) == shared, test["tcId"]
    # the 44 are just those that the file flags as of low order or as not canonical
    assert (refused, computed) == (44, 474)
