"""Who and what occurs in the vectors: identities, a network, and values as JSON has them.

All keys come from `stream(label)`, so that two runs make the same bytes.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import shake_256
from typing import Any, Final, TypeAlias

import msgspec

from l2mesh import address
from l2mesh.crypto import Random, SodiumCrypto
from l2mesh.identity import Identity, address_of
from l2mesh.wire.endpoint import Endpoint

__all__ = ["CRYPTO", "Case", "address_for", "identity", "network", "plain", "stream"]

Case: TypeAlias = dict[str, Any]

CRYPTO: Final = SodiumCrypto()


def stream(label: str) -> Random:
    """An endless, fixed source of bytes: SHAKE-256 over the label, cut as it is drawn from."""
    drawn = 0

    def draw(size: int) -> bytes:
        nonlocal drawn
        drawn += size
        return shake_256(label.encode()).digest(drawn)[drawn - size :]

    return draw


@cache
def identity(label: str) -> Identity:
    """The admissible identity that this label draws first."""
    return Identity.generate(CRYPTO, stream(f"l2mesh identity {label}"))


@cache
def address_for(label: str) -> bytes:
    """The address of `identity(label)`."""
    found = address_of(identity(label).fingerprint, CRYPTO)
    assert found is not None
    return found


def network() -> int:
    """Network 1 of the controller `carol`."""
    return address.network_id(address_for("carol"), 1)


def plain(value: object) -> Any:
    """A value as JSON has it: bytes as hex, Structs and NamedTuples as objects, None as null.

    Of an endpoint what is on the wire; by which uplink a host reaches it is its own matter.
    """
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Endpoint):
        return {"host": value.host, "port": value.port}
    if isinstance(value, msgspec.Struct):
        return plain(msgspec.structs.asdict(value))
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items() if one is not msgspec.UNSET}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
