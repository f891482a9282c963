"""NAT boxes and firewalls as nftables rules, in the words of RFC 4787.

| kind | mapping | who is let in |
|---|---|---|
| FULL_CONE | the port stays, for all destinations | anybody, once something went out |
| ADDRESS | the port stays, for all destinations | any port of an address sent to |
| PORT | the port stays, for all destinations | the endpoint sent to |
| RANDOM | a random port for each destination | the endpoint sent to |
| BLOCK | a random port of 512 for each destination | the endpoint sent to |
| SEQUENTIAL | the next port for each destination | the endpoint sent to |

The kernel's conntrack makes the mappings, and lets in only the endpoint sent to. What a wider
filter admits stands in a map that every datagram on its way out refreshes (outside port -> inside
endpoint); a datagram from outside that may come in is sent on by it. TCP is let out by every kind,
its port kept.

Datagrams that nobody inside asked for are dropped, those to the box's own address included: the
first stray probe would otherwise claim its port in conntrack, and no punch through a NAT that keeps
ports could work (`ACCEPT_STRAYS` has it do so). Invalid packets are dropped both ways, since they
would leave untranslated.
"""

import enum
from dataclasses import dataclass
from typing import Final

from tools.lab.filters import remove

__all__ = ["ACCEPT_STRAYS", "BLOCK", "NatKind", "NatRules", "firewall"]

BLOCK: Final = range(20_480, 20_992)
"""The ports of one customer of a carrier."""
ACCEPT_STRAYS: Final = "flush chain inet nat input"
"""After this the box itself takes what nobody inside asked for, as one without such a rule does."""
IDLE_S: Final = 120
"""A wide filter lets in so long after the last datagram out."""
FIRST_PORT: Final = 20_000
PORTS: Final = 4_096
"""A SEQUENTIAL NAT gives out this many ports from the first one on, and then begins anew."""


class NatKind(enum.Enum):
    """See the table at the top of this file; the words are those of the grid's places."""

    FULL_CONE = "full cone"
    ADDRESS = "address"
    PORT = "port"
    RANDOM = "random"
    BLOCK = "block"
    SEQUENTIAL = "sequential"


@dataclass(frozen=True)
class NatRules:
    """A home router between the interface `wan` with `address` and `lan_subnet` behind `lan`."""

    kind: NatKind
    wan: str
    address: str
    lan: str
    lan_subnet: str
    hairpin: bool = False
    """What the inside sends to an outside port of the inside comes back in."""
    blocks_udp: bool = False
    """No UDP passes, in either direction."""

    def text(self) -> str:
        """For `nft -f -`."""
        blocked = "meta l4proto udp counter drop" if self.blocks_udp else ""
        return f"""{remove("inet", "nat")}
table inet nat {{
    {_memory("map inside", "inet_service : ipv4_addr . inet_service")}
    {_memory("set contacted", "ipv4_addr . inet_service")}
    chain admit {{
        type nat hook prerouting priority dstnat; policy accept;
        {self._admission()}
    }}
    chain translate {{
        type nat hook postrouting priority srcnat; policy accept;
        {self._hairpin_translation()}
        ip saddr {self.lan_subnet} oifname "{self.wan}" {self._translation()}
        ip saddr {self.lan_subnet} oifname "{self.wan}" masquerade
    }}
    chain remember {{
        type filter hook postrouting priority srcnat + 10; policy accept;
        oifname "{self.wan}" meta l4proto udp update @contacted {{ ip daddr . udp sport }}
        {self._remembering("original")}
        {self._remembering("reply")}
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "{self.wan}" ct state {{ new, invalid }} counter drop
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        {blocked}
        ct state invalid counter drop
        iifname "{self.wan}" ct state new ct status dnat accept
        iifname "{self.wan}" ct state new counter drop
    }}
}}
"""

    def _translation(self) -> str:
        """What becomes of UDP on its way out; the port stays where it says nothing."""
        if self.kind is NatKind.RANDOM:
            return "meta l4proto udp masquerade fully-random"
        if self.kind is NatKind.BLOCK:
            return f"meta l4proto udp masquerade to :{BLOCK.start}-{BLOCK.stop - 1} fully-random"
        if self.kind is NatKind.SEQUENTIAL:
            # By a map, since a bare number would stand in the host's byte order.
            ports = ", ".join(f"{i} : {FIRST_PORT + i}" for i in range(PORTS))
            following = f"numgen inc mod {PORTS} map {{ {ports} }}"
            return f"meta l4proto udp snat ip to {self.address} : {following}"
        return "masquerade"

    def _admission(self) -> str:
        """Who is let in beyond what conntrack knows."""
        to_us = f"ip daddr {self.address} meta l4proto udp"
        onwards = "dnat ip to udp dport map @inside"
        rules = []
        if self.kind is NatKind.FULL_CONE:
            rules.append(f'iifname "{self.wan}" {to_us} {onwards}')
        if self.kind is NatKind.ADDRESS:
            rules.append(f'iifname "{self.wan}" {to_us} ip saddr . udp dport @contacted {onwards}')
        if self.hairpin:
            rules.append(f'iifname "{self.lan}" {to_us} {onwards}')
        return "\n        ".join(rules)

    def _remembering(self, direction: str) -> str:
        """Who inside has the outside port of a datagram on its way out."""
        inside = f"ct {direction} ip saddr . ct {direction} proto-src"
        out = f'oifname "{self.wan}" meta l4proto udp ct direction {direction}'
        return f"{out} update @inside {{ udp sport : {inside} }}"

    def _hairpin_translation(self) -> str:
        if not self.hairpin:
            return ""
        inner = f'ip saddr {self.lan_subnet} oifname "{self.lan}" ct status dnat'
        return f"{inner} snat ip to {self.address}"


def firewall(wan: str) -> str:
    """A router that translates nothing and lets in, from `wan`, only who was sent to."""
    return f"""{remove("inet", "firewall")}
table inet firewall {{
    chain forward {{
        type filter hook forward priority filter; policy accept;
        ct state invalid counter drop
        iifname "{wan}" ct state new counter drop
    }}
}}
"""


def _memory(what: str, types: str) -> str:
    """A map or set that packets fill, and that forgets."""
    return f"""{what} {{
        type {types}
        flags dynamic,timeout
        timeout {IDLE_S}s
        size 65535
    }}"""
