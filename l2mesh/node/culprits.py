"""Who makes the engine's guards and limits work: logged, and shown by ``status`` and ``peers``."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from l2mesh.address import format_mac, shorten
from l2mesh.datapath.interface import DropReason, Offence, Upcall
from l2mesh.node.part import Part

__all__ = ["Culprits", "describe"]

log = logging.getLogger(__name__)

FRESH_S: Final = 60.0
"""The engine tells of one that goes on each 10 s; so long after the last it is shown as present."""
MAX_REMEMBERED: Final = 1024
"""(network, peer, reason); the one that was told of longest ago is forgotten."""

_WHAT: Final = {
    DropReason.SOURCE_MAC: "sends from {mac}, a MAC that it has no right to",
    DropReason.SOURCE_IP: "sends from {address}, which is not signed to it",
    DropReason.STATIC_ENTRY: "sends from {mac}, whose static entry names another place",
    DropReason.ARP_GUARD: "claims {address} or {mac} by ARP without right, or sends malformed ARP",
    DropReason.ND_GUARD: "claims {address} or {mac} by ND without right, or sends malformed ND",
    DropReason.RA_GUARD: "advertises itself as an IPv6 router without the right ra",
    DropReason.DHCP_GUARD: "answers as a DHCP server without the right dhcp",
    DropReason.STORM: "floods more than the network allows, last from {mac}",
    DropReason.FDB_FULL: "shows more MACs than the table takes, last {mac}",
    DropReason.DUPLICATE_ADDRESS: "claims {address}, which another station has: is it given twice?",
    DropReason.MAC_FLAPPING: "shows {mac}, which moves to and fro: is there a loop?",
}


@dataclass(slots=True, eq=False)
class Culprits(Part):
    """The newest offence of each kind."""

    _known: OrderedDict[tuple[int, bytes | None, DropReason], tuple[Offence, float]] = field(
        default_factory=OrderedDict
    )

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        if not isinstance(upcall, Offence):
            return
        key = upcall.network, upcall.peer, upcall.reason
        self._known.pop(key, None)
        self._known[key] = upcall, now
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        who = f"fingerprint={shorten(upcall.peer)}" if upcall.peer is not None else "this host"
        log.warning(
            "network=%016x: %s %s (%s, %d so far)",
            upcall.network,
            who,
            describe(upcall),
            upcall.reason,
            upcall.times,
        )

    def fresh(self, now: float) -> Iterator[Offence]:
        """What goes on at present."""
        return (offence for offence, at in self._known.values() if now - at < FRESH_S)

    def of(self, peer: bytes) -> dict[str, int]:
        """How often a peer had to be stopped, by reason, in all networks."""
        found: dict[str, int] = {}
        for offence, _ in self._known.values():
            if offence.peer == peer:
                found[offence.reason] = found.get(offence.reason, 0) + offence.times
        return found


def describe(offence: Offence) -> str:
    """What somebody does, for people."""
    address = str(ip_address(offence.address)) if offence.address else "an address"
    return _WHAT[offence.reason].format(mac=format_mac(offence.mac), address=address)
