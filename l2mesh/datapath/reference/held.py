"""Frames that wait for a session or a path, so that the first ping is not lost (sections 10, 11).

For each peer at most 32 frames and 64 KiB, for 3 s; beyond that the oldest goes. Whenever a frame
begins to wait, the control plane hears of it, at most once a second for a peer and network.
"""

from l2mesh.datapath.interface import DropReason, NeedSession
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.peers import Held, Peer
from l2mesh.datapath.reference.upcalls import Upcalls


class HeldFrames:
    """Held frames of all peers; each peer carries its own."""

    __slots__ = ("_bounds", "_counters", "_upcalls", "_waiting", "due")

    due: float | None
    """When something may have waited too long. It may come too early, never too late."""

    def __init__(self, bounds: Bounds, counters: Counters, upcalls: Upcalls) -> None:
        self._bounds = bounds
        self._counters = counters
        self._upcalls = upcalls
        self._waiting: set[Peer] = set()
        self.due = None

    def hold(self, peer: Peer, held: Held, now: float) -> None:
        """Keep a frame for `peer`, and ask for a session."""
        peer.held.append(held)
        peer.held_bytes += len(held.frame)
        self._counters.frames_held += 1
        self._waiting.add(peer)
        if self.due is None:
            self.due = held.until
        while (
            len(peer.held) > self._bounds.held_frames or peer.held_bytes > self._bounds.held_bytes
        ):
            peer.held_bytes -= len(peer.held.popleft().frame)
            self._counters.drop(DropReason.HELD_OVERFLOW)
        self._ask(peer, held.network, now)

    def take(self, peer: Peer, network: int, now: float) -> list[Held]:
        """The frames for (peer, network) that have not waited too long, in order; held no more."""
        self._expire(peer, now)
        frames = [held for held in peer.held if held.network == network]
        if frames:
            kept = [held for held in peer.held if held.network != network]
            peer.held.clear()
            peer.held.extend(kept)
            peer.held_bytes = sum(len(held.frame) for held in kept)
        return frames

    def drop(self, peer: Peer, network: int, reason: DropReason, now: float) -> None:
        """Give up the frames for (peer, network)."""
        frames = self.take(peer, network, now)
        if frames:
            self._counters.drop(reason, len(frames))
        peer.asked.pop(network, None)

    def sweep(self, now: float) -> None:
        """Give up what has waited 3 s."""
        due = None
        for peer in list(self._waiting):
            self._expire(peer, now)
            if not peer.held:
                self._waiting.discard(peer)
                continue
            first = peer.held[0].until
            due = first if due is None else min(due, first)
        self.due = due

    def _expire(self, peer: Peer, now: float) -> None:
        while peer.held and now >= peer.held[0].until:
            peer.held_bytes -= len(peer.held.popleft().frame)
            self._counters.drop(DropReason.HELD_TOO_LONG)

    def _ask(self, peer: Peer, network: int, now: float) -> None:
        asked = peer.asked.get(network)
        if asked is None or now - asked >= self._bounds.need_session_interval_s:
            peer.asked[network] = now
            self._upcalls.push_event(NeedSession(peer.fingerprint, network))
