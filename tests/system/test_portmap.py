"""A router that grants ports (miniupnpd, by PCP, NAT-PMP and UPnP), and what a node makes of it.

alice and bob stand behind NATs that draw another port for every destination. Between these there is
no direct path, until alice's router leads a port to her.
"""

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.service.portmap.exchange import map_by_natpmp, map_by_pcp
from l2mesh.service.portmap.lease import Wish
from tests.system.mesh import PATIENCE_S, Mesh, inside
from tools.lab import Lab, Nat, wait_until
from tools.lab.nats import NatKind

pytestmark = pytest.mark.root

OUTSIDE: Final = "44.128.0.10"
"""The router's second address on the wire, of a range for tests that miniupnpd does not refuse as
private. It exists in these namespaces alone."""
TABLE: Final = """table inet upnp {
    chain forward { type filter hook forward priority -5; policy accept; jump allowed; }
    chain allowed { }
    chain admit { type nat hook prerouting priority dstnat - 5; policy accept; jump leads; }
    chain leads { }
    chain translate { type nat hook postrouting priority srcnat - 5; policy accept; jump hides; }
    chain hides { }
}"""


class Router:
    """miniupnpd on a NAT box."""

    def __init__(self, mesh: Mesh, nat: Nat) -> None:
        self.host, self._directory = nat.host, mesh.lab.directory
        self._wan, self._lan = nat.wan.interface, nat.lan.bridge
        self.process: Any = None

    def start(self, *, pcp: bool = True, upnp: bool = True) -> None:
        """Begin to grant ports, none being left from before."""
        self.host.nft("table inet upnp\ndelete table inet upnp\n" + TABLE)
        config = self._directory / "miniupnpd.conf"
        config.write_text(
            f"ext_ifname={self._wan}\next_ip={OUTSIDE}\nlistening_ip={self._lan}\n"
            f"enable_natpmp={_word(pcp)}\nenable_upnp={_word(upnp)}\nsecure_mode=yes\n"
            "system_uptime=no\nmin_lifetime=120\nmax_lifetime=86400\n"
            "upnp_table_name=upnp\nupnp_nat_table_name=upnp\nupnp_forward_chain=allowed\n"
            "upnp_nat_chain=leads\nupnp_nat_postrouting_chain=hides\n"
            "uuid=6c326d65-7368-4000-8000-000000000001\n"
            "allow 1024-65535 0.0.0.0/0 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n"
        )
        pid = self._directory / "miniupnpd.pid"
        self.process = self.host.start(["miniupnpd", "-d", "-f", config, "-P", pid], name="upnpd")
        self.process.wait_for_log("Listening for NAT-PMP/PCP" if pcp else "HTTP listening")

    def stop(self) -> None:
        """The router is off; what it granted stays in the kernel."""
        self.process.stop()

    def leads(self) -> list[int]:
        """The ports outside that lead somewhere."""
        shown = self.host.run(["nft", "list", "chain", "inet", "upnp", "leads"]).stdout
        return [int(port) for port in re.findall(r"dport (\d+)", shown)]


def _word(choice: bool) -> str:  # noqa: FBT001 - its only argument
    return "yes" if choice else "no"


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with Lab() as lab:
        mesh = Mesh(lab)
        mesh.add_behind_nat("alice", kind=NatKind.RANDOM)
        mesh.add_behind_nat("bob", kind=NatKind.RANDOM)
        before, beyond = mesh.nats["alice"], mesh.nats["bob"]
        before.host.ip("addr", "add", f"{OUTSIDE}/32", "dev", before.wan.interface)
        beyond.host.ip("route", "add", f"{OUTSIDE}/32", "dev", beyond.wan.interface)
        yield mesh.start()


@pytest.fixture
def router(mesh: Mesh) -> Iterator[Router]:
    router = Router(mesh, mesh.nats["alice"])
    yield router
    router.stop()


def port_mapping(mesh: Mesh) -> dict[str, Any]:
    """What alice says of it."""
    found: dict[str, Any] = mesh.nodes["alice"].cli("netcheck")["port_mapping"]
    return found


def wait_mapped(mesh: Mesh, protocol: str) -> dict[str, Any]:
    def is_mapped() -> bool:
        return bool(port_mapping(mesh)["protocol"] == protocol)

    wait_until(is_mapped, PATIENCE_S, what=f"a port by {protocol}")
    return port_mapping(mesh)


