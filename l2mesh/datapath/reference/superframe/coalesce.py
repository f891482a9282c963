"""Merging the frames of one batch back into super-frames, for a kernel that takes them.

Merging changes nothing that a receiver can see: only frames are merged that a kernel would make
again of the super-frame, byte for byte, but for the identification of IPv4 with DF set. The rules
are the stricter ones of Linux, wireguard-go and Nebula:

* Equal in all frames: the Ethernet header with all tags; the IP header but lengths, identification
  and checksum; ports, acknowledgement, data offset, flags but PSH, window, options.
* IPv4 without options, no fragments; without DF the identifications count up. IPv6 without
  extension headers. Ethernet padding is left off.
* TCP flags ACK, PSH and ECE alone, and a payload. Each sequence number is the one expected.
* UDP has a payload, and a checksum even over IPv4.
* All payloads but the last are equally long, and the last is not longer. It, or PSH, ends the
  super-frame, as do 64 frames or 65,535 bytes of IP.
* Checksums are right, be they open (flag CSUM) or complete: merging leaves the sum to the kernel,
  and must not make a wrong one right.

Any other frame goes on as it is. SYN, FIN, RST, URG and CWR end the super-frame of their flow; a
pure acknowledgement does not. A frame of which one cannot see to what flow it belongs (a fragment,
an extension header) ends all. A super-frame takes the place of its first frame, and only the
newest one of a flow grows, so nothing is reordered within a flow.

A frame is first held against the one before, and only then its flow is looked up: all that flag
CONT promises is found that way, also from senders that do not set it.
"""

from functools import lru_cache
from struct import Struct
from typing import Final

