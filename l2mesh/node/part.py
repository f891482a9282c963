"""A part of a core: something that hears what happens to peers and handles some verbs.

A core knows sessions, channels and paths, but not what for. Planets, relays, networks and the
controller's members are parts. Every method is optional; the defaults do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from l2mesh.datapath.interface import Endpoint, Upcall
from l2mesh.node.peer import Peer
from l2mesh.wire.control import Held

__all__ = ["Handler", "Part"]

Handler: TypeAlias = Callable[[Peer, Any, float], None]
"""(peer, decoded message, now): what a verb does. The table is keyed by the message's type."""


class Part:
    """The hooks of a core; each is called after the core's own state has changed."""

    def handlers(self) -> dict[type, Handler]:
        """The verbs that this part handles."""
        return {}

    def knows(self, peer: Peer) -> bool:
        """Whether this part has a reason to keep the peer beyond a stranger's 10 s."""
        return False

    def peer_added(self, peer: Peer, now: float) -> None:
        """A peer has been added."""

    def peer_removed(self, peer: Peer, now: float) -> None:
        """A peer is about to be forgotten: it has no session and nobody wants one."""

    def session_live(self, peer: Peer, session: int, now: float, *, initiator: bool) -> None:
        """A session can be sent on; this end began it if ``initiator``."""

    def session_lost(self, peer: Peer, now: float) -> None:
        """The last live session with a peer has gone."""

    def connect_failed(self, peer: Peer, now: float) -> None:
        """Nobody answered the handshakes; the core tries again only when asked."""

    def path_changed(self, peer: Peer, now: float) -> None:
        """The peer is reached by another path, or by none."""

    def endpoints_wanted(self, peer: Peer, now: float) -> None:
        """The peer is to hear our endpoints once more, and to try them."""

    def relay_doubted(self, peer: Peer, relay: int, now: float) -> None:
        """The peer does not answer, and a relay to it may be why."""

    def observed(self, peer: Peer, by: Endpoint, seen: Endpoint, now: float) -> None:
        """The peer says as which endpoint it sees us, at its own endpoint ``by``."""

    def held(self, peer: Peer) -> list[Held]:
        """What accompanies a PROBE to the peer."""
        return []

    def receive_held(self, peer: Peer, held: Held, now: float) -> None:
        """What accompanied the peer's PROBE."""

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        """An upcall that is not about sessions or paths, or came by the scout."""

    def local_endpoints_changed(self, now: float) -> None:
        """The host's own addresses have changed."""

    def uplinks_changed(self, now: float) -> None:
        """The host's uplinks have changed; peers have been told."""

    def families_changed(self, now: float) -> None:
        """The host has, or lacks, another version of IP from now on."""

    def nat64_changed(self, now: float) -> None:
        """IPv4 is reached in another way from now on, and paths in use were told so."""

    def direct_changed(self, now: float) -> None:
        """Direct paths may be used from now on, or no longer."""

    def handle_timeout(self, now: float) -> None:
        """Whatever is due."""

    def next_timeout(self) -> float | None:
        """When something is due."""
        return None
