"""The world: which planets a node trusts for introductions (section 7.1).

It is signed by keys of its own, which may be kept offline, and not by an identity; so its envelope
carries several signatures and its body has no issuer:

    ["world", body bin, [[signer's Ed25519 key bin32, signature bin64], ...]]

The signatures cover what section 9.1 says, with type `world` and network 0. `id` is BLAKE2b-256
over the sorted signers of revision 1 and never changes. A file holds the text form, one line.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated, Any, Final, NamedTuple, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from l2mesh.credential.signed import Version
from l2mesh.crypto import KEY_BYTES, SIGNATURE_BYTES, Crypto
from l2mesh.errors import ConfigError, CryptoError, L2meshError, MalformedPacket
from l2mesh.identity import PublicIdentity, signature_input
from l2mesh.wire.body import pack, pack_value, unpack, unpack_value
from l2mesh.wire.endpoint import Endpoint, format_endpoint, parse_endpoint
from l2mesh.wire.fields import EndpointText, Fingerprint, PublicBytes

__all__ = ["Planet", "SigningKey", "World", "world_id"]

KIND: Final = "world"
TEXT_PREFIX: Final = "l2mesh-world:"
MAX_WORLD_BYTES: Final = 64 * 1024
MAX_PLANETS: Final = 16
MAX_ENDPOINTS: Final = 8
MAX_SIGNERS: Final = 8
MAX_SIGNATURES: Final = 2 * MAX_SIGNERS
"""Those of the new signers and of all signers before."""
_ENVELOPE_PARTS: Final = 3
_SIGNATURE_PARTS: Final = 2


class SigningKey(NamedTuple):
    """An Ed25519 key that signs worlds: 64 bytes of secret, 32 public. Only the latter shows."""

    secret: bytes
    public: bytes

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"

    @classmethod
    def from_seed(cls, seed: bytes, crypto: Crypto) -> Self:
        """The key of a 32-byte seed, which is what a world key file keeps."""
        return cls(*crypto.ed25519_from_seed(seed))


class Planet(NamedTuple):
    """A planet and the endpoints where it listens."""

    identity: PublicIdentity
    endpoints: tuple[Endpoint, ...]


class _PlanetBody(Struct, frozen=True):
    public: PublicBytes
    endpoints: Annotated[tuple[EndpointText, ...], Meta(min_length=1, max_length=MAX_ENDPOINTS)]


class _WorldBody(Struct, frozen=True, kw_only=True):
    version: Version = 1
    delegation: UnsetType = UNSET
    id: Fingerprint
    revision: Annotated[int, Meta(ge=1)]
    signers: Annotated[tuple[Fingerprint, ...], Meta(min_length=1, max_length=MAX_SIGNERS)]
    planets: Annotated[tuple[_PlanetBody, ...], Meta(min_length=1, max_length=MAX_PLANETS)]

    def __post_init__(self) -> None:
        if len(set(self.signers)) != len(self.signers):
            raise MalformedPacket("a signer occurs twice")
        if self.revision == 1 and self.id != world_id(self.signers):
            raise MalformedPacket("the id is not that of the first signers")


class Signature(NamedTuple):
    """One signature (64 bytes) over the body, and the Ed25519 key it is by."""

    signer: bytes
    signature: bytes


def world_id(signers: Iterable[bytes]) -> bytes:
    """The 32-byte id of a world whose first signers these are."""
    return blake2b(b"".join(sorted(signers)), digest_size=32).digest()


@dataclass(frozen=True, slots=True)
class World:
    """A world whose signatures have verified; built by `create` and `parse` alone.

    `revision` starts at 1. `signers` are the Ed25519 keys that sign for this revision and must sign
    the next. `body` is the exact bytes signed.
    """

    id: bytes
    revision: int
    signers: tuple[bytes, ...]
    planets: tuple[Planet, ...]
    body: bytes = field(repr=False)
    signatures: tuple[Signature, ...] = field(repr=False)

    @classmethod
    def create(
        cls,
        planets: Sequence[Planet],
        keys: Sequence[SigningKey],
        crypto: Crypto,
        *,
        revision: int = 1,
        previous: "World | None" = None,
        previous_keys: Sequence[SigningKey] = (),
    ) -> Self:
        """A world signed by `keys`, which are its signers.

        With `previous` it is an update: the same id, a revision at least one higher, and signed by
        `previous_keys` as well. Without, the id is that of `keys`. ConfigError if the outcome is no
        valid world, or no update that `previous` admits.
        """
        signers = tuple(sorted(key.public for key in keys))
        body = _WorldBody(
            id=world_id(signers) if previous is None else previous.id,
            revision=revision if previous is None else max(revision, previous.revision + 1),
            signers=signers,
            planets=tuple(_planet_body(planet) for planet in planets),
        )
        try:
            world = cls.parse(_sign(pack(body), {*keys, *previous_keys}, crypto), crypto)
        except (MalformedPacket, CryptoError) as error:
            raise ConfigError(f"no world can be made of this: {error}") from None
        if previous is not None and not world.is_update_of(previous):
            raise ConfigError(
                "an update must be signed by every signer of the world before",
                hint="give the key files of all of them",
            )
        return world

    @classmethod
    def parse(cls, data: bytes, crypto: Crypto) -> Self:
        """Reads a world and verifies all of it, planets' identities included.

        Raises MalformedPacket for its shape, CryptoError for a signature that does not verify.
        """
        if len(data) > MAX_WORLD_BYTES:
            raise MalformedPacket(f"a world of {len(data)} bytes is too long")
        body_bytes, signatures = _split_envelope(data)
        body = unpack(body_bytes, _WorldBody)
        planets = tuple(_planet(planet, crypto) for planet in body.planets)
        if len({planet.identity.fingerprint for planet in planets}) != len(planets):
            raise MalformedPacket("a planet occurs twice")
        world = cls(body.id, body.revision, body.signers, planets, body_bytes, signatures)
        world.verify(crypto)
        return world

    def verify(self, crypto: Crypto) -> None:
        """CryptoError unless every signer has signed and every signature verifies."""
        signed_by = {signature.signer for signature in self.signatures}
        if not signed_by.issuperset(self.signers) or len(signed_by) != len(self.signatures):
            raise CryptoError("a signer of the world has not signed it, or signed it twice")
        text = signature_input(KIND, 0, self.body)
        for signature in self.signatures:
            crypto.verify(signature.signer, text, signature.signature)

    def is_update_of(self, old: "World") -> bool:
        """Whether a node that holds `old` takes this: same id, higher, signed by all of old."""
        signed_by = {signature.signer for signature in self.signatures}
        is_newer = self.id == old.id and self.revision > old.revision
        return is_newer and signed_by.issuperset(old.signers)

    def is_news_to(self, held: "World | None") -> bool:
        """Whether it is another world than `held`, or a later one."""
        return held is None or held.id != self.id or held.revision < self.revision

    def encode(self) -> bytes:
        """The bytes that `parse` reads, as they were signed."""
        return _envelope(self.body, self.signatures)

    def text(self) -> str:
        """The line that a file holds: `l2mesh-world:` and base64url without padding."""
        return TEXT_PREFIX + base64.urlsafe_b64encode(self.encode()).decode("ascii").rstrip("=")

    @classmethod
    def from_text(cls, text: str, crypto: Crypto) -> Self:
        """Undoes `text`, white space around it allowed; ConfigError when it is no true world."""
        try:
            return cls.parse(_decode_text(text.strip()), crypto)
        except (ValueError, L2meshError) as error:
            raise ConfigError(
                f"not a world file: {error}",
                hint="copy the file `world` of the planet, or make one: l2mesh-planet world create",
            ) from None


def _decode_text(text: str) -> bytes:
    if not text.startswith(TEXT_PREFIX) or len(text) > 2 * MAX_WORLD_BYTES:
        raise ValueError(f"it does not begin with {TEXT_PREFIX} or is too long")
    digits = text.removeprefix(TEXT_PREFIX)
    return base64.b64decode(digits + "=" * (-len(digits) % 4), b"-_", validate=True)


def _planet_body(planet: Planet) -> _PlanetBody:
    texts = tuple(format_endpoint(endpoint) for endpoint in planet.endpoints)
    return _PlanetBody(planet.identity.encode(), texts)


def _planet(body: _PlanetBody, crypto: Crypto) -> Planet:
    try:
        endpoints = tuple(parse_endpoint(text) for text in body.endpoints)
    except ConfigError as error:
        raise MalformedPacket(f"planet: {error}") from None
    return Planet(PublicIdentity.decode(body.public, crypto), endpoints)


def _sign(body: bytes, keys: Iterable[SigningKey], crypto: Crypto) -> bytes:
    text = signature_input(KIND, 0, body)
    in_order = sorted(keys, key=lambda key: key.public)
    return _envelope(
        body, [Signature(key.public, crypto.sign(key.secret, text)) for key in in_order]
    )


def _envelope(body: bytes, signatures: Iterable[Signature]) -> bytes:
    return pack_value([KIND, body, [list(signature) for signature in signatures]])


def _split_envelope(data: bytes) -> tuple[bytes, tuple[Signature, ...]]:
    parts: Any = unpack_value(data)
    if not isinstance(parts, list) or len(parts) != _ENVELOPE_PARTS or parts[0] != KIND:
        raise MalformedPacket("not a world")
    _, body, signatures = parts
    if not isinstance(body, bytes) or not isinstance(signatures, list):
        raise MalformedPacket("world: body or signatures have another type")
    if len(signatures) > MAX_SIGNATURES:
        raise MalformedPacket(f"world: {len(signatures)} signatures are too many")
    return body, tuple(_signature(entry) for entry in signatures)


def _signature(entry: object) -> Signature:
    if not isinstance(entry, list) or len(entry) != _SIGNATURE_PARTS:
        raise MalformedPacket("world: a signature is a pair of key and signature")
    signer, signature = entry
    if not isinstance(signer, bytes) or len(signer) != KEY_BYTES:
        raise MalformedPacket("world: a signer's key has 32 bytes")
    if not isinstance(signature, bytes) or len(signature) != SIGNATURE_BYTES:
        raise MalformedPacket("world: a signature has 64 bytes")
    return Signature(signer, signature)
