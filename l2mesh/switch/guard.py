"""Who may send what: asked where a frame enters the mesh and where it leaves it (section 10).

========== ============================================ ==========================================
``guard``  a MAC signed to nobody may be used by        an IP address signed to nobody by
========== ============================================ ==========================================
default    members with the right ``bridge``            everyone
strict     nobody                                       members with ``router``, as packets' source
off        everyone                                     everyone
========== ============================================ ==========================================

A MAC signed to another is refused whatever the setting. With ``off`` nothing inside is judged;
otherwise an IP address signed to another is refused as well, and so are what only servers of DHCP
and routers say from members without the right to be one.
"""

from dataclasses import dataclass
from typing import Final

from l2mesh.datapath.interface import DropReason
from l2mesh.switch.addresses import Addresses
from l2mesh.switch.fdb import NOBODY, Fdb, Owner
from l2mesh.switch.inside import ARP, ND, Inside, Kind

_NO_IPV4: Final = bytes(4)
_NO_IPV6: Final = bytes(16)
_LINK_LOCAL: Final = 0xFE80 >> 6
"""First 10 bits of link-local IPv6 addresses, which nobody signs."""


@dataclass(frozen=True, slots=True)
class Member:
    """What is signed to a member of the network, or to this node."""

    mac: bytes
    bridge: bool = False
    """Whether other stations may be behind it."""
    router: bool = False
    """Whether it may send packets from addresses that are signed to nobody, whatever `guard`."""
    dhcp: bool = False
    """Whether it may answer as a DHCP server."""
    ra: bool = False
    """Whether it may advertise itself, or redirect, as an IPv6 router."""
    addresses: tuple[bytes, ...] = ()
    """IP addresses of 4 or 16 bytes."""


class Guard:
    """One network's."""

    __slots__ = ("_addresses", "_fdb", "mode")

    def __init__(self, fdb: Fdb, addresses: Addresses) -> None:
        self._fdb = fdb
        self._addresses = addresses
        self.mode = "default"

    def is_mac_allowed(self, mac: bytes, source: Owner, member: Member) -> bool:
        """Whether `source` (None: this node), who is `member`, may send from `mac`, or tell it."""
        owner = self._fdb.signed.get(mac, NOBODY)
        if owner is not NOBODY:
            return owner == source
        if self.mode == "strict":
            return False
        return member.bridge or self.mode == "off"

    def judge(self, inside: Inside, source: Owner, member: Member) -> DropReason | None:
        """Why `source` may not say this, None if it may."""
        kind = inside.kind
        if self.mode == "off" or kind is Kind.PLAIN:
            return None
        if kind in ARP or kind is Kind.BAD_ARP:
            return self._judge_arp(inside, source, member)
        if kind is Kind.DHCP_SERVER and not member.dhcp:
            return DropReason.DHCP_GUARD
        if kind is Kind.HIDDEN:
            return DropReason.ND_GUARD
        if kind in ND and (reason := self._judge_nd(inside, source, member)) is not None:
            return reason
        if not self._is_address_allowed(inside.sender, source, is_router=member.router):
            return DropReason.SOURCE_IP
        return None

    def _judge_arp(self, arp: Inside, source: Owner, member: Member) -> DropReason | None:
        if (
            arp.kind is Kind.BAD_ARP
            or not self.is_mac_allowed(arp.told, source, member)
            or not self._is_address_allowed(arp.sender, source, is_router=False)
        ):
            return DropReason.ARP_GUARD
        return None

    def _judge_nd(self, said: Inside, source: Owner, member: Member) -> DropReason | None:
        if said.kind is Kind.ROUTER_ADVERTISEMENT and not member.ra:
            return DropReason.RA_GUARD
        if said.kind is Kind.REDIRECT and not (member.ra or member.router):
            return DropReason.RA_GUARD
        if said.told and not self.is_mac_allowed(said.told, source, member):
            return DropReason.ND_GUARD
        if said.kind is Kind.ADVERTISEMENT and not self._is_address_allowed(
            said.target, source, is_router=False
        ):
            return DropReason.ND_GUARD
        return None

    def _is_address_allowed(self, address: bytes, source: Owner, *, is_router: bool) -> bool:
        owners = self._addresses.owners(address)
        if owners:
            return source in owners
        if self.mode != "strict" or is_router or address in (_NO_IPV4, _NO_IPV6):
            return True
        return len(address) == len(_NO_IPV6) and (
            int.from_bytes(address[:2], "big") >> 6 == _LINK_LOCAL
        )
