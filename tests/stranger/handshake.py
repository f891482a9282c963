"""INIT, RESPONSE and COOKIE: sections 3.1 to 3.5."""

import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.stranger import noise
from tests.stranger.errors import require
from tests.stranger.identity import Identity, Public

INIT, RESPONSE, COOKIE, RELAY, DATA = 1, 2, 3, 4, 0x80
PLANET, NODE = 1, 2
SHORTEST_INIT, LONGEST_INIT, SHORTEST_RESPONSE, COOKIE_BYTES = 384, 1200, 205, 64
INDICES, PADDING, SOFTWARE, CRITICAL = 0x01, 0x02, 0x03, 0x80
HEAD = struct.Struct(">BBHI")
INDEX = struct.Struct(">QB3s")


@dataclass(frozen=True)
class Payload:
    """Section 3.3; `indices` are (network, lane, index)."""

    public: Public
    ciphers: int
    control: int
    indices: tuple[tuple[int, int, int], ...] = ()
    software: str = ""
    version: int = 1

    def encode(self, shortest: int = 0) -> bytes:
        """The bytes, padded to at least `shortest`."""
        raw = self.public.raw + bytes([self.version, self.ciphers]) + self.control.to_bytes(3)
        if self.indices:
            listed = [INDEX.pack(net, lane, at.to_bytes(3)) for net, lane, at in self.indices]
            raw += extension(INDICES, b"".join(listed))
        if self.software:
            raw += extension(SOFTWARE, self.software.encode())
        return (
            raw
            if len(raw) >= shortest
            else raw + extension(PADDING, bytes(max(0, shortest - len(raw) - 3)))
        )

    @classmethod
    def decode(cls, raw: bytes) -> "Payload":
        """Refused if it is broken or an extension is critical and unknown."""
        require(len(raw) >= 133, "a short payload")
        indices: list[tuple[int, int, int]] = []
        software, at = "", 133
        while at < len(raw):
            require(at + 3 <= len(raw), "a broken extension")
            kind, size = struct.unpack_from(">BH", raw, at)
            value = raw[at + 3 : at + 3 + size]
            at += 3 + size
            require(at <= len(raw), "a broken extension")
            require(not kind & CRITICAL, "an unknown critical extension")
            if kind == INDICES:
                require(size % INDEX.size == 0, "broken INDICES")
                indices += [
                    (net, lane, int.from_bytes(number))
                    for net, lane, number in INDEX.iter_unpack(value)
                ]
            elif kind == SOFTWARE:
                software = value.decode()
        control = int.from_bytes(raw[130:133])
        return cls(Public(raw[:128]), raw[129], control, tuple(indices), software, raw[128])


def extension(kind: int, value: bytes) -> bytes:
    """`u8 type | u16 length | value`."""
    return struct.pack(">BH", kind, len(value)) + value


