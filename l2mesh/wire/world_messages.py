"""Messages that carry updates of the world to whoever holds an older one (section 7.5)."""

from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from l2mesh.wire.fields import Fingerprint

__all__ = ["MAX_WORLD_BYTES", "HaveWorld", "WorldUpdate"]

MAX_WORLD_BYTES: Final = 64 * 1024


class HaveWorld(Struct, frozen=True):
    """This world, at this revision, is the newest that the sender holds."""

    VERB: ClassVar[int] = 0x28
    id: Fingerprint
    revision: Annotated[int, Meta(ge=1)]


class WorldUpdate(Struct, frozen=True):
    """The signed world (section 7.1), for one who holds an older revision."""

    VERB: ClassVar[int] = 0x29
    object: Annotated[bytes, Meta(min_length=1, max_length=MAX_WORLD_BYTES)]