def test_peers_behind_symmetric_nats_are_direct_by_a_port_of_the_router(
    mesh: Mesh, router: Router
) -> None:
    router.start()
    mesh.nodes["alice"].restart()
    found = wait_mapped(mesh, "pcp")
    assert found["outside"] == f"{OUTSIDE}:9993" and found["gateway"] == "10.10.0.1"
    assert 0 < found["lifetime_s"] <= 1200 and router.leads() == [9993]
    network = mesh.network()
    mesh.join(network, "alice", "bob")
    first = mesh.ping("bob", "10.9.0.1")
    assert first.returncode == 0, first.stdout
    with mesh.pinging("bob", "10.9.0.1") as pinging:
        mesh.wait_path("bob", "alice")
        mesh.wait_path("alice", "bob")
        pinging.more(5)
    assert pinging.lost() == []
    peer = mesh.peer("bob", "alice")
    assert peer is not None and peer["endpoint"] == f"{OUTSIDE}:9993"


def test_port_is_asked_for_again_after_the_router_was_started_anew(
    mesh: Mesh, router: Router
) -> None:
    router.start()
    alice = mesh.nodes["alice"]
    alice.restart()
    wait_mapped(mesh, "pcp")
    router.stop()
    router.start()
    assert router.leads() == []
    alice.host.ip("addr", "add", "10.10.0.77/24", "dev", "eth0")  # a change, as when a cable moves
    wait_until(lambda: router.leads() == [9993], PATIENCE_S, what="the port once more")
    wait_until(lambda: port_mapping(mesh)["restarts"] == 1, PATIENCE_S, what="the restart noticed")
    alice.host.ip("addr", "del", "10.10.0.77/24", "dev", "eth0")


@pytest.mark.parametrize(("pcp", "protocol"), [(True, "pcp"), (False, "upnp")])
def test_port_is_given_back_at_the_end(
    mesh: Mesh, router: Router, *, pcp: bool, protocol: str
) -> None:
    router.start(pcp=pcp)
    mesh.nodes["alice"].restart()
    assert wait_mapped(mesh, protocol)["outside"] == f"{OUTSIDE}:9993"
    assert router.leads() == [9993]
    mesh.nodes["alice"].stop()
    assert router.leads() == []
    mesh.nodes["alice"].start()


def test_nat_pmp_grants_renews_and_takes_back(mesh: Mesh, router: Router) -> None:
    """miniupnpd speaks PCP wherever it speaks NAT-PMP, so nodes never come to ask by the latter."""
    router.start()
    wish = Wish("10.10.0.1", Endpoint("10.10.0.2", 5555), os.urandom(12))
    host = mesh.nodes["alice"].host
    lease = inside(host, lambda: asyncio.run(map_by_natpmp(wish)))
    assert lease.outside == Endpoint(OUTSIDE, 5555) and lease.lifetime_s == wish.lifetime_s
    assert inside(host, lambda: asyncio.run(map_by_natpmp(wish))).outside == lease.outside
    assert 5555 in router.leads()
    inside(host, lambda: asyncio.run(map_by_natpmp(replace(wish, lifetime_s=0))))
    assert 5555 not in router.leads()


def test_another_port_is_granted_where_the_wanted_one_is_taken(mesh: Mesh, router: Router) -> None:
    router.start()
    host = mesh.nodes["alice"].host
    first = Wish("10.10.0.1", Endpoint("10.10.0.2", 5555), os.urandom(12))
    taken = inside(host, lambda: asyncio.run(map_by_pcp(first))).outside
    second = Wish("10.10.0.1", Endpoint("10.10.0.2", 5556), os.urandom(12), outside=taken)
    assert inside(host, lambda: asyncio.run(map_by_pcp(second))).outside != taken
    assert len(router.leads()) >= 2


def test_nothing_is_asked_when_it_is_not_wanted(mesh: Mesh, router: Router) -> None:
    router.start()
    alice = mesh.nodes["alice"]
    alice.port_mapping = False
    alice.restart()
    assert port_mapping(mesh) == {"enabled": False}
    assert router.leads() == []
    alice.port_mapping = True
    alice.restart()
