"""One handshake, and everything that must not come of a bad one."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.crypto import Cipher, KeyPair
from l2mesh.errors import CryptoError, HandshakeError, StateError
from l2mesh.identity import Identity, PublicIdentity
from l2mesh.session import macs, noise
from l2mesh.session.handshake import (
    Established,
    Initiation,
    Offer,
    OpenedInit,
    Refusal,
    Role,
    open_init,
    prologue,
    respond,
    room_in_init,
    room_in_response,
)
from l2mesh.wire.handshake import (
    Announcement,
    Extension,
    Init,
    Padding,
    Payload,
    Response,
    UnknownExtension,
)
from tests.unit.session.pair import BOTH, CRYPTO, identity

ALICE, BOB, CAROL = identity(1), identity(2), identity(3)
OFFER = Offer(BOTH, 0x010203, (Announcement(5, 0, 0x040506),), "l2mesh a")
ANSWER = Offer(BOTH, 0x0A0B0C, (Announcement(5, 0, 0x0D0E0F),), "l2mesh b")
AES, CHACHA = Cipher.AES_256_GCM, Cipher.CHACHA20_POLY1305

LOW_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def initiation(local: Identity = ALICE, peer: Identity = BOB, offer: Offer = OFFER) -> Initiation:
    return Initiation(
        local=local,
        peer=peer.public,
        role=Role.NODE,
        crypto=CRYPTO,
        random=Random(7).randbytes,
        offer=offer,
    )


def opened(datagram: bytes, local: Identity = BOB, role: Role = Role.NODE) -> OpenedInit:
    return open_init(datagram, local=local, role=role, crypto=CRYPTO, random=Random(8).randbytes)


def shake(offer: Offer = OFFER, answer: Offer = ANSWER) -> tuple[Established, Established]:
    """What both ends establish: (initiator, responder)."""
    attempt = initiation(offer=offer)
    response, theirs = respond(opened(attempt.datagram), local=BOB, offer=answer)
    return attempt.read_response(response), theirs


def forged_init(
    payload: Payload, *, static: KeyPair | None = None, receiver: Identity = BOB
) -> bytes:
    """An INIT that says what we want, cryptographically sound for the key `static`."""
    state = noise.HandshakeState(
        CRYPTO,
        noise.IKPSK2,
        noise.Role.INITIATOR,
        random=Random(9).randbytes,
        prologue=prologue(Role.NODE, receiver.fingerprint),
        static=static or KeyPair(ALICE.exchange_private, ALICE.public.exchange),
        remote_static=receiver.public.exchange,
        psk=bytes(32),
    )
    return with_mac1(Init(5, state.write_message(payload.encode())).encode(), receiver)


def with_mac1(init: bytes, receiver: Identity = BOB) -> bytes:
    key = macs.mac1_key(receiver.public.exchange)
    return init[:-32] + macs.mac1(key, init[:-32]) + bytes(16)


def payload_of(public: PublicIdentity, *extensions: Extension, ciphers: int = 3) -> Payload:
    return Payload(public.encode(), 1, ciphers, 7, (*extensions, Padding(150)))


def test_both_ends_agree_on_everything() -> None:
    initiator, responder = shake()
    assert initiator.peer == BOB.public and responder.peer == ALICE.public
    assert initiator.cipher is responder.cipher is AES
    assert initiator.keys.send == responder.keys.receive
    assert initiator.keys.receive == responder.keys.send
    assert initiator.keys.send != initiator.keys.receive
    assert initiator.control_index == ANSWER.control_index
    assert responder.control_index == OFFER.control_index
    assert initiator.announcements == ANSWER.announcements
    assert responder.announcements == OFFER.announcements
    assert (initiator.software, responder.software) == ("l2mesh b", "l2mesh a")


def test_init_has_at_least_384_bytes_and_the_response_never_more() -> None:
    for count in range(room_in_init("l2mesh") + 1):
        listed = tuple(Announcement(network, 0, network) for network in range(1, count + 1))
        attempt = initiation(offer=Offer(BOTH, 1, listed, "l2mesh"))
        size = len(attempt.datagram)
        assert 384 <= size <= 1200
        answer = opened(attempt.datagram)
        room = room_in_response(answer, "l2mesh of somebody else")
        listed = tuple(Announcement(network, 0, network) for network in range(1, room + 1))
        offer = Offer(BOTH, 1, listed, "l2mesh of somebody else")
        response, _ = respond(answer, local=BOB, offer=offer)
        assert size - 12 < len(response) <= size


@pytest.mark.parametrize(
    ("ours", "theirs", "chosen"),
    [
        ({AES, CHACHA}, {AES, CHACHA}, AES),
        ({AES, CHACHA}, {CHACHA}, CHACHA),
        ({CHACHA}, {AES, CHACHA}, CHACHA),
        ({AES}, {AES}, AES),
    ],
)
def test_aes_is_chosen_where_both_have_it(
    ours: set[Cipher], theirs: set[Cipher], chosen: Cipher
) -> None:
    initiator, responder = shake(
        replace(OFFER, ciphers=frozenset(ours)), replace(ANSWER, ciphers=frozenset(theirs))
    )
    assert initiator.cipher is responder.cipher is chosen


def test_no_common_cipher_is_refused() -> None:
    attempt = initiation(offer=replace(OFFER, ciphers=frozenset({AES})))
    with pytest.raises(HandshakeError, match=Refusal.CIPHER):
        respond(
            opened(attempt.datagram), local=BOB, offer=replace(ANSWER, ciphers=frozenset({CHACHA}))
        )


def test_ciphers_of_later_versions_are_not_chosen() -> None:
    answer = opened(forged_init(payload_of(ALICE.public, ciphers=0xFC)))
    with pytest.raises(HandshakeError, match=Refusal.CIPHER):
        respond(answer, local=BOB, offer=ANSWER)


def test_response_that_chooses_no_single_cipher_of_ours_is_refused() -> None:
    for ciphers in (0, 2, 3, 4):
        attempt = initiation(offer=replace(OFFER, ciphers=frozenset({AES})))
        answer = opened(attempt.datagram)
        message = answer.noise.write_message(Payload(BOB.public.encode(), 1, ciphers, 7).encode())
        response = Response(attempt.handshake, message).encode()[:-16]
        key = macs.mac1_key(ALICE.public.exchange)
        with pytest.raises(HandshakeError, match=Refusal.CIPHER):
            attempt.read_response(response + macs.mac1(key, response))


def test_init_opens_for_its_responder_in_its_role_only() -> None:
    datagram = initiation().datagram
    with pytest.raises(HandshakeError, match=Refusal.MAC):
        opened(datagram, local=CAROL)
    with pytest.raises(HandshakeError, match=Refusal.AUTHENTICATION):
        opened(with_mac1(datagram, CAROL), local=CAROL)
    with pytest.raises(HandshakeError, match=Refusal.AUTHENTICATION):
        opened(datagram, role=Role.PLANET)


def test_responder_with_our_exchange_key_and_another_fingerprint_is_no_responder() -> None:
    """The prologue names the fingerprint: one X25519 key under two identities does not confuse."""
    twin = Identity.from_keys(BOB.exchange_private, b"t" * 32, CRYPTO)
    with pytest.raises(HandshakeError, match=Refusal.AUTHENTICATION):
        opened(initiation().datagram, local=twin)


def test_identity_with_another_key_than_the_one_proved_is_refused() -> None:
    with pytest.raises(HandshakeError, match=Refusal.KEY_MISMATCH):
        opened(forged_init(payload_of(CAROL.public)))


def test_identity_whose_binding_does_not_verify_is_refused() -> None:
    mixed = PublicIdentity(ALICE.public.exchange, CAROL.public.signing, CAROL.public.binding)
    with pytest.raises(HandshakeError, match=Refusal.BINDING):
        opened(forged_init(payload_of(mixed)))


def test_our_own_identity_is_refused() -> None:
    own = KeyPair(BOB.exchange_private, BOB.public.exchange)
    with pytest.raises(HandshakeError, match=Refusal.OWN_IDENTITY):
        opened(forged_init(payload_of(BOB.public), static=own))
    twin = Identity.from_keys(BOB.exchange_private, b"t" * 32, CRYPTO)
    with pytest.raises(HandshakeError, match=Refusal.OWN_IDENTITY):
        opened(forged_init(payload_of(twin.public), static=own))


def test_response_of_another_identity_is_refused() -> None:
    attempt = initiation()
    answer = opened(attempt.datagram)
    twin = Identity.from_keys(BOB.exchange_private, b"t" * 32, CRYPTO)
    response, _ = respond(answer, local=twin, offer=ANSWER)
    with pytest.raises(HandshakeError, match=Refusal.FOREIGN_IDENTITY):
        attempt.read_response(response)


def test_unknown_critical_extension_is_refused_and_another_one_skipped() -> None:
    psk = UnknownExtension(0x84, bytes(8))
    with pytest.raises(HandshakeError, match=Refusal.CRITICAL):
        opened(forged_init(payload_of(ALICE.public, psk)))
    later = opened(forged_init(payload_of(ALICE.public, UnknownExtension(0x05, b"?"))))
    assert later.peer == ALICE.public


@pytest.mark.parametrize("point", LOW_ORDER)
def test_low_order_points_are_refused(point: str) -> None:
    datagram = initiation().datagram
    low = with_mac1(datagram[:8] + bytes.fromhex(point) + datagram[40:])
    with pytest.raises(HandshakeError, match=Refusal.AUTHENTICATION):
        opened(low)
    static = KeyPair(bytes(32), bytes.fromhex(point))
    with pytest.raises((HandshakeError, CryptoError)):
        opened(forged_init(payload_of(ALICE.public), static=static))
    hostile = replace(BOB, public=replace(BOB.public, exchange=bytes.fromhex(point)))
    with pytest.raises(CryptoError):
        initiation(peer=hostile)


def test_init_changed_or_cut_anywhere_is_refused() -> None:
    datagram = initiation().datagram
    for position in range(len(datagram) - 16):
        changed = bytearray(datagram)
        changed[position] ^= 0x40
        with pytest.raises(HandshakeError):
            opened(bytes(changed))
        with pytest.raises(HandshakeError):
            opened(datagram[:position])
        if 8 <= position < len(datagram) - 32:
            with pytest.raises(HandshakeError):
                opened(with_mac1(bytes(changed)))


def test_wrong_mac1_costs_no_diffie_hellman(monkeypatch: pytest.MonkeyPatch) -> None:
    datagram = initiation().datagram
    monkeypatch.setattr(type(CRYPTO), "dh", lambda *_: pytest.fail("a Diffie-Hellman"))
    for broken in (datagram[:-17] + bytes(17), datagram[:383], b"", bytes(400)):
        with pytest.raises(HandshakeError):
            opened(broken)


def test_attempt_is_answered_once() -> None:
    attempt = initiation()
    answer = opened(attempt.datagram)
    response, _ = respond(answer, local=BOB, offer=ANSWER)
    with pytest.raises(StateError):
        respond(answer, local=BOB, offer=ANSWER)
    attempt.read_response(response)
    with pytest.raises(HandshakeError, match=Refusal.UNKNOWN):
        attempt.read_response(response)


def test_response_to_another_attempt_is_refused_and_the_true_one_then_read() -> None:
    attempt = initiation()
    answer = opened(attempt.datagram)
    response, _ = respond(answer, local=BOB, offer=ANSWER)
    body = response[:4] + bytes(4) + response[8:-16]
    key = macs.mac1_key(ALICE.public.exchange)
    with pytest.raises(HandshakeError, match=Refusal.UNKNOWN):
        attempt.read_response(body + macs.mac1(key, body))
    body = response[:-17] + bytes([response[-17] ^ 1])
    with pytest.raises(HandshakeError, match=Refusal.AUTHENTICATION):
        attempt.read_response(body + macs.mac1(key, body))
    assert attempt.read_response(response).peer == BOB.public


def test_nothing_secret_shows() -> None:
    initiator, _ = shake()
    assert initiator.keys.send.hex() not in repr(initiator)
    assert repr(initiator.keys.send) not in repr(initiator)


@given(st.binary(max_size=1300))
def test_any_bytes_are_refused(data: bytes) -> None:
    for text in (data, with_mac1(bytes([1, 1, 0, 0]) + data.ljust(400, b"x"))[:1200]):
        with pytest.raises(HandshakeError):
            opened(text)
        with pytest.raises(HandshakeError):
            initiation().read_response(text)
        with pytest.raises(HandshakeError):
            initiation().read_cookie(text)
