"""Messages between a source of broadcasts and members that replicate them (section 10.4)."""

from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from l2mesh.wire.fields import U32, Fingerprint, Network

__all__ = ["MAX_ASSIGNED", "Replicate", "Replicating"]

MAX_ASSIGNED: Final = 4096

Members = Annotated[tuple[Fingerprint, ...], Meta(max_length=MAX_ASSIGNED)]


class Replicate(Struct, frozen=True):
    """Carry broadcasts of mine that name this assignment on to these members; none: do not."""

    VERB: ClassVar[int] = 0x3C
    network: Network
    assignment: U32
    receivers: Members = ()


class Replicating(Struct, frozen=True):
    """I carry on under this assignment, but do not reach those `missing`; 0: under none."""

    VERB: ClassVar[int] = 0x3D
    network: Network
    assignment: U32
    missing: Members = ()
