"""One handshake: INIT and RESPONSE made, read and judged (protocol section 3).

    initiator                                 responder
    Initiation(...).datagram      -- INIT ->   open_init(datagram) -> OpenedInit
    .read_response(datagram)   <- RESPONSE --  respond(opened, ...) -> (datagram, Established)
      -> Established

Who the peer is follows from three facts together: Noise proves its X25519 key, that key is the one
in the identity of the payload, and the identity's binding ties it to the Ed25519 key. Everything
that fails raises HandshakeError with a `Refusal` and changes nothing; the peer hears nothing of it.

An INIT can be replayed (`l2mesh.session.noise`): whoever opens one may answer it, and must not let
it displace anything.
"""

from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Final, NoReturn

from l2mesh.crypto import Cipher, Crypto, KeyPair, Random
from l2mesh.errors import CryptoError, HandshakeError, MalformedPacket
from l2mesh.identity import Identity, PublicIdentity
from l2mesh.session import macs, noise
from l2mesh.session.noise import IKPSK2, HandshakeState, SplitKeys
from l2mesh.wire.handshake import (
    ANNOUNCEMENT_BYTES,
    EXTENSION_HEAD_BYTES,
    INIT_OVERHEAD_BYTES,
    MAC_BYTES,
    MAX_HANDSHAKE_BYTES,
    MIN_INIT_BYTES,
    PAYLOAD_HEAD_BYTES,
    RESPONSE_OVERHEAD_BYTES,
    VERSION,
    Announcement,
    Cookie,
    Extension,
    Indices,
    Init,
    Lanes,
    Padding,
    Payload,
    Response,
    Software,
)

__all__ = [
    "Established",
    "Initiation",
    "Offer",
    "OpenedInit",
    "Refusal",
    "Role",
    "open_init",
    "respond",
]

NO_PSK: Final = bytes(32)
EPHEMERAL_BYTES: Final = 32


class Role(IntEnum):
    """As what a responder is addressed; part of the prologue. A controller is a node."""

    PLANET = 1
    NODE = 2


class Refusal(StrEnum):
    """Why a handshake was refused; the message of the HandshakeError."""

    MALFORMED = "malformed"
    MAC = "wrong mac1"
    AUTHENTICATION = "does not authenticate"
    CRITICAL = "unknown critical extension"
    KEY_MISMATCH = "identity has another key than the one proved"
    BINDING = "identity does not verify"
    OWN_IDENTITY = "our own identity"
    FOREIGN_IDENTITY = "not the identity expected"
    CIPHER = "no common cipher"
    UNKNOWN = "no such handshake under way"
    UNCONFIRMED = "too many unconfirmed sessions"
    EXHAUSTED = "no receive index is free"


def refuse(refusal: Refusal) -> NoReturn:
    """Raises HandshakeError, without the error from below that may have led to it."""
    raise HandshakeError(refusal.value) from None


@dataclass(frozen=True, slots=True)
class Offer:
    """What our side says in a handshake."""

    ciphers: frozenset[Cipher]
    """Those that we can use."""
    control_index: int
    """Our receive index for network 0."""
    announcements: tuple[Announcement, ...] = ()
    """Our other receive indices, at most `room_in_init` or `room_in_response`."""
    software: str = ""
    """For people, at most 32 bytes."""
    lanes: int = 1
    """With how many lanes we would send, 1 to 8."""


@dataclass(frozen=True, slots=True)
class Established:
    """What both ends know when a handshake is done."""

    peer: PublicIdentity
    cipher: Cipher
    keys: SplitKeys = field(repr=False)
    """As seen from our side; `l2mesh.session.keys` derives from them."""
    control_index: int
    """The peer's receive index for network 0."""
    announcements: tuple[Announcement, ...]
    """The peer's other receive indices."""
    software: str
    lanes: int = 1
    """With how many lanes the peer would send, 1 to 8."""


@dataclass(frozen=True, slots=True)
class OpenedInit:
    """An INIT of somebody who proved to be `peer`. It can be answered once."""

    peer: PublicIdentity
    handshake: int
    """The initiator's number of the attempt."""
    ephemeral: bytes
    """Noise e, 32 bytes: the same in a duplicate or a replay, and in nothing else."""
    control_index: int
    announcements: tuple[Announcement, ...]
    ciphers: frozenset[Cipher]
    software: str
    lanes: int
    size: int
    """Bytes of the INIT; the RESPONSE must not be longer."""
    noise: HandshakeState = field(repr=False)


