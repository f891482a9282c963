"""The envelope of what is signed (section 9.1).

An object travels as the MessagePack array `[type str, body bin, signature bin64]`. The signature
covers `"l2mesh/1/" type | 0x00 | network ID u64 | the exact body bytes`, so that no signature of
one kind or network passes for another. The body stays bytes until the signature has verified, and
is never encoded again.
"""

from typing import Annotated, Any, Final, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from l2mesh.crypto import SIGNATURE_BYTES, Crypto
from l2mesh.errors import MalformedPacket
from l2mesh.identity import Identity, PublicIdentity, signature_input
from l2mesh.wire.body import pack, pack_value, unpack, unpack_value
from l2mesh.wire.fields import Network

__all__ = ["ISSUER_BYTES", "NetworkBody", "Version", "open_signed", "seal"]

ISSUER_BYTES: Final = 8
_ENVELOPE_PARTS: Final = 3

Version: TypeAlias = Annotated[int, Meta(ge=1, le=1)]
Issuer: TypeAlias = Annotated[bytes, Meta(min_length=ISSUER_BYTES, max_length=ISSUER_BYTES)]


class NetworkBody(Struct, frozen=True, kw_only=True):
    """What every body signed for a network has.

    `issuer` is the front of the signer's fingerprint; `seal` fills it in. `delegation` is reserved:
    a body that has one is refused, because we could not judge it.
    """

    version: Version = 1
    issuer: Issuer = bytes(ISSUER_BYTES)
    delegation: UnsetType = UNSET
    network: Network


B = TypeVar("B", bound=NetworkBody)


def seal(kind: str, network: int, body: NetworkBody, identity: Identity, crypto: Crypto) -> bytes:
    """The signed object of `body`; MalformedPacket if the body is one that no reader would take."""
    if body.network != network:
        raise MalformedPacket(f"a body for {body.network:016x} is not signed for {network:016x}")
    data = pack(replace(body, issuer=identity.fingerprint[:ISSUER_BYTES]))
    return pack_value([kind, data, identity.sign(kind, network, data, crypto)])


def open_signed(
    data: bytes,
    kind: str,
    network: int,
    signer: PublicIdentity,
    type: type[B],  # noqa: A002
    crypto: Crypto,
) -> B:
    """The body of a signed object.

    Raises MalformedPacket when the object or its body has another shape, kind, network or issuer,
    and CryptoError when the signature is not `signer`'s.
    """
    body_bytes, signature = _split_envelope(data, kind)
    crypto.verify(signer.signing, signature_input(kind, network, body_bytes), signature)
    body = unpack(body_bytes, type)
    if body.network != network or body.issuer != signer.fingerprint[:ISSUER_BYTES]:
        raise MalformedPacket(f"{kind}: network or issuer is not that of the signature")
    return body


def _split_envelope(data: bytes, kind: str) -> tuple[bytes, bytes]:
    """(body, signature) of an envelope of this kind."""
    parts: Any = unpack_value(data)
    if not isinstance(parts, list) or len(parts) != _ENVELOPE_PARTS or parts[0] != kind:
        raise MalformedPacket(f"not a signed object of type {kind}")
    _, body, signature = parts
    if not isinstance(body, bytes) or not isinstance(signature, bytes):
        raise MalformedPacket(f"{kind}: body or signature is not binary")
    if len(signature) != SIGNATURE_BYTES:
        raise MalformedPacket(f"{kind}: a signature of {len(signature)} bytes")
    return body, signature
