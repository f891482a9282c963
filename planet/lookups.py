"""WHOIS for somebody whom this planet does not know: its sisters are asked (section 7.6).

A sister's question is answered from the own directory and never passed on, so there is one hop.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Lookups"]

WAIT_S: Final = 2.0
"""Answers that come later reach nobody."""
MAX_ADDRESSES: Final = 1024
"""Asked for at the same time; the oldest is forgotten for a newer one."""
MAX_A_CLIENT: Final = 8


@dataclass(slots=True)
class _Lookup:
    until: float
    clients: set[bytes] = field(default_factory=set)


class Lookups:
    """Which clients wait for which address."""

    def __init__(self) -> None:
        self._lookups: OrderedDict[bytes, _Lookup] = OrderedDict()

    def begin(self, address: bytes, client: bytes, now: float) -> bool:
        """A client waits for an address; whether the sisters have to be asked for it."""
        self._forget(now)
        waiting = sum(client in lookup.clients for lookup in self._lookups.values())
        if waiting >= MAX_A_CLIENT:
            return False
        lookup = self._lookups.get(address)
        if lookup is not None:
            lookup.clients.add(client)
            return False
        if len(self._lookups) >= MAX_ADDRESSES:
            self._lookups.popitem(last=False)
        self._lookups[address] = _Lookup(now + WAIT_S, {client})
        return True

    def waiting(self, address: bytes, now: float) -> tuple[bytes, ...]:
        """Those who wait for an address: to them goes what a sister answers."""
        self._forget(now)
        lookup = self._lookups.get(address)
        return () if lookup is None else tuple(sorted(lookup.clients))

    def _forget(self, now: float) -> None:
        while self._lookups:
            address, oldest = next(iter(self._lookups.items()))
            if now < oldest.until:
                return
            del self._lookups[address]