def prologue(role: Role, responder: bytes) -> bytes:
    """What both ends mix in first; `responder` is the responder's fingerprint."""
    return b"l2mesh/1" + bytes([role]) + responder


def room_in_init(software: str, lanes: int = 1) -> int:
    """How many announcements fit an INIT of 1200 bytes."""
    return _room(MAX_HANDSHAKE_BYTES - INIT_OVERHEAD_BYTES, software, lanes)


def room_in_response(opened: OpenedInit, software: str, lanes: int = 1) -> int:
    """How many announcements fit a RESPONSE that is no longer than the INIT that it answers."""
    return _room(opened.size - RESPONSE_OVERHEAD_BYTES, software, lanes)


def _room(payload_bytes: int, software: str, lanes: int) -> int:
    others = sum(each.encoded_len for each in _about_us(software, lanes))
    return (
        payload_bytes - PAYLOAD_HEAD_BYTES - others - EXTENSION_HEAD_BYTES
    ) // ANNOUNCEMENT_BYTES


class Initiation:
    """One attempt: one INIT with its own ephemeral key, which may be answered once."""

    def __init__(
        self,
        *,
        local: Identity,
        peer: PublicIdentity,
        role: Role,
        crypto: Crypto,
        random: Random,
        offer: Offer,
        cookie: bytes | None = None,
    ) -> None:
        """`cookie` (16 bytes) makes mac2. Raises CryptoError when the peer's key is unusable."""
        self.offer = offer
        self.handshake = int.from_bytes(random(4), "big")
        self._crypto = crypto
        self._local = local
        self._peer = peer
        self._noise = HandshakeState(
            crypto,
            IKPSK2,
            noise.Role.INITIATOR,
            random=random,
            prologue=prologue(role, peer.fingerprint),
            static=_static(local),
            remote_static=peer.exchange,
            psk=NO_PSK,
        )
        payload = _payload(local, offer, sum(offer.ciphers))
        message = self._noise.write_message(_padded(payload).encode())
        self._init = _init_with_mac1(Init(self.handshake, message), peer)
        if cookie is not None:
            self.show(cookie)

    @property
    def datagram(self) -> bytes:
        """The INIT, 384 to 1200 bytes."""
        return self._init.encode()

    def show(self, cookie: bytes) -> None:
        """Puts mac2 for a cookie (16 bytes) into `datagram`, which is the same otherwise."""
        covered = self._init.encode()[:-MAC_BYTES]
        self._init = replace(self._init, mac2=macs.mac2(cookie, covered))

    def read_response(self, datagram: bytes) -> Established:
        """What the peer's RESPONSE establishes.

        HandshakeError leaves us ready for a true RESPONSE, unless this one came from the owner of
        the peer's X25519 key and was refused for what it says.
        """
        try:
            response = Response.decode(datagram)
            if not macs.has_mac1(macs.mac1_key(self._local.public.exchange), datagram):
                refuse(Refusal.MAC)
            if response.handshake != self.handshake or self._noise.is_finished:
                refuse(Refusal.UNKNOWN)
            payload = Payload.decode(self._noise.read_message(response.noise))
        except MalformedPacket:
            refuse(Refusal.MALFORMED)
        except CryptoError:
            refuse(Refusal.AUTHENTICATION)
        peer = _verified(payload, self._noise, self._crypto)
        if peer.fingerprint != self._peer.fingerprint:
            refuse(Refusal.FOREIGN_IDENTITY)
        if payload.ciphers not in self.offer.ciphers:
            refuse(Refusal.CIPHER)
        return Established(
            peer=peer,
            cipher=Cipher(payload.ciphers),
            keys=self._noise.split(),
            control_index=payload.control_index,
            announcements=payload.announcements,
            software=payload.software,
            lanes=payload.lanes,
        )

    def read_cookie(self, datagram: bytes) -> bytes:
        """The cookie (16 bytes) that answers our INIT; HandshakeError if it answers another."""
        try:
            cookie = Cookie.decode(datagram)
            if cookie.handshake != self.handshake:
                refuse(Refusal.UNKNOWN)
            return macs.open_cookie(
                self._crypto,
                macs.cookie_key(self._peer.exchange),
                nonce=cookie.nonce,
                mac1=self._init.mac1,
                sealed=cookie.sealed,
            )
        except MalformedPacket:
            refuse(Refusal.MALFORMED)
        except CryptoError:
            refuse(Refusal.AUTHENTICATION)