from l2mesh.datapath.interface import (
    GSO_TCP4,
    GSO_TCP6,
    GSO_UDP,
    Deliver,
    Offload,
    PortOffloads,
)
from l2mesh.datapath.reference.superframe.layout import (
    ACK,
    CHECKSUM_AT,
    DONT_FRAGMENT,
    ECE,
    EXTENSIONS,
    FLAGS_AT,
    FRAGMENT_MASK,
    IPV4,
    IPV4_BYTES,
    IPV6,
    IPV6_BYTES,
    ONES,
    PSH,
    TCP,
    UDP,
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
from l2mesh.switch.checksum import find_segment, open_checksum
from l2mesh.switch.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, parse_header

MAX_FRAMES: Final = 64
"""In one super-frame: what every kernel takes of UDP."""
MAX_BYTES: Final = 65535
"""From the IP header on."""

_KINDS: Final = {(IPV4, TCP): GSO_TCP4, (IPV6, TCP): GSO_TCP6}
_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51
_HIDING: Final = EXTENSIONS | {_FRAGMENT, _AUTHENTICATION, TCP, UDP}
"""IPv6 next headers behind which one of the flows may be; TCP and UDP when they are not whole."""
_RESERVED: Final = 0x0F
"""Beside the TCP data offset: accurate ECN and reserved bits."""
_SEQUENCES: Final = 2**32
_PLAIN_IPV4: Final = 0x45
"""Version 4, no options."""

_put_u16 = Struct(">H").pack_into
_ipv4_at = Struct(">HH4xH").unpack_from
"""Total length, identification and header checksum, from byte 2 on."""


class Chain:
    """A frame that others may join: a super-frame in the making."""

    __slots__ = (
        "_alike",
        "_counts_up",
        "_frame",
        "_has_push",
        "_identification",
        "_ip_sum",
        "_is_open",
        "_layout",
        "_length",
        "_mask",
        "_number",
        "_pattern",
        "_payloads",
        "_pseudo",
        "_sequence",
        "_size",
        "_step",
        "grows",
        "network",
    )

    network: int
    grows: bool
    """Whether another frame may join."""

    def __init__(self, network: int, frame: bytes, layout: Layout, *, is_open: bool) -> None:
        """Begin with a frame that has been found mergeable."""
        l3, l4, payload, end, version, protocol = layout
        self.network = network
        self._frame = frame
        self._is_open = is_open
        self._layout = layout
        self._size = self._length = end - payload
        self._payloads = [frame[payload:end]]
        self._mask = _mask(l3, l4, payload, version, protocol)
        self._pattern = int.from_bytes(frame[:payload], "big") & self._mask
        self._pseudo = pseudo_sum(frame, layout, 0)
        self._counts_up = version == IPV4 and not u16(frame, l3 + 6) & DONT_FRAGMENT
        self._identification = u16(frame, l3 + 4)
        self._sequence = 0
        self._ip_sum = -sum(_ipv4_at(frame, l3 + 2)) if version == IPV4 else 0
        """Of the IPv4 header without what may differ; with it the sum is 0 modulo 0xffff."""
        self._has_push = False
        self.grows = True
        if protocol == TCP:
            self._sequence = u32(frame, l4 + 4)
            self._has_push = bool(frame[l4 + FLAGS_AT] & PSH)
            self.grows = not self._has_push
        self._number = int.from_bytes(frame[:payload], "big")
        self._step, often = find_step(frame, layout, self._size)
        room = (MAX_BYTES - payload + l3) // self._size
        self._alike = min(often, room - 1, MAX_FRAMES - 1) if is_open else 0
        """So many more frames may join whose header is the one before and a step."""

    def take(self, frame: bytes, end: int, *, is_open: bool) -> bool:
        """Append a frame whose segment ends at `end`, if it goes on where this chain ends."""
        payload = self._layout.payload
        if self._alike and is_open and end - payload == self._size:
            number = self._number + self._step
            if int.from_bytes(frame[:payload], "big") == number:
                self._number = number
                self._alike -= 1
                self._payloads.append(frame[payload:end])
                self._length += self._size
                return True
        return self._take(frame, end, is_open=is_open)

    def take_alike(self, run: bytes, places: range, length: int, header: bytes) -> int:
        """Append frames with open checksums as long as each is one step from the one before.

        How many were. They lie at `places` in `run`, `length` bytes long or cut off by its end. Of
        each the first bytes are left out, the same `header` of all of them.
        """
        size, payload = self._size, self._layout.payload - len(header)
        if length != payload + size or not self._frame.startswith(header):
            return 0
        step, number = self._step, self._number & (1 << 8 * payload) - 1
        payloads = []
        for at in places[: self._alike]:
            number += step
            begin = at + payload
            piece = run[begin : begin + size]
            if len(piece) != size or int.from_bytes(run[at:begin], "big") != number:
                break
            payloads.append(piece)
        taken = len(payloads)
        self._payloads += payloads
        self._number += taken * step
        self._alike -= taken
        self._length += taken * self._size
        return taken

    def _take(self, frame: bytes, end: int, *, is_open: bool) -> bool:
        """The long way of a frame that is not just a step away."""
        l3, l4, payload, _, _, protocol = self._layout
        size = end - payload
        if (
            not 0 < size <= self._size
            or len(self._payloads) >= MAX_FRAMES
            or payload - l3 + self._length + size > MAX_BYTES
            or int.from_bytes(frame[:payload], "big") & self._mask != self._pattern
            or not self._names_end(frame, end)
            or (protocol == TCP and u32(frame, l4 + 4) != self._next_sequence())
            or not (is_open or _is_summed(frame, l4, end, protocol, self._pseudo))
        ):
            return False
        self._alike = 0
        if protocol == TCP:
            self._has_push = bool(frame[l4 + FLAGS_AT] & PSH)
        self._payloads.append(frame[payload:end])
        self._length += size
        self.grows = size == self._size and not self._has_push
        return True

    def _next_sequence(self) -> int:
        return (self._sequence + self._length) % _SEQUENCES

    def _names_end(self, frame: bytes, end: int) -> bool:
        """Whether the lengths in a frame are right, and in IPv4 what else changes from the first.

        All other bytes of the header are known to be those of the first.
        """
        l3, l4, _, _, version, protocol = self._layout
        if protocol == UDP and u16(frame, l4 + 4) != end - l4:
            return False
        if version != IPV4:
            return u16(frame, l3 + 4) == end - l4
        total, identification, checksum = _ipv4_at(frame, l3 + 2)
        return (
            total == end - l3
            and (not self._counts_up or identification == self._next_identification())
            and not (self._ip_sum + total + identification + checksum) % ONES
        )

    def _next_identification(self) -> int:
        return self._identification + len(self._payloads) & ONES

    def deliver(self) -> Deliver:
        """What the chain has become."""
        if len(self._payloads) == 1:
            return _deliver(self.network, self._frame, is_open=self._is_open)
        l3, l4, payload, _, version, protocol = self._layout
        header = bytearray(self._frame[:payload])
        behind = payload - l4 + self._length
        if version == IPV4:
            _put_u16(header, l3 + 2, l4 - l3 + behind)
            _put_u16(header, l3 + 10, 0)
            _put_u16(header, l3 + 10, ONES - sum_of(header[l3:l4]))
        else:
            _put_u16(header, l3 + 4, behind)
        field = CHECKSUM_AT[protocol]
        _put_u16(header, l4 + field, fold(self._pseudo + behind))
        if protocol == UDP:
            _put_u16(header, l4 + 4, behind)
        elif self._has_push:
            header[l4 + FLAGS_AT] |= PSH
        kind = _KINDS.get((version, protocol), GSO_UDP)
        offload = Offload(kind, self._size, l4, field, needs_csum=True)
        return Deliver(self.network, b"".join((header, *self._payloads)), offload)


class Coalescer:
    """The frames of one batch, in order."""

    __slots__ = ("_flows", "_items", "_last")

    def __init__(self) -> None:
        self._items: list[Chain | Deliver] = []
        self._flows: dict[tuple[int, int, bytes], Chain] = {}
        """The newest chain of each flow: network, protocol, addresses and ports."""
        self._last: Chain | None = None
        """The chain that the frame before went into."""

    def add(self, network: int, offloads: PortOffloads, frame: bytes, *, is_open: bool) -> None:
        """One more frame for a port that understands at least open checksums.

        An open checksum has been found to be one that may be: flag CSUM (section 4).
        """
        if not self.join(network, frame, is_open=is_open):
            self._last = self._append(network, offloads, frame, is_open=is_open)

    def join(self, network: int, frame: bytes, *, is_open: bool) -> bool:
        """Append a frame to the chain of the one before, if it goes on where that ends."""
        last = self.growing(network)
        return last is not None and last.take(frame, len(frame), is_open=is_open)

    def growing(self, network: int) -> Chain | None:
        """The chain that the frame before went into, if it is of `network` and others may join."""
        last = self._last
        return last if last is not None and last.grows and last.network == network else None

    def flush(self) -> list[Deliver]:
        """The batch is over: what has become of its frames."""
        items = self._items
        if not items:
            return []
        self._items = []
        self._flows.clear()
        self._last = None
        return [item.deliver() if isinstance(item, Chain) else item for item in items]

    def _append(
        self, network: int, offloads: PortOffloads, frame: bytes, *, is_open: bool
    ) -> Chain | None:
        """Find the flow of a frame, and the chain that it joins or begins if it may."""
        layout = find_layout(frame)
        if layout is None or not is_plain(layout) or _has_bad_ip_sum(frame, layout):
            if layout is not None or _may_hide_flow(frame):
                self._flows.clear()
        elif _is_mergeable(frame, layout, offloads, is_open=is_open):
            flow = network, layout.protocol, _addresses(frame, layout)
            chain = self._flows.get(flow)
            if chain and chain.grows and chain.take(frame, layout.end, is_open=is_open):
                return chain
            chain = self._flows[flow] = Chain(network, frame, layout, is_open=is_open)
            self._items.append(chain)
            return chain
        elif not _is_pure_acknowledgement(frame, layout):
            self._flows.pop((network, layout.protocol, _addresses(frame, layout)), None)
        self._items.append(_deliver(network, frame, is_open=is_open))
        return None


def _deliver(network: int, frame: bytes, *, is_open: bool) -> Deliver:
    """A frame that stays alone. Whatever its open field holds, it gets the right sum."""
    segment = find_segment(frame) if is_open else None
    if segment is None:
        return Deliver(network, frame)
    offload = Offload(0, 0, segment.start, segment.field - segment.start, needs_csum=True)
    return Deliver(network, open_checksum(frame, segment), offload)


def _is_mergeable(frame: bytes, layout: Layout, offloads: PortOffloads, *, is_open: bool) -> bool:
    """Whether a plain segment may be part of a super-frame at all."""
    _, l4, payload, end, _, protocol = layout
    if payload == end:
        return False
    if protocol == UDP:
        if not offloads.uso or u16(frame, l4 + 4) != end - l4:
            return False
    elif not offloads.tso or not _has_plain_flags(frame, l4):
        return False
    return is_open or _is_summed(frame, l4, end, protocol, pseudo_sum(frame, layout, 0))


def _is_summed(frame: bytes, l4: int, end: int, protocol: int, pseudo: int) -> bool:
    """Whether a complete L4 checksum is there and right; `pseudo` is without the length."""
    if protocol == UDP and not u16(frame, l4 + CHECKSUM_AT[UDP]):
        return False
    return fold(pseudo + end - l4 + sum_of(frame[l4:end])) == ONES


def _has_plain_flags(frame: bytes, l4: int) -> bool:
    """Whether a TCP segment has ACK, perhaps PSH and ECE, and no other bit."""
    return frame[l4 + FLAGS_AT] & ~(PSH | ECE) == ACK and not frame[l4 + 12] & _RESERVED


def _is_pure_acknowledgement(frame: bytes, layout: Layout) -> bool:
    return (
        layout.protocol == TCP
        and layout.payload == layout.end
        and _has_plain_flags(frame, layout.l4)
    )


def _has_bad_ip_sum(frame: bytes, layout: Layout) -> bool:
    return layout.version == IPV4 and sum_of(frame[layout.l3 : layout.l4]) != ONES


def _may_hide_flow(frame: bytes) -> bool:
    """Whether a frame that is no plain segment might still be of some flow."""
    header = parse_header(frame)
    if header is None or header.ethertype not in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        return False
    l3, size = header.payload, len(frame)
    if header.ethertype == ETHERTYPE_IPV6:
        is_whole = size >= l3 + IPV6_BYTES and frame[l3] >> 4 == IPV6
        if not is_whole or l3 + IPV6_BYTES + u16(frame, l3 + 4) > size:
            return True
        return frame[l3 + 6] in _HIDING
    if size < l3 + IPV4_BYTES or frame[l3] != _PLAIN_IPV4:
        return True
    if u16(frame, l3 + 6) & FRAGMENT_MASK or sum_of(frame[l3 : l3 + IPV4_BYTES]) != ONES:
        return True
    return not IPV4_BYTES <= u16(frame, l3 + 2) <= size - l3 or frame[l3 + 9] in (TCP, UDP)


def _addresses(frame: bytes, layout: Layout) -> bytes:
    """Both addresses and both ports, which lie behind each other in a plain segment."""
    return frame[layout.l3 + (12 if layout.version == IPV4 else 8) : layout.l4 + 4]


@lru_cache(maxsize=256)
def _mask(l3: int, l4: int, payload: int, version: int, protocol: int) -> int:
    """The bits of the headers that are equal in all frames of a chain, as one number."""
    mask = bytearray(b"\xff" * payload)
    if version == IPV4:
        mask[l3 + 2 : l3 + 6] = bytes(4)  # total length, identification
        mask[l3 + 10 : l3 + 12] = bytes(2)  # header checksum
    else:
        mask[l3 + 4 : l3 + 6] = bytes(2)  # payload length
    if protocol == TCP:
        mask[l4 + 4 : l4 + 8] = bytes(4)  # sequence number
        mask[l4 + FLAGS_AT] = 0xFF & ~PSH
        mask[l4 + 16 : l4 + 18] = bytes(2)  # checksum
    else:
        mask[l4 + 4 : l4 + 8] = bytes(4)  # length, checksum
    return int.from_bytes(mask, "big")