@dataclass
class Attempt:
    """One INIT that we sent; `cookie` and a second sending go with it."""

    identity: Identity
    responder: Public
    role: int
    number: int
    ephemeral: X25519PrivateKey
    payload: Payload
    cookie: bytes = b""
    answered: bool = False
    transcript: noise.Transcript = field(init=False)
    body: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Compose everything up to mac1."""
        to = self.responder
        noisy = self.transcript = noise.Transcript(self.role, to.fingerprint, to.exchange)
        public = self.ephemeral.public_key().public_bytes_raw()
        noisy.mix_ephemeral(public)
        noisy.mix_key(noise.exchange(self.ephemeral, to.exchange))
        static = noisy.seal(self.identity.public.exchange)
        noisy.mix_key(noise.exchange(self.identity.exchange, to.exchange))
        sealed = noisy.seal(self.payload.encode(SHORTEST_INIT - 88 - 16 - 32))
        self.body = HEAD.pack(INIT, 1, 0, self.number) + public + static + sealed

    @property
    def mac1(self) -> bytes:
        """The first keyed hash, which a COOKIE is bound to."""
        return noise.mac1(self.responder.exchange, self.body)

    @property
    def datagram(self) -> bytes:
        """The INIT, with mac2 once there is a cookie."""
        text = self.body + self.mac1
        return text + (noise.blake2s(text, self.cookie, 16) if self.cookie else bytes(16))

    def take_cookie(self, datagram: bytes) -> None:
        """Keep the cookie of a COOKIE for this INIT."""
        require(len(datagram) == COOKIE_BYTES, "not 64 bytes")
        aead, nonce = noise.cookie_aead(self.responder.exchange, datagram[8:32])
        self.cookie = noise.open_sealed(aead, nonce, datagram[32:], self.mac1)

    def finish(self, response: bytes) -> tuple[Payload, bytes, bytes]:
        """Payload of the RESPONSE, our sending key and the responder's."""
        require(SHORTEST_RESPONSE <= len(response) <= len(self.datagram), "bad length")
        own = self.identity.public.exchange
        require(noise.mac1(own, response[:-16]) == response[-16:], "bad mac1")
        require(HEAD.unpack(response[:8]) == (RESPONSE, 1, 0, self.number), "bad head")
        noisy = self.transcript
        noisy.mix_ephemeral(response[8:40])
        noisy.mix_key(noise.exchange(self.ephemeral, response[8:40]))
        noisy.mix_key(noise.exchange(self.identity.exchange, response[8:40]))
        noisy.mix_psk(noise.NO_PSK)
        payload = Payload.decode(noisy.open(response[40:-16]))
        require(payload.public == self.responder, "another identity")
        return payload, *noisy.split()


class Answer:
    """An INIT that came; `reply` composes the RESPONSE."""

    def __init__(self, identity: Identity, init: bytes, role: int = NODE) -> None:
        """Refused unless everything about the INIT is right."""
        require(SHORTEST_INIT <= len(init) <= LONGEST_INIT, "bad length")
        require(noise.mac1(identity.public.exchange, init[:-32]) == init[-32:-16], "bad mac1")
        kind, version, zero, self.number = HEAD.unpack(init[:8])
        require((kind, version, zero) == (INIT, 1, 0), "bad head")
        self.identity, self.size, self.ephemeral = identity, len(init), init[8:40]
        own = identity.public
        noisy = self.noisy = noise.Transcript(role, own.fingerprint, own.exchange)
        noisy.mix_ephemeral(self.ephemeral)
        noisy.mix_key(noise.exchange(identity.exchange, self.ephemeral))
        self.static = noisy.open(init[40:88])
        noisy.mix_key(noise.exchange(identity.exchange, self.static))
        self.payload = Payload.decode(noisy.open(init[88:-32]))
        require(self.payload.public.exchange == self.static, "another identity")
        require(self.payload.public != identity.public, "our own identity")
        self.cipher = noise.AES_256_GCM if self.payload.ciphers & 1 else noise.CHACHA20_POLY1305
        require(self.payload.ciphers & self.cipher, "no common cipher")

    def reply(self, ephemeral: X25519PrivateKey, payload: Payload) -> tuple[bytes, bytes, bytes]:
        """The RESPONSE, the initiator's sending key and ours."""
        public, noisy = ephemeral.public_key().public_bytes_raw(), self.noisy
        noisy.mix_ephemeral(public)
        noisy.mix_key(noise.exchange(ephemeral, self.ephemeral))
        noisy.mix_key(noise.exchange(ephemeral, self.static))
        noisy.mix_psk(noise.NO_PSK)
        text = HEAD.pack(RESPONSE, 1, 0, self.number) + public + noisy.seal(payload.encode())
        return text + noise.mac1(self.static, text), *noisy.split()


def cookie_for(identity: Identity, init: bytes, cookie: bytes, nonce: bytes) -> bytes:
    """The COOKIE that answers an INIT without a right mac2."""
    aead, short = noise.cookie_aead(identity.public.exchange, nonce)
    sealed = aead.encrypt(short, cookie, init[-32:-16])
    return HEAD.pack(COOKIE, 1, 0, HEAD.unpack(init[:8])[3]) + nonce + sealed


def has_mac2(init: bytes, cookie: bytes) -> bool:
    """Whether mac2 was made with this cookie."""
    return noise.blake2s(init[:-16], cookie, 16) == init[-16:]