def open_init(
    datagram: bytes, *, local: Identity, role: Role, crypto: Crypto, random: Random
) -> OpenedInit:
    """Who asks for a session with us, in the role that we have. Costs two Diffie-Hellman.

    HandshakeError for whatever is wrong. `random` is for the ephemeral key of an answer.
    """
    try:
        init = Init.decode(datagram)
        if not macs.has_mac1(macs.mac1_key(local.public.exchange), datagram):
            refuse(Refusal.MAC)
        state = HandshakeState(
            crypto,
            IKPSK2,
            noise.Role.RESPONDER,
            random=random,
            prologue=prologue(role, local.fingerprint),
            static=_static(local),
            psk=NO_PSK,
        )
        payload = Payload.decode(state.read_message(init.noise))
    except MalformedPacket:
        refuse(Refusal.MALFORMED)
    except CryptoError:
        refuse(Refusal.AUTHENTICATION)
    peer = _verified(payload, state, crypto)
    if peer.fingerprint == local.fingerprint or peer.exchange == local.public.exchange:
        refuse(Refusal.OWN_IDENTITY)
    return OpenedInit(
        peer=peer,
        handshake=init.handshake,
        ephemeral=init.noise[:EPHEMERAL_BYTES],
        control_index=payload.control_index,
        announcements=payload.announcements,
        ciphers=frozenset(each for each in Cipher if each & payload.ciphers),
        software=payload.software,
        lanes=payload.lanes,
        size=len(datagram),
        noise=state,
    )


def choose(ours: frozenset[Cipher], theirs: frozenset[Cipher]) -> Cipher:
    """AES-256-GCM where both have it, else ChaCha20-Poly1305; HandshakeError without either."""
    common = ours & theirs
    if not common:
        refuse(Refusal.CIPHER)
    return min(common)


def respond(opened: OpenedInit, *, local: Identity, offer: Offer) -> tuple[bytes, Established]:
    """(RESPONSE, what it establishes).

    HandshakeError without a common cipher or for an unusable key, StateError the second time.
    """
    cipher = choose(offer.ciphers, opened.ciphers)
    payload = _payload(local, offer, cipher)
    try:
        message = opened.noise.write_message(payload.encode())
    except CryptoError:
        refuse(Refusal.AUTHENTICATION)
    response = _response_with_mac1(Response(opened.handshake, message), opened.peer)
    established = Established(
        peer=opened.peer,
        cipher=cipher,
        keys=opened.noise.split(),
        control_index=opened.control_index,
        announcements=opened.announcements,
        software=opened.software,
        lanes=opened.lanes,
    )
    return response.encode(), established


def _static(local: Identity) -> KeyPair:
    return KeyPair(local.exchange_private, local.public.exchange)


def _verified(payload: Payload, state: HandshakeState, crypto: Crypto) -> PublicIdentity:
    """The identity in a payload, once it is shown to be the sender's (section 3.3)."""
    if payload.has_unknown_critical:
        refuse(Refusal.CRITICAL)
    try:
        peer = PublicIdentity.decode(payload.identity, crypto)
    except CryptoError:
        refuse(Refusal.BINDING)
    if peer.exchange != state.remote_static:
        refuse(Refusal.KEY_MISMATCH)
    return peer


def _payload(local: Identity, offer: Offer, ciphers: int) -> Payload:
    extensions: list[Extension] = []
    if offer.announcements:
        extensions.append(Indices(offer.announcements))
    extensions += _about_us(offer.software, offer.lanes)
    return Payload(
        identity=local.public.encode(),
        version=VERSION,
        ciphers=ciphers,
        control_index=offer.control_index,
        extensions=tuple(extensions),
    )


def _about_us(software: str, lanes: int) -> list[Extension]:
    """What is said only where it is not taken for granted."""
    said: list[Extension] = [Software(software)] if software else []
    return [*said, Lanes(lanes)] if lanes > 1 else said


def _padded(payload: Payload) -> Payload:
    """`payload` as an INIT carries it: its datagram has at least 384 bytes."""
    missing = MIN_INIT_BYTES - INIT_OVERHEAD_BYTES - payload.encoded_len
    if missing <= 0:
        return payload
    padding = Padding(max(0, missing - EXTENSION_HEAD_BYTES))
    return replace(payload, extensions=(*payload.extensions, padding))


def _init_with_mac1(init: Init, receiver: PublicIdentity) -> Init:
    key = macs.mac1_key(receiver.exchange)
    return replace(init, mac1=macs.mac1(key, init.encode()[: -2 * MAC_BYTES]))


def _response_with_mac1(response: Response, receiver: PublicIdentity) -> Response:
    key = macs.mac1_key(receiver.exchange)
    return replace(response, mac1=macs.mac1(key, response.encode()[:-MAC_BYTES]))
