"""Cutting a super-frame into segments that are frames of their own.

Each segment has a copy of all headers, of which these change:

* IPv4 total length, identification (one more each) and header checksum; IPv6 payload length;
* TCP sequence number; CWR stays only on the first segment, FIN and PSH only on the last;
* UDP length;
* the L4 checksum, complete, or left open: only the sum of the pseudo header (flag CSUM).

TCP may be cut smaller than the kernel asked for, because a receiver of a byte stream does not see
where segments end: then nothing needs FRAG. Not where it would show: IPv4 without DF (more
identifications would be used than the kernel counted), urgent data, and options that sign a
segment, TCP-MD5 (RFC 2385) and TCP-AO (RFC 5925). Datagrams of UDP are never cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from l2mesh.datapath.interface import GSO_TCP4, GSO_TCP6, GSO_UDP, Offload
from l2mesh.datapath.reference.superframe.layout import (
    CHECKSUM_AT,
    CWR,
    DONT_FRAGMENT,
    FIN,
    FLAGS_AT,
    IPV4,
    IPV6,
    IPV6_BYTES,
    ONES,
    PSH,
    TCP,
    TCP_BYTES,
    UDP,
    URG,
    Layout,
    find_layout,
    find_step,
    fold,
    is_plain,
    pseudo_sum,
    sum_of,
    u16,
    u32,
)

_KINDS: Final = {
    GSO_TCP4: {(IPV4, TCP)},
    GSO_TCP6: {(IPV6, TCP)},
    GSO_UDP: {(IPV4, UDP), (IPV6, UDP)},
}
_END_OF_OPTIONS: Final = 0
_NO_OPERATION: Final = 1
_SIGNATURES: Final = frozenset({19, 29})
"""Kinds of TCP options: MD5 signature, authentication option."""

_put_u16 = Struct(">H").pack_into
_put_u32 = Struct(">I").pack_into


@dataclass(frozen=True, slots=True, eq=False)
class SuperFrame:
    """A super-frame whose headers and metadata agree."""

    frame: bytes
    layout: Layout
    gso_size: int
    """Bytes of payload in each of the kernel's segments but the last."""

    def count(self, size: int) -> int:
        """How many segments there are with `size` bytes of payload each."""
        return -(-(len(self.frame) - self.layout.payload) // size)

    def longest(self) -> int:
        """Bytes of the kernel's longest segment as a frame."""
        return min(len(self.frame), self.layout.payload + self.gso_size)

    def may_stay_open(self) -> bool:
        """Whether the segments may travel with their checksums open: flag CSUM (section 4)."""
        return self.layout.version == IPV4 or is_plain(self.layout)

    def size_for(self, room: int) -> int | None:
        """Bytes of payload for segments that are frames of at most `room` bytes.

        None when no size that is allowed fits: then the kernel's size and FRAG are the way.
        """
        fitting = room - self.layout.payload
        if fitting >= self.gso_size or len(self.frame) <= room:
            return self.gso_size
        return fitting if fitting > 0 and _may_cut(self.frame, self.layout) else None


def parse_superframe(frame: bytes, offload: Offload) -> SuperFrame | None:
    """The super-frame, None when its metadata are unknown to us or do not agree with its headers.

    They come from the kernel, but on a bridged port partly from whoever sent the frames.
    """
    layout = find_layout(frame)
    if layout is None or layout.l4 != offload.csum_start or layout.end != len(frame):
        return None
    version, protocol = layout.version, layout.protocol
    if (version, protocol) not in _KINDS.get(offload.gso_type, ()):
        return None
    if not offload.needs_csum or offload.csum_offset != CHECKSUM_AT[protocol]:
        return None
    if offload.ecn and protocol != TCP:
        return None
    if offload.gso_size <= 0 or layout.payload == layout.end:
        return None
    return SuperFrame(frame, layout, offload.gso_size)


def parse_segment(frame: bytes) -> SuperFrame | None:
    """A TCP segment with an open checksum, as a super-frame of one, None for any other frame.

    It may be cut smaller by the same rules. One whose checksum is complete may not: cutting it
    would make a wrong sum right.
    """
    layout = find_layout(frame)
    if layout is None or layout.protocol != TCP or layout.end != len(frame):
        return None
    size = layout.end - layout.payload
    return SuperFrame(frame, layout, size) if size else None


def split(whole: SuperFrame, size: int, skip: int = 0, *, is_open: bool) -> Iterator[bytes]:
    """The segments, with `size` bytes of payload each, the last one perhaps fewer.

    The first `skip` bytes of each are left out (an Ethernet header that need not travel). With
    `is_open` their L4 checksums are left open.
    """
    headers, frame = _Headers(whole, size), whole.frame
    first, end = whole.layout.payload, len(frame)
    length = first - skip
    at, index = first, 0
    while at < end:
        piece = frame[at : at + size]
        if at + size >= end:
            headers.set_last(end - at)
        headers.number(index, at - first)
        if not is_open:
            headers.complete(piece)
        shared = bytes(headers.octets[skip:])
        yield shared + piece
        at, index = at + size, index + 1
        if is_open and index > 1:  # the first one may have CWR
            step, often = find_step(headers.octets, whole.layout, size)
            alike = max(0, min(often, (end - at - 1) // size))
            number, stop = int.from_bytes(shared, "big"), at + alike * size
            for place in range(at, stop, size):
                number += step
                yield number.to_bytes(length, "big") + frame[place : place + size]
            at, index = stop, index + alike


class _Headers:
    """The headers of a segment, changed in place from one segment to the next."""

    __slots__ = (
        "_identification",
        "_ip_sum",
        "_is_tcp",
        "_layout",
        "_pseudo",
        "_sequence",
        "_total",
        "_whole",
        "octets",
    )

    octets: bytearray

    def __init__(self, whole: SuperFrame, size: int) -> None:
        """Begin with those of the first of several segments with `size` bytes of payload."""
        self._whole = whole
        self._layout = layout = whole.layout
        self.octets = header = bytearray(whole.frame[: layout.payload])
        self._pseudo = _pseudo_base(whole)
        self._is_tcp = layout.protocol == TCP
        self._ip_sum = self._identification = self._sequence = self._total = 0
        if layout.version == IPV4:
            self._identification = u16(header, layout.l3 + 4)
            ip = header[layout.l3 : layout.l4]
            del ip[10:12], ip[2:6]  # checksum; length and identification
            self._ip_sum = sum_of(ip)
        if self._is_tcp:
            self._sequence = u32(header, layout.l4 + 4)
            header[layout.l4 + FLAGS_AT] &= ~(FIN | PSH) & 0xFF
        self._set_size(size)

    def number(self, index: int, offset: int) -> None:
        """Make them those of segment `index`, whose payload begins at `offset` of all payload."""
        header, (l3, l4, _, _, version, _) = self.octets, self._layout
        if version == IPV4:
            identification = self._identification + index & ONES
            checksum = ONES - fold(self._ip_sum + self._total + identification)
            _put_u16(header, l3 + 4, identification)
            _put_u16(header, l3 + 10, checksum)
        if self._is_tcp:
            _put_u32(header, l4 + 4, self._sequence + offset & 0xFFFF_FFFF)
            if index == 1:
                header[l4 + FLAGS_AT] &= ~CWR & 0xFF

    def set_last(self, size: int) -> None:
        """The segment to come is the last, with `size` bytes of payload."""
        self._set_size(size)
        if self._is_tcp:
            at = self._layout.l4 + FLAGS_AT
            self.octets[at] |= self._whole.frame[at] & (FIN | PSH)

    def complete(self, payload: bytes) -> None:
        """Complete the L4 checksum, which is open unless this was called before."""
        header, layout = self.octets, self._layout
        field = layout.l4 + CHECKSUM_AT[layout.protocol]
        length = layout.payload - layout.l4 + len(payload)
        _put_u16(header, field, fold(self._pseudo + length))
        checksum = ONES - fold(sum_of(header[layout.l4 :]) + sum_of(payload))
        _put_u16(header, field, checksum if checksum or self._is_tcp else ONES)

    def _set_size(self, size: int) -> None:
        """Lengths, and the sum of the pseudo header, for `size` bytes of payload."""
        header, (l3, l4, payload, _, version, protocol) = self.octets, self._layout
        length = payload - l4 + size
        if version == IPV4:
            self._total = payload - l3 + size
            _put_u16(header, l3 + 2, self._total)
        else:
            _put_u16(header, l3 + 4, payload - l3 - IPV6_BYTES + size)
        if protocol == UDP:
            _put_u16(header, l4 + 4, length)
        _put_u16(header, l4 + CHECKSUM_AT[protocol], fold(self._pseudo + length))


def _pseudo_base(whole: SuperFrame) -> int:
    """The sum of the pseudo header without its length.

    Behind extension headers it comes from the kernel's field: a routing header changes the address
    that is summed.
    """
    frame, layout = whole.frame, whole.layout
    if whole.may_stay_open():
        return pseudo_sum(frame, layout, 0)
    field = u16(frame, layout.l4 + CHECKSUM_AT[layout.protocol])
    return field + ONES - fold(layout.end - layout.l4)


def _may_cut(frame: bytes, layout: Layout) -> bool:
    """Whether segments may be smaller than the kernel meant."""
    if layout.protocol != TCP or frame[layout.l4 + FLAGS_AT] & URG:
        return False
    if layout.version == IPV4 and not u16(frame, layout.l3 + 6) & DONT_FRAGMENT:
        return False
    return not _is_signed(frame[layout.l4 + TCP_BYTES : layout.payload])


def _is_signed(options: bytes) -> bool:
    """Whether TCP options hold a signature, or cannot be read."""
    at = 0
    while at < len(options) and options[at] != _END_OF_OPTIONS:
        if options[at] == _NO_OPERATION:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if options[at] in _SIGNATURES or length < 2 or at + length > len(options):  # noqa: PLR2004
            return True
        at += length
    return False
