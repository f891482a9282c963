"""Which station says that an IP address is its own, so that two who do so are found out.

A claim is the sender of an ARP message, or the target of a neighbour advertisement, with the MAC
that others shall believe. Who takes an address over, as in VRRP or by a new network card, claims it
and is not contradicted; two stations with one address claim it in turns. So an address is a
duplicate when a station claims it that another one has taken it from within the last 60 s.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

CONTRADICTED_S: Final = 60.0
MAX_CLAIMS: Final = 1024
"""Addresses of one network; the one that was claimed longest ago is forgotten."""


class Claim(NamedTuple):
    """Whose an address is."""

    mac: bytes
    before: bytes
    """Whose it was until then; empty: nobody's."""
    since: float


class Claims:
    """Claimed addresses of one network, by VLAN and IP address of 4 or 16 bytes."""

    __slots__ = ("_claims",)

    def __init__(self) -> None:
        self._claims: OrderedDict[tuple[int, bytes], Claim] = OrderedDict()

    def note(self, vlan: int, address: bytes, mac: bytes, now: float) -> bool:
        """`mac` claims an address; whether another one does so, too."""
        key = vlan, address
        held = self._claims.get(key)
        if held is not None and held.mac == mac:
            self._claims.move_to_end(key)
            return False
        if held is None and len(self._claims) >= MAX_CLAIMS:
            self._claims.popitem(last=False)
        self._claims[key] = Claim(mac, held.mac if held is not None else b"", now)
        self._claims.move_to_end(key)
        return held is not None and held.before == mac and now - held.since < CONTRADICTED_S
