"""The first byte of a datagram (section 2): it tells which message follows."""

from enum import IntEnum
from typing import Final

__all__ = ["DATA_BIT", "OPENER", "OPENER_TTL", "DatagramType"]

DATA_BIT: Final = 0x80
"""Set in the first byte of DATA, whose other seven bits are flags (`l2mesh.wire.data`)."""

OPENER: Final = b"\0"
"""What opens our own NAT towards somebody (section 8.4); where it arrives it meets silence."""
OPENER_TTL: Final = 3
"""Its TTL, or hop limit where NAT64 leads to IPv4: two boxes of ours let it through, and the peer's
is further away."""


class DatagramType(IntEnum):
    """First bytes below 0x80. Whatever is not here meets silence."""

    INIT = 1
    RESPONSE = 2
    COOKIE = 3
    RELAY = 4
    GROUP = 5  # reserved
