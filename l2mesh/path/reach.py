"""What this host can send to at all: by which versions of IP, and with NAT64 by which gateway.

The kernel would refuse the rest (ENETUNREACH), so it is not asked. What comes from there shows that
it can be reached, and is answered in any case.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.datapath.streams import is_stream
from l2mesh.path.candidate import Candidate
from l2mesh.path.nat64 import Nat64

__all__ = ["FAMILIES", "Reach", "family_of"]

FAMILIES: Final = frozenset({4, 6})
"""Versions of IP."""


class Reach:
    """Of one process, for all its peers."""

    def __init__(self) -> None:
        self.families = FAMILIES
        """By which the host has a way out; both where nobody has told."""
        self.nat64: Nat64 | None = None
        """By which IPv4 is reached where the host has none."""

    def leads_to(self, endpoint: Endpoint) -> bool:
        """Whether it is of any use to send there."""
        if family_of(endpoint) in self.families or is_stream(endpoint):
            return True
        return self.nat64 is not None and self.nat64.stands_for(endpoint)

    def of(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Those that may be asked; relays and streams are the matter of who has them."""
        return [e for e in candidates if not e.is_direct or self.leads_to(e.path.endpoint)]


def family_of(endpoint: Endpoint) -> int:
    """4 or 6."""
    return 6 if ":" in endpoint.host else 4
