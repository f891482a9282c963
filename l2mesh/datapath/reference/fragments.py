"""Putting frames together from FRAG pieces (section 4).

A frame is named by the index on which its pieces came and by its id. Memory: for each peer at most
16 unfinished frames and 256 KiB of pieces, for one second; at most 64 pieces a frame. A bad piece
is dropped alone: it is authentic, so only its sender can hurt itself.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from l2mesh.datapath.interface import DropReason
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.counters import Counters
from l2mesh.wire.data import MIN_FRAME, PIECE_HEAD, PIECE_HEAD_BYTES

if TYPE_CHECKING:
    from l2mesh.datapath.reference.peers import Peer

_unpack_head = PIECE_HEAD.unpack_from


@dataclass(slots=True, eq=False)
class Assembly:
    """One unfinished frame: its pieces in the order of their offsets, which never overlap."""

    total: int
    until: float
    offsets: list[int]
    pieces: list[bytes]
    received: int
    """Bytes in `pieces`."""
    end: int
    """Where the last of them ends."""

    def add(self, offset: int, piece: bytes) -> bool:
        """Put a piece in its place; False, changing nothing, if it overlaps another."""
        if offset >= self.end:
            self.offsets.append(offset)
            self.pieces.append(piece)
            self.received += len(piece)
            self.end = offset + len(piece)
            return True
        place = bisect_right(self.offsets, offset)
        if place and self.offsets[place - 1] + len(self.pieces[place - 1]) > offset:
            return False
        if offset + len(piece) > self.offsets[place]:
            return False
        self.offsets.insert(place, offset)
        self.pieces.insert(place, piece)
        self.received += len(piece)
        return True


class Fragments:
    """Unfinished frames of all peers; each peer carries its own."""

    __slots__ = ("_bounds", "_counters", "_waiting", "due")

    due: float | None
    """When something may be too old. It may come too early, never too late."""

    def __init__(self, bounds: Bounds, counters: Counters) -> None:
        self._bounds = bounds
        self._counters = counters
        self._waiting: set[Peer] = set()
        self.due = None

    def add(self, peer: Peer, index: int, plaintext: bytes, now: float) -> bytes | None:
        """Take the plaintext of one FRAG datagram; the frame if this piece completes it."""
        size = len(plaintext) - PIECE_HEAD_BYTES
        if size <= 0:
            self._counters.drop(DropReason.BAD_FRAGMENT)
            return None
        number, offset, total = _unpack_head(plaintext)
        if total < MIN_FRAME or offset + size > total:
            self._counters.drop(DropReason.BAD_FRAGMENT)
            return None
        name = index << 32 | number
        assembly = peer.assemblies.get(name)
        piece = plaintext[PIECE_HEAD_BYTES:]
        if assembly is not None and now < assembly.until:
            return self._continue(peer, name, assembly, offset, total, piece)
        if assembly is not None:
            self._lose(peer, name)
        if size == total:
            self._counters.frames_reassembled += 1
            return piece
        until = now + self._bounds.fragment_s
        assembly = Assembly(total, until, [offset], [piece], size, offset + size)
        self._begin(peer, name, assembly)
        return None

    def sweep(self, now: float) -> None:
        """Give up frames whose second is over."""
        due = None
        for peer in list(self._waiting):
            for name in [n for n, one in peer.assemblies.items() if now >= one.until]:
                self._lose(peer, name)
            if not peer.assemblies:
                self._waiting.discard(peer)
                continue
            first = min(one.until for one in peer.assemblies.values())
            due = first if due is None else min(due, first)
        self.due = due

    def _begin(self, peer: Peer, name: int, assembly: Assembly) -> None:
        peer.assemblies[name] = assembly
        peer.assembly_bytes += assembly.received
        if self.due is None:
            self.due = assembly.until
        if len(peer.assemblies) == 1:
            self._waiting.add(peer)
        else:
            self._displace(peer)

    def _continue(
        self, peer: Peer, name: int, assembly: Assembly, offset: int, total: int, piece: bytes
    ) -> bytes | None:
        if total != assembly.total or len(assembly.pieces) >= self._bounds.pieces:
            self._counters.drop(DropReason.BAD_FRAGMENT)
            return None
        if not assembly.add(offset, piece):
            self._counters.drop(DropReason.BAD_FRAGMENT)
            return None
        if assembly.received == total:
            del peer.assemblies[name]
            peer.assembly_bytes -= total - len(piece)
            self._counters.frames_reassembled += 1
            return b"".join(assembly.pieces)
        peer.assembly_bytes += len(piece)
        self._displace(peer)
        return None

    def _displace(self, peer: Peer) -> None:
        """Give up the oldest frames until the peer is within its bounds."""
        while (
            len(peer.assemblies) > self._bounds.fragment_frames
            or peer.assembly_bytes > self._bounds.fragment_bytes
        ):
            self._lose(peer, next(iter(peer.assemblies)))

    def _lose(self, peer: Peer, name: int) -> None:
        peer.assembly_bytes -= peer.assemblies.pop(name).received
        self._counters.drop(DropReason.FRAGMENT_LOST)
