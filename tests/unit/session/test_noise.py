"""The handshake under attack and misuse: nothing counts before it is proved."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.crypto import KeyPair, SodiumCrypto
from l2mesh.errors import CryptoError, MalformedPacket, StateError
from l2mesh.session.noise import IKPSK2, MAX_NONCE, CipherState, HandshakeState, Role, hkdf

CRYPTO = SodiumCrypto()
PSK = b"p" * 32


def random_of(seed: str) -> Callable[[int], bytes]:
    return lambda size: hashlib.shake_128(seed.encode()).digest(size)


def key_pair(seed: str) -> KeyPair:
    return CRYPTO.generate_x25519(random_of(seed))


ALICE, BOB, MALLORY = key_pair("alice"), key_pair("bob"), key_pair("mallory")


def initiator(*, to: bytes = BOB.public, psk: bytes | None = PSK) -> HandshakeState:
    return HandshakeState(
        CRYPTO,
        IKPSK2,
        Role.INITIATOR,
        random=random_of("alice's ephemeral"),
        prologue=b"prologue",
        static=ALICE,
        remote_static=to,
        psk=psk,
    )


def responder(*, prologue: bytes = b"prologue", psk: bytes | None = PSK) -> HandshakeState:
    return HandshakeState(
        CRYPTO,
        IKPSK2,
        Role.RESPONDER,
        random=random_of("bob's ephemeral"),
        prologue=prologue,
        static=BOB,
        psk=psk,
    )


def flipped(message: bytes, at: int) -> bytes:
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


def finish(alice: HandshakeState, bob: HandshakeState) -> None:
    """The rest of a handshake whose first message is still to be read, checked to the end."""
    assert bob.read_message(initiator().write_message(b"hello")) == b"hello"
    assert alice.read_message(bob.write_message(b"welcome")) == b"welcome"
    ours, theirs = alice.split(), bob.split()
    assert (ours.send, ours.receive) == (theirs.receive, theirs.send)
    assert ours.send != ours.receive
    assert alice.handshake_hash == bob.handshake_hash
    assert (alice.remote_static, bob.remote_static) == (BOB.public, ALICE.public)


def test_responder_survives_every_forged_first_message() -> None:
    """RUSTSEC-2024-0011: a message that fails must not move a nonce, a key or the hash."""
    alice, bob = initiator(), responder()
    first = alice.write_message(b"hello")
    assert len(first) == 96 + 5
    before = bob.handshake_hash
    for at in range(len(first)):
        with pytest.raises(CryptoError):
            bob.read_message(flipped(first, at))
        with pytest.raises((CryptoError, MalformedPacket)):
            bob.read_message(first[:at])
        assert bob.handshake_hash == before
        assert bob.remote_static is None
    finish(alice, bob)


def test_initiator_survives_every_forged_second_message() -> None:
    alice, bob = initiator(), responder()
    bob.read_message(alice.write_message(b"hello"))
    second = bob.write_message(b"welcome")
    assert len(second) == 48 + 7
    for at in range(len(second)):
        with pytest.raises(CryptoError):
            alice.read_message(flipped(second, at))
        with pytest.raises((CryptoError, MalformedPacket)):
            alice.read_message(second[:at])
    assert not alice.is_finished
    assert alice.read_message(second) == b"welcome"
    assert alice.split().send == bob.split().receive


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    with pytest.raises((CryptoError, MalformedPacket)):
        responder().read_message(message)


def test_message_over_64_kib_is_refused_both_ways() -> None:
    alice = initiator()
    with pytest.raises(MalformedPacket):
        responder().read_message(bytes(65_536))
    with pytest.raises(StateError, match="too long"):
        alice.write_message(bytes(65_535 - 95))
    assert len(alice.write_message(bytes(65_535 - 96))) == 65_535


def test_low_order_ephemeral_is_refused() -> None:
    first = initiator().write_message(b"")
    with pytest.raises(CryptoError, match="low order"):
        responder().read_message(bytes(32) + first[32:])


def test_low_order_responder_is_refused_and_nothing_is_sent() -> None:
    alice = initiator(to=bytes(32))
    with pytest.raises(CryptoError):
        alice.write_message(b"secret")
    with pytest.raises(StateError):
        alice.read_message(bytes(48))


def test_wrong_responder_prologue_or_psk_is_noticed() -> None:
    with pytest.raises(CryptoError):
        responder().read_message(initiator(to=MALLORY.public).write_message(b""))
    with pytest.raises(CryptoError):
        responder(prologue=b"other").read_message(initiator().write_message(b""))
    alice, bob = initiator(psk=bytes(32)), responder()
    bob.read_message(alice.write_message(b""))
    with pytest.raises(CryptoError):
        alice.read_message(bob.write_message(b""))


def test_responder_may_learn_the_psk_from_message_one() -> None:
    alice, bob = initiator(), responder(psk=None)
    psk_id = bob.read_message(alice.write_message(b"psk 7"))
    with pytest.raises(StateError, match="psk"):
        bob.write_message(b"")
    assert psk_id == b"psk 7"
    bob.set_psk(PSK)
    alice.read_message(bob.write_message(b""))
    assert alice.split().send == bob.split().receive


@pytest.mark.parametrize("size", [0, 31, 33])
def test_psk_of_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(StateError, match="32 bytes"):
        initiator(psk=bytes(size))


def test_messages_have_their_turn() -> None:
    alice, bob = initiator(), responder()
    with pytest.raises(StateError):
        alice.read_message(bytes(96))
    with pytest.raises(StateError):
        bob.write_message(b"")
    first = alice.write_message(b"hello")
    with pytest.raises(StateError):
        alice.write_message(b"hello again")
    bob.read_message(first)
    with pytest.raises(StateError):
        bob.read_message(first)
    alice.read_message(bob.write_message(b""))
    for call in (alice.write_message, alice.read_message, bob.write_message, bob.read_message):
        with pytest.raises(StateError):
            call(b"")


def test_split_comes_last_and_once() -> None:
    alice, bob = initiator(), responder()
    bob.read_message(alice.write_message(b""))
    with pytest.raises(StateError):
        alice.split()
    alice.read_message(bob.write_message(b""))
    handshake_hash = alice.handshake_hash
    alice.split()
    with pytest.raises(StateError):
        alice.split()
    assert alice.handshake_hash == handshake_hash
    assert alice.remote_static == BOB.public


def test_missing_keys_are_named() -> None:
    with pytest.raises(StateError, match="peer's static"):
        HandshakeState(CRYPTO, IKPSK2, Role.INITIATOR, random=random_of("x"), static=ALICE)
    with pytest.raises(StateError, match="our static"):
        HandshakeState(CRYPTO, IKPSK2, Role.RESPONDER, random=random_of("x"))
    alice = HandshakeState(
        CRYPTO, IKPSK2, Role.INITIATOR, random=random_of("x"), remote_static=BOB.public
    )
    with pytest.raises(StateError, match="our static"):
        alice.write_message(b"")


def test_no_secret_shows() -> None:
    alice, bob = initiator(), responder()
    bob.read_message(alice.write_message(b""))
    alice.read_message(bob.write_message(b""))
    cipher = CipherState(CRYPTO, PSK)
    keys = alice.split()
    shown = repr((alice, bob, keys, cipher))
    for secret in (ALICE.private, BOB.private, PSK, keys.send, keys.receive):
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_failed_decryption_keeps_the_nonce() -> None:
    sender, receiver = CipherState(CRYPTO, PSK), CipherState(CRYPTO, PSK)
    texts = [sender.encrypt_with_ad(b"", b"%d" % number) for number in range(3)]
    for number, text in enumerate(texts):
        for _ in range(3):
            with pytest.raises(CryptoError):
                receiver.decrypt_with_ad(b"", flipped(text, 0))
        assert receiver.decrypt_with_ad(b"", text) == b"%d" % number


def test_last_nonce_is_never_used() -> None:
    cipher = CipherState(CRYPTO, PSK, MAX_NONCE - 1)
    cipher.encrypt_with_ad(b"", b"")
    for call in (cipher.encrypt_with_ad, cipher.decrypt_with_ad):
        with pytest.raises(StateError):
            call(b"", b"")


def test_hkdf_chains_its_outputs() -> None:
    assert hkdf(PSK, b"x", 3)[:2] == hkdf(PSK, b"x", 2)
    assert len(set(hkdf(PSK, b"x", 3))) == 3
