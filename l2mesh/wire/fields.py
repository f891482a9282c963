"""What the fields of bodies may hold (sections 6 and 9), for msgspec to check.

Numbers are non-negative and below 2^64 by the rules of every body (section 6.1); types here say
what is narrower. Lists are tuples, so that a body that was read never changes.
"""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

__all__ = [
    "U32",
    "Address",
    "EndpointText",
    "Fingerprint",
    "IndexNumber",
    "Lane",
    "Name",
    "Network",
    "PublicBytes",
    "Reason",
    "RelayId",
    "Revision",
    "SignedObject",
    "Token",
    "Uint",
]

# Control characters, line separators and reversals of the writing direction: what would let a name
# paint over somebody's terminal or pass for another name.
_PRINTABLE: Final = r"\A[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*\Z"

Uint: TypeAlias = Annotated[int, Meta(ge=0)]
U32: TypeAlias = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Revision: TypeAlias = Annotated[int, Meta(ge=0)]
"""Only ever rises; 0 = nothing is held."""

Network: TypeAlias = Annotated[int, Meta(ge=1)]
"""Network ID, u64."""
RelayId: TypeAlias = Annotated[int, Meta(ge=1, le=2**56 - 1)]
Lane: TypeAlias = Annotated[int, Meta(ge=0, le=255)]
IndexNumber: TypeAlias = Annotated[int, Meta(ge=1, le=2**24 - 1)]

Address: TypeAlias = Annotated[bytes, Meta(min_length=5, max_length=5)]
Fingerprint: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
PublicBytes: TypeAlias = Annotated[bytes, Meta(min_length=128, max_length=128)]
"""A public identity; `PublicIdentity.decode` verifies it."""
Token: TypeAlias = Annotated[bytes, Meta(min_length=16, max_length=32)]
SignedObject: TypeAlias = Annotated[bytes, Meta(min_length=1)]
"""An envelope (section 9.1); `l2mesh.credential` opens it."""

Name: TypeAlias = Annotated[str, Meta(max_length=64, pattern=_PRINTABLE)]
"""Of a member or network, for people."""
Reason: TypeAlias = Annotated[str, Meta(max_length=256, pattern=_PRINTABLE)]
"""A sentence for people."""
EndpointText: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, pattern=_PRINTABLE)]
"""Read by `parse_endpoint`; one that a later version wrote may be unreadable."""
