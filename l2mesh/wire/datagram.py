"""The first byte of a datagram (section 2): it tells which message follows."""

from enum import IntEnum
from typing import Final

__all__ = ["DATA_BIT", "DatagramType"]

DATA_BIT: Final = 0x80
"""Set in the first byte of DATA, whose other seven bits are flags (`l2mesh.wire.data`)."""


class DatagramType(IntEnum):
    """First bytes below 0x80. Whatever is not here meets silence."""

    INIT = 1
    RESPONSE = 2
    COOKIE = 3
    RELAY = 4
    GROUP = 5  # reserved
