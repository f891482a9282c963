"""Openers: datagrams that open our own NAT towards a peer and die on the way to the peer's.

A PROBE that reaches the peer's NAT before the peer has sent anything is unsolicited there. Most
boxes drop it; some take it themselves, and have then no room any more for the mapping by which the
peer would have answered (netfilter without an input filter remembers the stray for 30 s, and gives
the peer's datagrams to us another port). So a round towards a peer behind a NAT begins with openers
while the peer may not have begun, and PROBEs follow as soon as it has (section 8.4 of
``docs/protocol.md``).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.path.candidate import Candidate, Kind, Opening

__all__ = ["WAIT_S", "choose", "is_near"]

WAIT_S: Final = 1.0
"""So long after an opener PROBEs go in any case: the peer may have begun unheard."""
_NEAR: Final = tuple(
    map(
        IPv4Network,
        ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
    )
)
"""Addresses of homes and carriers: behind our own NAT, if anywhere (RFC 1918, 3927, 6598)."""


def choose(table: Iterable[Candidate], round_: Iterable[Candidate], *, opens: bool) -> None:
    """Say which of a round's candidates are opened to first."""
    is_behind_nat = any(each.kind is Kind.TOLD and is_near(each.path.endpoint) for each in table)
    for each in round_:
        is_wanted = opens and is_behind_nat and each.is_direct and not each.usable
        is_far = ":" not in each.path.endpoint.host and not is_near(each.path.endpoint)
        each.opening = Opening.DUE if is_wanted and is_far else Opening.NONE


def is_near(endpoint: Endpoint) -> bool:
    """Whether an IPv4 endpoint is one of homes and carriers; never one of IPv6."""
    if ":" in endpoint.host:
        return False
    address = IPv4Address(endpoint.host)
    return any(address in network for network in _NEAR)
