"""A router with an IPv6 firewall that lets in what it was asked for (miniupnpd, by PCP).

miniupnpd 2.3.1 refuses to close what it has opened there, whoever asks: its end comes with time.
"""

import asyncio
import os
import re
from typing import Any, Final

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.service.portmap.exchange import map_by_pcp
from l2mesh.service.portmap.lease import Wish
from l2mesh.service.portmap.pcp import PORT as PCP_PORT
from tests.system.mesh import PATIENCE_S, inside
from tools.lab import Lab, Nat, lab_node, lab_planet, wait_until

pytestmark = pytest.mark.root

OUTSIDE: Final = "44.128.0.10"
"""miniupnpd wants an IPv4 address on either side, though nothing of IPv4 is asked of it."""
OWN: Final = "2001:db8:30::2"
RULES: Final = """table inet firewall
delete table inet firewall
table inet upnp {
    chain forward {
        type filter hook forward priority filter; policy drop;
        iifname "lan" accept
        ct state established,related accept
        jump allowed
    }
    chain allowed { }
    chain leads { }
    chain hides { }
}"""


def start_router(box: Nat) -> None:
    box.host.nft(RULES)
    box.host.add_addresses(box.wan.interface, f"{OUTSIDE}/24")
    config = box.host.directory / "miniupnpd.conf"
    config.write_text(
        f"ext_ifname={box.wan.interface}\next_ip={OUTSIDE}\nlistening_ip={box.lan.bridge}\n"
        "ipv6_disable=no\nenable_natpmp=yes\nenable_upnp=no\nmin_lifetime=120\n"
        "max_lifetime=86400\nupnp_table_name=upnp\nupnp_nat_table_name=upnp\n"
        "upnp_forward_chain=allowed\nupnp_nat_chain=leads\nupnp_nat_postrouting_chain=hides\n"
        "uuid=6c326d65-7368-4000-8000-000000000002\n"
    )
    pid = box.host.directory / "miniupnpd.pid"
    daemon = box.host.start(["miniupnpd", "-d", "-f", config, "-P", pid], name="upnpd")
    daemon.wait_for_log("Listening for NAT-PMP/PCP")
    # said of IPv4; the other socket follows
    sockets = ["ss", "-Hlnu6", "sport", "=", f":{PCP_PORT}"]
    wait_until(lambda: box.host.run(sockets).stdout != "", what="PCP over IPv6")


def lets_in(box: Nat) -> list[int]:
    """The ports that strangers reach."""
    shown = box.host.run(["nft", "list", "chain", "inet", "upnp", "allowed"]).stdout
    return [int(port) for port in re.findall(r"dport (\d+)", shown)]


def test_node_has_its_own_port_opened_in_the_ipv6_firewall() -> None:
    with Lab() as lab:
        wan, alice = lab.switch("wan"), lab.host("alice")
        far = lab.host("planet")
        lab.connect(far, wan, "2001:db8::1/64", gateway="2001:db8::30")
        box = lab.firewall(
            "box", wan=wan, wan_address="2001:db8::30/64", lan_subnet="2001:db8:30::/64"
        )
        box.host.ip("addr", "add", "fe80::1/64", "dev", box.lan.bridge, "nodad")
        lab.connect(alice, box.lan, f"{OWN}/64", gateway="fe80::1", interface="eth0")
        start_router(box)
        gateway = "fe80::1%eth0"  # as routers announce themselves
        wish = Wish(gateway, Endpoint(OWN, 5555), os.urandom(12))
        for _ in range(2):  # renewed the second time
            lease = inside(alice, lambda: asyncio.run(map_by_pcp(wish)))
            assert lease.outside == wish.own and lease.lifetime_s == wish.lifetime_s
        assert lets_in(box) == [5555]
        node = lab_node(alice, world=lab_planet(far).world)
        wait_until(lambda: 9993 in lets_in(box), PATIENCE_S, what="the pinhole")
        found: dict[str, Any] = node.cli("netcheck")["pinhole"]
        assert (found["outside"], found["gateway"]) == (f"[{OWN}]:9993", gateway)
        assert node.stop() == 0
