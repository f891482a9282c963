"""MessagePack bodies with limits (section 6.1).

msgpack takes more than we do: the last of two equal keys, floats, extensions, and an array that
claims a million elements at each of a thousand depths. So a body is walked once before it is
decoded. The walk builds nothing and refuses whatever this protocol does not use. Then msgpack
decodes, and msgspec puts the values into a frozen Struct whose fields say what they may hold.

Keys that a Struct does not know are skipped, unless the body's key `critical` lists them.
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

import msgpack
import msgspec

from l2mesh.errors import MalformedPacket

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_DEPTH",
    "MAX_VALUES",
    "pack",
    "pack_value",
    "unpack",
    "unpack_value",
]

T = TypeVar("T", bound=msgspec.Struct)

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 8
"""Containers inside each other; the map of the body is the first."""
MAX_VALUES: Final = 131_072
"""Keys, elements and containers together: what a full list of revocations needs, and no more."""

_SHOWN_MAX: Final = 40  # characters of a key in a message of ours


def pack(value: msgspec.Struct) -> bytes:
    """A Struct as MessagePack, fields in their order.

    MalformedPacket when the outcome is one that `unpack` would not take: our own values are held to
    the same limits.
    """
    try:
        plain = msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=_plain_mapping)
        _convert(plain, type(value))
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedPacket(f"not to be packed: {error}") from None
    return pack_value(plain)


def pack_value(value: object) -> bytes:
    """Plain values as MessagePack; MalformedPacket for what `unpack_value` would not take."""
    try:
        data: bytes = msgpack.packb(value, use_bin_type=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedPacket(f"not to be packed: {error}") from None
    _walk(data)
    return data


def unpack(data: bytes, type: type[T]) -> T:  # noqa: A002
    """The body in `data` as a `type`; any fault at all is a MalformedPacket."""
    value = unpack_value(data)
    if not isinstance(value, dict):
        raise MalformedPacket("a body is a map")
    _check_critical(value, type)
    try:
        return _convert(value, type)
    except ValueError as error:
        raise MalformedPacket(f"{type.__name__}: {error}") from None


def unpack_value(data: bytes) -> Any:
    """The one MessagePack value in `data`, as dict, list, str, bytes, int, bool or None."""
    _walk(data)
    try:
        return msgpack.unpackb(data, object_pairs_hook=_unique)
    except MalformedPacket:
        raise
    except (ValueError, msgpack.UnpackException) as error:
        raise MalformedPacket(f"not MessagePack: {error}") from None


def _convert(value: object, type: type[T]) -> T:  # noqa: A002
    return msgspec.convert(value, type, strict=True, builtin_types=(bytes,))


def _plain_mapping(value: object) -> object:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a body")


def _unique(pairs: list[tuple[object, object]]) -> dict[object, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedPacket("a key occurs twice")
    return members


def _check_critical(body: Mapping[str, object], type: type[T]) -> None:  # noqa: A002
    critical = body.get("critical", [])
    if not isinstance(critical, list) or not all(isinstance(key, str) for key in critical):
        raise MalformedPacket("`critical` is not an array of keys")
    unknown = set(critical).difference(type.__struct_encode_fields__)
    if unknown:
        raise MalformedPacket(f"a critical key is unknown: {min(unknown)[:_SHOWN_MAX]!r}")


# --- the walk -----------------------------------------------------------------------------------


class _Kind(Enum):
    """What a first byte begins."""

    SCALAR = auto()  # so many bytes
    SIGNED = auto()  # a signed number of so many bytes, refused when negative
    STRING = auto()  # so many bytes
    ARRAY = auto()  # so many elements
    MAP = auto()  # so many pairs
    REFUSED = auto()


class _Token(NamedTuple):
    """`size` bytes, elements or pairs follow; if `width`, the size itself follows, so wide."""

    kind: _Kind
    size: int = 0
    width: int = 0


# Floats, extensions and negative numbers are not listed.
_WIDE_TOKENS: Final = (
    dict.fromkeys((0xC0, 0xC2, 0xC3), _Token(_Kind.SCALAR))  # nil, false, true
    | {0xC4 + power: _Token(_Kind.SCALAR, width=1 << power) for power in range(3)}  # binary
    | {0xCC + power: _Token(_Kind.SCALAR, 1 << power) for power in range(4)}
    | {0xD0 + power: _Token(_Kind.SIGNED, 1 << power) for power in range(4)}
    | {0xD9 + power: _Token(_Kind.STRING, width=1 << power) for power in range(3)}
    | {0xDC + power: _Token(_Kind.ARRAY, width=2 << power) for power in range(2)}
    | {0xDE + power: _Token(_Kind.MAP, width=2 << power) for power in range(2)}
)


def _token(first: int) -> _Token:
    """The MessagePack specification's table of first bytes."""
    if first < 0x80:  # noqa: PLR2004
        return _Token(_Kind.SCALAR)
    if first < 0x90:  # noqa: PLR2004
        return _Token(_Kind.MAP, first & 0x0F)
    if first < 0xA0:  # noqa: PLR2004
        return _Token(_Kind.ARRAY, first & 0x0F)
    if first < 0xC0:  # noqa: PLR2004
        return _Token(_Kind.STRING, first & 0x1F)
    return _WIDE_TOKENS.get(first, _Token(_Kind.REFUSED))


_TOKENS: Final = tuple(_token(first) for first in range(256))


def _walk(data: bytes) -> None:
    """MalformedPacket unless `data` is one value within all limits, with strings for keys.

    Linear in `data`, and nothing is allocated; a container is entered only when as many bytes are
    left as it claims elements.
    """
    if len(data) > MAX_BODY_BYTES:
        raise MalformedPacket(f"a body of {len(data)} bytes is too long")
    walk = _Walk(data)
    try:
        end = walk.value(0, depth=0)
    except IndexError:
        raise MalformedPacket("the body ends too early") from None
    if end != len(data):
        raise MalformedPacket("the body ends too early or too late")


class _Walk:
    """Steps over values; IndexError at the end of the data. It recurses eight times at most."""

    __slots__ = ("_data", "_values")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._values = 1

    def value(self, position: int, *, depth: int) -> int:
        """Where the value at `position` ends."""
        kind, size, position = self._head(position)
        if kind is _Kind.ARRAY:
            self._enter(position, size, depth=depth)
            for _ in range(size):
                position = self.value(position, depth=depth + 1)
            return position
        if kind is _Kind.MAP:
            self._enter(position, 2 * size, depth=depth)
            for _ in range(size):
                position = self.value(self._key(position), depth=depth + 1)
            return position
        return position + size

    def _key(self, position: int) -> int:
        kind, size, position = self._head(position)
        if kind is not _Kind.STRING:
            raise MalformedPacket("a key is not a string")
        return position + size

    def _head(self, position: int) -> tuple[_Kind, int, int]:
        """(kind, bytes or elements that follow, where they begin)."""
        kind, size, width = _TOKENS[self._data[position]]
        position += 1
        if width:
            size = int.from_bytes(self._data[position : position + width], "big")
            return kind, size, position + width
        if kind is _Kind.REFUSED or (kind is _Kind.SIGNED and self._data[position] & 0x80):
            raise MalformedPacket("a float, an extension or a negative number")
        return kind, size, position

    def _enter(self, position: int, elements: int, *, depth: int) -> None:
        self._values += elements
        if elements > len(self._data) - position:
            raise MalformedPacket("an array or map claims more than is there")
        if self._values > MAX_VALUES or depth >= MAX_DEPTH:
            raise MalformedPacket("too many values, or too deep")
