"""The provider of primitives: what it refuses, and what every provider must hold to."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.crypto import (
    RUN_AAD_BYTES,
    TAG_BYTES,
    Cipher,
    KeyPair,
    SodiumCrypto,
    Transport,
    hmac_blake2s,
)
from l2mesh.errors import CryptoError

CRYPTO = SodiumCrypto()
KEY = bytes(range(32))
SALT = b"salt"
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493

ciphers = pytest.mark.parametrize(
    "cipher",
    [
        pytest.param(
            Cipher.AES_256_GCM,
            marks=pytest.mark.skipif(not CRYPTO.has_aes(), reason="no AES hardware"),
        ),
        Cipher.CHACHA20_POLY1305,
    ],
)


def seeded(byte: int) -> Callable[[int], bytes]:
    return lambda size: bytes([byte]) * size


# X25519


def test_key_pair_takes_one_draw_of_32_bytes() -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return KEY

    pair = CRYPTO.generate_x25519(random)
    assert asked == [32]
    assert pair == KeyPair(KEY, CRYPTO.x25519_public(KEY))


def test_private_key_never_shows() -> None:
    pair = CRYPTO.generate_x25519(seeded(7))
    assert pair.private.hex() not in repr(pair)
    assert "\\x07" not in repr(pair)


def test_both_ends_share_a_secret() -> None:
    ours, theirs = CRYPTO.generate_x25519(seeded(1)), CRYPTO.generate_x25519(seeded(2))
    assert CRYPTO.dh(ours.private, theirs.public) == CRYPTO.dh(theirs.private, ours.public)


LOW_ORDER_POINTS = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
]


@pytest.mark.parametrize("point", LOW_ORDER_POINTS)
@pytest.mark.parametrize("top", [0x00, 0x80])
def test_point_of_low_order_is_refused(point: str, top: int) -> None:
    public = bytearray.fromhex(point)
    public[31] |= top
    with pytest.raises(CryptoError):
        CRYPTO.dh(KEY, bytes(public))


def test_second_encoding_of_a_public_key_is_refused() -> None:
    public = CRYPTO.x25519_public(KEY)
    CRYPTO.dh(KEY, public)
    with pytest.raises(CryptoError, match="canonical"):
        CRYPTO.dh(KEY, public[:31] + bytes([public[31] | 0x80]))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_wrong_size_are_refused(size: int) -> None:
    wrong = bytes(size)
    for call in (
        lambda: CRYPTO.x25519_public(wrong),
        lambda: CRYPTO.dh(wrong, CRYPTO.x25519_public(KEY)),
        lambda: CRYPTO.dh(KEY, wrong),
        lambda: CRYPTO.generate_x25519(lambda _: wrong),
        lambda: CRYPTO.ed25519_from_seed(wrong),
        lambda: CRYPTO.sign(wrong, b""),
        lambda: CRYPTO.verify(wrong, b"", bytes(64)),
        lambda: CRYPTO.verify(KEY, b"", wrong),
        lambda: CRYPTO.handshake_seal(wrong, 0, b"", b""),
        lambda: CRYPTO.handshake_open(wrong, 0, b"", bytes(16)),
        lambda: CRYPTO.transport(Cipher.CHACHA20_POLY1305, wrong, SALT),
        lambda: CRYPTO.transport(Cipher.CHACHA20_POLY1305, KEY, wrong),
        lambda: CRYPTO.xseal(wrong, bytes(24), b"", b""),
        lambda: CRYPTO.xseal(KEY, wrong, b"", b""),
        lambda: CRYPTO.xopen(wrong, bytes(24), b"", bytes(16)),
        lambda: CRYPTO.xopen(KEY, wrong, b"", bytes(16)),
        lambda: CRYPTO.address_hash(wrong),
    ):
        with pytest.raises(CryptoError, match="must be"):
            call()


# Ed25519


def test_signature_verifies() -> None:
    secret, public = CRYPTO.ed25519_from_seed(KEY)
    signature = CRYPTO.sign(secret, b"message")
    assert (len(secret), len(public), len(signature)) == (64, 32, 64)
    CRYPTO.verify(public, b"message", signature)
    for message in (b"", b"massage", b"message "):
        with pytest.raises(CryptoError):
            CRYPTO.verify(public, message, signature)


def test_signature_cannot_be_varied() -> None:
    """S + L satisfies the same equation; a strict verifier takes S alone (RFC 8032, 5.1.7)."""
    secret, public = CRYPTO.ed25519_from_seed(KEY)
    signature = CRYPTO.sign(secret, b"message")
    varied = int.from_bytes(signature[32:], "little") + ED25519_ORDER
    with pytest.raises(CryptoError):
        CRYPTO.verify(public, b"message", signature[:32] + varied.to_bytes(32, "little"))


@pytest.mark.parametrize("point", ["01" + "00" * 31, "ec" + "ff" * 30 + "7f", "00" * 32])
def test_key_of_small_order_verifies_nothing(point: str) -> None:
    """With A of small order, R = identity and S = 0 would pass a careless verifier."""
    identity = b"\x01" + bytes(31)
    for message in range(16):
        with pytest.raises(CryptoError):
            CRYPTO.verify(bytes.fromhex(point), bytes([message]), identity + bytes(32))


def test_piece_of_the_message_is_no_part_of_the_signature() -> None:
    secret, public = CRYPTO.ed25519_from_seed(KEY)
    signature = CRYPTO.sign(secret, b"message")
    with pytest.raises(CryptoError, match="64 bytes"):
        CRYPTO.verify(public, b"essage", signature + b"m")


# AEADs


@ciphers
@given(counter=st.integers(0, 2**64 - 1), aad=st.binary(max_size=40), text=st.binary(max_size=300))
def test_transport_round_trip(cipher: Cipher, counter: int, aad: bytes, text: bytes) -> None:
    end = CRYPTO.transport(cipher, KEY, SALT)
    sealed = end.seal(counter, aad, text)
    assert len(sealed) == len(text) + 16
    assert end.open(counter, aad, sealed) == text


@ciphers
def test_transport_refuses_every_flipped_byte_and_length(cipher: Cipher) -> None:
    end = CRYPTO.transport(cipher, KEY, SALT)
    sealed = end.seal(5, b"header", b"a frame")
    for at in range(len(sealed)):
        flipped = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        for forged in (flipped, sealed[:at]):
            with pytest.raises(CryptoError):
                end.open(5, b"header", forged)
    for counter, aad in ((4, b"header"), (5 << 32, b"header"), (5, b"header\0"), (5, b"")):
        with pytest.raises(CryptoError):
            end.open(counter, aad, sealed)
    for key, salt in ((KEY[::-1], SALT), (KEY, b"tals")):
        with pytest.raises(CryptoError):
            CRYPTO.transport(cipher, key, salt).open(5, b"header", sealed)
    assert end.open(5, b"header", sealed) == b"a frame"


@ciphers
def test_transport_takes_any_size_in_any_order(cipher: Cipher) -> None:
    sender, receiver = CRYPTO.transport(cipher, KEY, SALT), CRYPTO.transport(cipher, KEY, SALT)
    for counter, size in enumerate((0, 1414, 70_000, 1, 9000, 2032, 2033, 2048)):
        text = bytes([counter]) * size
        sealed = sender.seal(counter, b"", text)
        assert receiver.open(counter, b"", sealed) == text


@ciphers
def test_what_was_returned_outlives_the_next_call(cipher: Cipher) -> None:
    end = CRYPTO.transport(cipher, KEY, SALT)
    first = end.seal(1, b"", b"first")
    end.seal(2, b"", b"other")
    assert end.open(1, b"", first) == b"first"


@ciphers
@given(
    st.lists(st.binary(min_size=20, max_size=20), max_size=70),
    st.binary(max_size=20),
    st.integers(0, 9),
)
def test_run_is_sealed_and_opened_as_its_datagrams_one_by_one(
    cipher: Cipher, texts: list[bytes], last: bytes, skip: int
) -> None:
    end, heads = CRYPTO.transport(cipher, KEY, SALT), bytes(range(skip + RUN_AAD_BYTES))
    run = b"".join(heads + text + bytes(TAG_BYTES) for text in [*texts, last])
    stride = len(heads) + 20 + TAG_BYTES if texts else len(run)
    sealed = end.seal_run(7, run, stride, skip)
    assert sealed == Transport.seal_run(end, 7, run, stride, skip)
    for forged in (None, 0, len(run) // 2, len(run) - 1):
        came = bytearray(sealed)
        if forged is not None:
            came[forged] ^= 1
        opened, count = end.open_run(7, bytes(came), stride, skip)
        as_specified = Transport.open_run(end, 7, bytes(came), stride, skip)
        assert count == as_specified[1]
        for at in range(0, count * stride, stride):
            text = slice(at, min(at + stride, len(run)) - TAG_BYTES)
            assert opened[text] == as_specified[0][text]
    assert end.open_run(7, sealed, stride, skip)[1] == len(texts) + 1


@ciphers
@pytest.mark.parametrize(("size", "stride"), [(0, 40), (40, 0), (40, 24), (64, 40), (63, 40)])
def test_run_with_a_datagram_without_room_for_a_tag_is_refused(
    cipher: Cipher, size: int, stride: int
) -> None:
    end = CRYPTO.transport(cipher, KEY, SALT)
    with pytest.raises(CryptoError):
        end.seal_run(0, bytes(size), stride, 1)
    with pytest.raises(CryptoError):
        end.open_run(0, bytes(size), stride, 1)


@ciphers
def test_runs_of_other_shapes_do_not_mix(cipher: Cipher) -> None:
    end = CRYPTO.transport(cipher, KEY, SALT)
    for count, stride, skip in ((3, 100, 0), (50, 100, 0), (2, 100, 8), (44, 1472, 8), (3, 100, 0)):
        run = (bytes(range(256)) * (count * stride))[: count * stride]
        assert end.seal_run(1, run, stride, skip) == Transport.seal_run(end, 1, run, stride, skip)


@ciphers
def test_transport_keeps_its_key_to_itself(cipher: Cipher) -> None:
    assert KEY.hex() not in repr(CRYPTO.transport(cipher, KEY, SALT))
    assert repr(KEY) not in repr(CRYPTO.transport(cipher, KEY, SALT))


def test_transport_nonce_is_salt_and_big_endian_counter() -> None:
    """A zero salt and a byte-swapped counter give the Noise nonce, which the vectors prove."""
    sealed = CRYPTO.transport(Cipher.CHACHA20_POLY1305, KEY, bytes(4)).seal(1, b"ad", b"text")
    assert CRYPTO.handshake_open(KEY, 1 << 56, b"ad", sealed) == b"text"


def test_aes_without_hardware_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        @staticmethod
        def crypto_aead_aes256gcm_is_available() -> int:
            return 0

    monkeypatch.setattr("l2mesh.crypto._lib", Library)
    assert not CRYPTO.has_aes()
    with pytest.raises(CryptoError, match="AES"):
        CRYPTO.transport(Cipher.AES_256_GCM, KEY, SALT)


@pytest.mark.parametrize("size", range(18))
def test_text_shorter_than_its_tag_is_refused(size: int) -> None:
    with pytest.raises(CryptoError):
        CRYPTO.handshake_open(KEY, 0, b"", bytes(size))
    with pytest.raises(CryptoError):
        CRYPTO.xopen(KEY, bytes(24), b"", bytes(size))


def test_cookie_cipher_agrees_with_its_draft() -> None:
    """draft-irtf-cfrg-xchacha-03, appendix A.3.1."""
    key = bytes(range(0x80, 0xA0))
    nonce = bytes(range(0x40, 0x58))
    ad = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        b"future, sunscreen would be it."
    )
    sealed = CRYPTO.xseal(key, nonce, ad, text)
    assert sealed[:16].hex() == "bd6d179d3e83d43b9576579493c0e939"
    assert sealed[-16:].hex() == "c0875924c1c7987947deafd8780acf49"
    assert CRYPTO.xopen(key, nonce, ad, sealed) == text
    with pytest.raises(CryptoError):
        CRYPTO.xopen(key, nonce, b"", sealed)


# hashes


@given(key=st.binary(max_size=130), data=st.binary(max_size=200))
def test_hmac_blake2s_is_hmac(key: bytes, data: bytes) -> None:
    """By RFC 2104, written out: the key padded to BLAKE2s's block of 64 bytes."""
    block = (hashlib.blake2s(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.blake2s(bytes(byte ^ 0x36 for byte in block) + data).digest()
    outer = hashlib.blake2s(bytes(byte ^ 0x5C for byte in block) + inner)
    assert hmac_blake2s(key, data) == outer.digest()


def test_address_hash_is_pinned() -> None:
    """An address is for ever. The value was compared with the reference Argon2 library's."""
    assert (
        CRYPTO.address_hash(KEY).hex()
        == "52f24dae05db22d0047cb357c3890973bfff502ed1200ff88aeaaa2f0591b336"
    )
    assert CRYPTO.address_hash(KEY[::-1]) != CRYPTO.address_hash(KEY)
