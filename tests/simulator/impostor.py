"""A malicious build of a member: it has its sessions and rights, and says what a test wants.

It names endpoints that are not its own, writes any source on what it seals, and says things again.
Everything else in it is the node that people run.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.node import control
from l2mesh.node.candidates import Candidates
from l2mesh.node.node import Node
from l2mesh.wire.control import Record, encode_records
from l2mesh.wire.message import Candidates as CandidatesMessage
from l2mesh.wire.message import Message
from tests.simulator.node import NodeHost

__all__ = ["Impostor"]

LATE_S: Final = 0.01
"""What it spoofs takes so long, past all NATs: it can be on the victim's very LAN."""


class Impostor:
    """What a member does that no honest one would."""

    def __init__(self, node: NodeHost) -> None:
        self.node = node
        self.candidates: Candidates = node.core.candidates
        self.candidates.ours = lambda: ()  # type: ignore[method-assign]

    def say(self, victim: NodeHost, message: Message) -> None:
        """Tell a member something, on the session with it."""

        def send(node: Node, now: float) -> None:
            node.core.send(node.core.peers[victim.fingerprint], message, now)

        self.node.call(send)

    def name(self, victim: NodeHost, endpoints: Iterable[Endpoint]) -> None:
        """Say that one can be reached there."""
        self.say(victim, CandidatesMessage.of(tuple(endpoints)))

    def spoof(self, victim: NodeHost, source: Endpoint, records: Iterable[Record]) -> bytes:
        """One sealed datagram with somebody else's address on it; it is returned."""
        sent: list[bytes] = []
        payload = encode_records(list(records))
        honest = self.node.transmit

        def keep(datagram: bytes, endpoint: Endpoint) -> None:
            del endpoint
            sent.append(datagram)

        def seal(node: Node, _: float) -> None:
            peer = node.core.peers[victim.fingerprint]
            control.say(node.core, peer, payload, path=Path(victim.endpoints[0]))

        self.node.transmit = keep  # type: ignore[method-assign]
        try:
            self.node.call(seal)
        finally:
            self.node.transmit = honest  # type: ignore[method-assign]
        datagram = sent[-1]
        self.node.schedule.after(LATE_S, partial(victim.receive, datagram, source))
        return datagram
