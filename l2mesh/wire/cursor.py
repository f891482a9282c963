"""Reading and writing fixed fields, the one place where lengths are checked.

All numbers are unsigned and in network byte order; a method's name says how wide one is.
"""

from l2mesh.errors import MalformedPacket

__all__ = ["Reader", "Writer"]


class Reader:
    """Takes fields off the front of `data`; nothing is copied but what is taken.

    A method that needs more bytes than are left raises MalformedPacket and takes none.
    """

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._position

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._position + size
        if not self._position <= end <= len(self._data):
            raise MalformedPacket(f"{size} bytes are due, {self.remaining} are left")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def rest(self) -> bytes:
        """All that is left, possibly nothing."""
        return self.take(self.remaining)

    def done(self) -> None:
        """Raises MalformedPacket unless everything was taken."""
        if self.remaining:
            raise MalformedPacket(f"{self.remaining} bytes follow the end")

    def u8(self) -> int:
        return self._number(1)

    def u16(self) -> int:
        return self._number(2)

    def u24(self) -> int:
        return self._number(3)

    def u32(self) -> int:
        return self._number(4)

    def u56(self) -> int:
        return self._number(7)

    def u64(self) -> int:
        return self._number(8)

    def _number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")


class Writer:
    """Gathers fields. A number that does not fit its field raises MalformedPacket."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def getvalue(self) -> bytes:
        """All that was written so far."""
        return bytes(self._data)

    def put(self, data: bytes) -> None:
        """Bytes as they are."""
        self._data += data

    def u8(self, value: int) -> None:
        self._number(value, 1)

    def u16(self, value: int) -> None:
        self._number(value, 2)

    def u24(self, value: int) -> None:
        self._number(value, 3)

    def u32(self, value: int) -> None:
        self._number(value, 4)

    def u56(self, value: int) -> None:
        self._number(value, 7)

    def u64(self, value: int) -> None:
        self._number(value, 8)

    def _number(self, value: int, size: int) -> None:
        try:
            self._data += value.to_bytes(size, "big")
        except OverflowError:
            raise MalformedPacket(
                f"{value} does not fit an unsigned {8 * size}-bit field"
            ) from None
