"""Telling a sender of congestion: the two bits of Explicit Congestion Notification (RFC 3168)."""

from typing import Final

from l2mesh.datapath.reference.superframe.layout import IPV4_BYTES, ONES, fold, u16
from l2mesh.switch.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, parse_header

__all__ = ["mark"]

IPV4_SUM_AT: Final = 10
IPV4_CE: Final = 0b11
"""Of the first two octets: all bits: congestion experienced; any of them: it may be told so."""
IPV6_CE: Final = 0b11 << 4
"""The same of IPv6, whose class begins in the middle of the first octet."""


def mark(frame: bytes) -> bytes | None:
    """The frame marked "congestion experienced", if its sender understands that: codepoint ECT(0)
    or ECT(1), or marked already. Else None."""
    header = parse_header(frame)
    if header is None:
        return None
    bits, length = {ETHERTYPE_IPV4: (IPV4_CE, IPV4_BYTES), ETHERTYPE_IPV6: (IPV6_CE, 2)}.get(
        header.ethertype, (0, 0)
    )
    at = header.payload
    if not bits or len(frame) < at + length:
        return None
    old = u16(frame, at)
    if not old & bits:
        return None
    new = old | bits
    marked = bytearray(frame)
    marked[at : at + 2] = new.to_bytes(2, "big")
    if bits == IPV4_CE:
        # RFC 1624: HC' = ~(~HC + ~m + m')
        total = fold((u16(frame, at + IPV4_SUM_AT) ^ ONES) + (old ^ ONES) + new)
        marked[at + IPV4_SUM_AT : at + IPV4_SUM_AT + 2] = (total ^ ONES).to_bytes(2, "big")
    return bytes(marked)
