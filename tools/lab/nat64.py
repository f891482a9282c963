"""A NAT64 gateway with the name server that tells of it: tayga, nftables and dnsmasq in one box.

::

    LAN, IPv6 alone                      box                                    wire
                    2001:db8:6464::/96 -> tayga -> 192.168.255.0/24 -> masquerade -> IPv4
                    everything else ------------------------------> firewall ---> IPv6

tayga translates addresses one to one (RFC 7915), the kernel then makes all of them the box's own
as any home's router does: the port stays, and only the endpoint that was sent to is let in.
"""

import sys
from pathlib import Path
from typing import Final

from tools.lab.host import Nat
from tools.lab.nats import NatKind, NatRules

__all__ = ["PREFIX", "lead_to_ipv4"]

PREFIX: Final = "2001:db8:6464::/96"
"""The network's own: the well-known one stands for no address that a lab has."""
_ANSWERS: Final = "192.0.0.170,192.0.0.171,2001:db8:6464::c000:aa,2001:db8:6464::c000:ab"
_POOL: Final = "192.168.255.0/24"
_DEVICE: Final = "nat64"
_TAYGA: Final = Path(sys.prefix, "debian", "usr/sbin/tayga")
"""As `tools/setup` unpacks it."""


def lead_to_ipv4(box: Nat, address: str, directory: Path) -> None:
    """Make a firewall a NAT64 gateway, with this IPv4 address on its WAN side.

    Its files are in `directory`. Hosts behind it are told of the prefix by the box's name server.
    """
    config = directory / f"{box.host.name}.tayga.conf"
    config.write_text(
        f"tun-device {_DEVICE}\nipv4-addr 192.168.255.1\nprefix {PREFIX}\n"
        f"dynamic-pool {_POOL}\ndata-dir {directory}\n"
    )
    box.host.run([_TAYGA, "--config", config, "--mktun"])
    box.host.ip("link", "set", _DEVICE, "up")
    box.host.ip("route", "add", _POOL, "dev", _DEVICE)
    box.host.ip("route", "add", PREFIX, "dev", _DEVICE)
    rules = NatRules(NatKind.PORT, box.wan.interface, address, _DEVICE, _POOL)
    box.host.nft(rules.text())
    box.host.start([_TAYGA, "--config", config, "--nodetach"], name="tayga")
    line = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root"]
    line += ["--no-resolv", "--no-hosts", f"--listen-address={box.gateway}", "--bind-interfaces"]
    server = box.host.start([*line, f"--host-record=ipv4only.arpa,{_ANSWERS}", "--log-facility=-"])
    server.wait_for_log("started")
