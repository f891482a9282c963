"""Streams to planets that UDP does not reach: when one is wanted, and when no more (section 7.4).

A planet that has been without a usable path for 3 s is dialled over TLS, and again after 2, 5, 15
and then every 30 s. A stream is a path to its planet, worse than any that answers by UDP. UDP is
tried all the while; 10 s after it has answered the stream is closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.node.core import Core
from l2mesh.node.effects import CloseStream, OpenStream
from l2mesh.node.part import Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.path.candidate import Kind

__all__ = ["Streams"]

LOOK_S: Final = 1.0
PATIENCE_S: Final = 3.0
"""Without a path for so long, UDP does not reach a planet."""
AGAIN_S: Final = (2.0, 5.0, 15.0, 30.0)
LINGER_S: Final = 10.0
"""A stream is kept so long after UDP has answered."""
UDP_AGAIN_S: Final = 10.0
"""How often UDP is tried while a stream is in use."""


@dataclass(slots=True)
class _Stream:
    """What is known of the way to one planet."""

    down_since: float | None = None
    dial_at: float = 0.0
    failures: int = 0
    is_dialling: bool = False
    endpoint: Endpoint | None = None
    udp_since: float | None = None
    """Since when UDP answers although there is a stream."""
    udp_tried_at: float = 0.0


@dataclass(slots=True, eq=False)
class Streams(Part):
    """The streams to planets."""

    core: Core
    planets: Planets
    _streams: dict[bytes, _Stream] = field(default_factory=dict)
    _look_at: float | None = None

    def stream_changed(self, planet: bytes, endpoint: Endpoint | None, now: float) -> None:
        """A stream to a planet is open, or there is none (any more)."""
        stream = self._streams.setdefault(planet, _Stream())
        before, stream.endpoint, stream.is_dialling = stream.endpoint, endpoint, False
        peer = self.core.peers.get(planet)
        if endpoint is None:
            pause = AGAIN_S[min(stream.failures, len(AGAIN_S) - 1)]
            stream.dial_at, stream.failures = now + pause, stream.failures + 1
        elif peer is not None:
            self.core.add_relay(peer, Path(endpoint), now)
            if not peer.is_live:
                self.core.connect(peer, now)
        if before is not None and peer is not None:
            peer.paths.remove_relay(Path(before), now)
            self.core.touch(peer, now)

    def has_stream(self, planet: bytes) -> bool:
        """Whether a stream to this planet is open."""
        stream = self._streams.get(planet)
        return stream is not None and stream.endpoint is not None

    # --- hooks ----------------------------------------------------------------------------------

    def peer_added(self, peer: Peer, now: float) -> None:
        if self.planets.is_planet(peer.fingerprint):
            self._look_at = self._look_at or now

    def next_timeout(self) -> float | None:
        return self._look_at

    def handle_timeout(self, now: float) -> None:
        self._look_at = now + LOOK_S
        for peer in self.planets.members():
            self._look(peer, self._streams.setdefault(peer.fingerprint, _Stream()), now)

    # --- inside ---------------------------------------------------------------------------------

    def _look(self, peer: Peer, stream: _Stream, now: float) -> None:
        if peer.is_live and peer.paths.active is not None:
            stream.down_since, stream.failures = None, 0
            if stream.endpoint is not None:
                self._watch_udp(peer, stream, stream.endpoint, now)
            return
        stream.down_since = now if stream.down_since is None else stream.down_since
        is_due = now >= max(stream.down_since + PATIENCE_S, stream.dial_at)
        if is_due and stream.endpoint is None and not stream.is_dialling:
            stream.is_dialling = True
            self.core.emit(
                OpenStream(peer.fingerprint, tuple(self.planets.endpoints(peer.fingerprint)))
            )

    def _watch_udp(self, peer: Peer, stream: _Stream, endpoint: Endpoint, now: float) -> None:
        """Try UDP now and then, and close the stream when it is not needed."""
        if not peer.paths.is_direct:
            stream.udp_since = None
            if now >= stream.udp_tried_at + UDP_AGAIN_S:
                stream.udp_tried_at = now
                peer.paths.add_candidates([], Kind.TOLD, now, again=True)
                self.core.touch(peer, now)
            return
        stream.udp_since = now if stream.udp_since is None else stream.udp_since
        if now >= stream.udp_since + LINGER_S:
            stream.udp_since = None
            self.core.emit(CloseStream(endpoint))
