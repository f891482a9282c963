"""MessagePack as section 6.1 of the protocol's document restricts it, written by hand."""

import struct
from typing import Any

from tests.stranger.errors import Refused, require

MAX_BYTES = 1 << 20
MAX_DEPTH = 8
MAX_VALUES = 131_072
# head byte: (width of the length or number, what it is)
HEADS = {
    0xC4: (1, "bin"),
    0xC5: (2, "bin"),
    0xC6: (4, "bin"),
    0xCC: (1, "uint"),
    0xCD: (2, "uint"),
    0xCE: (4, "uint"),
    0xCF: (8, "uint"),
    0xD0: (1, "int"),
    0xD1: (2, "int"),
    0xD2: (4, "int"),
    0xD3: (8, "int"),
    0xD9: (1, "str"),
    0xDA: (2, "str"),
    0xDB: (4, "str"),
    0xDC: (2, "array"),
    0xDD: (4, "array"),
    0xDE: (2, "map"),
    0xDF: (4, "map"),
}
CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def encode(value: Any) -> bytes:
    """The shortest form of a value."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return bytes([value]) if value < 0x80 else _head(value, (0xCC, 0xCD, 0xCE, 0xCF))
    if isinstance(value, bytes):
        return _head(len(value), (0xC4, 0xC5, 0xC6)) + value
    if isinstance(value, str):
        raw = value.encode()
        head = bytes([0xA0 | len(raw)]) if len(raw) < 32 else _head(len(raw), (0xD9, 0xDA, 0xDB))
        return head + raw
    parts = (
        [encode(part) for pair in value.items() for part in pair]
        if (is_map := isinstance(value, dict))
        else [encode(part) for part in value]
    )
    if len(value) < 16:
        return b"".join([bytes([(0x80 if is_map else 0x90) | len(value)]), *parts])
    return b"".join([_head(len(value), (0, *((0xDE, 0xDF) if is_map else (0xDC, 0xDD)))), *parts])


def _head(number: int, heads: tuple[int, ...]) -> bytes:
    for head, form in zip(heads, ("B", "H", "I", "Q"), strict=False):
        if head and number < 1 << 8 * struct.calcsize(form):
            return bytes([head]) + struct.pack(f">{form}", number)
    raise Refused("too large for MessagePack")


def decode(raw: bytes) -> Any:
    """The one value that the bytes hold; Refused beyond the limits of section 6.1."""
    require(len(raw) <= MAX_BYTES, "more than 1 MiB")
    reader = _Reader(raw)
    value = reader.value(1)
    require(reader.at == len(raw), "bytes after the end")
    return value


def decode_map(raw: bytes) -> dict[str, Any]:
    """A body: one map, in which nothing critical is unknown (the caller checks `critical`)."""
    body = decode(raw)
    require(isinstance(body, dict), "not a map")
    assert isinstance(body, dict)
    return body


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0
        self.values = 0

    def take(self, count: int) -> bytes:
        require(self.at + count <= len(self.raw), "ends too early")
        self.at += count
        return self.raw[self.at - count : self.at]

    def value(self, depth: int) -> Any:
        self.values += 1
        require(self.values <= MAX_VALUES, "too many values")
        kind, number = self.head()
        if kind == "constant":
            return CONSTANTS[number]
        if kind == "uint":
            return number
        if kind == "bin":
            return self.take(number)
        if kind == "str":
            return self.text(number)
        require(depth <= MAX_DEPTH, "too deep")
        if kind == "array":
            return [self.value(depth + 1) for _ in range(number)]
        return self.map(number, depth)

    def head(self) -> tuple[str, int]:
        """What follows and its size, or the number itself."""
        head = self.take(1)[0]
        for low, high, kind in (
            (0x00, 0x7F, "uint"),
            (0x80, 0x8F, "map"),
            (0x90, 0x9F, "array"),
            (0xA0, 0xBF, "str"),
        ):
            if low <= head <= high:
                return kind, head - low
        if head in CONSTANTS:
            return "constant", head
        require(head in HEADS, f"head 0x{head:02x} is not allowed")
        width, kind = HEADS[head]
        number = int.from_bytes(self.take(width), signed=kind == "int")
        require(number >= 0, "a negative number")
        return "uint" if kind == "int" else kind, number

    def text(self, size: int) -> str:
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise Refused("bad UTF-8") from None

    def map(self, count: int, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            require(isinstance(key, str), "a key that is no text")
            require(key not in result, "a key twice")
            result[key] = self.value(depth + 1)
        return result
