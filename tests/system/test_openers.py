"""NAT boxes that take strays themselves, a few hops apart: openers get a pair through both."""

from typing import Final

import pytest

from tests.system.mesh import Mesh
from tools.lab import Host, Lab, wait_until
from tools.lab.nats import ACCEPT_STRAYS

pytestmark = pytest.mark.root

DIRECT_S: Final = 3.0


def add_far_away(mesh: Mesh, name: str, number: int) -> Host:
    """A node behind an accepting NAT, behind a router of its own on the wire, which is returned."""
    near, street = mesh.lab.router(f"isp-{name}"), mesh.lab.switch(f"street-{name}")
    mesh.lab.connect(near, mesh.wan, f"192.0.2.{number}/24")
    mesh.lab.connect(near, street, f"198.51.{number}.1/24")
    nat = mesh.lab.nat(
        f"nat-{name}",
        wan=street,
        wan_address=f"198.51.{number}.2/24",
        lan_subnet=f"10.{number}.0.0/24",
        gateway=f"198.51.{number}.1",
    )
    nat.host.nft(ACCEPT_STRAYS)
    host = mesh.lab.host(name)
    mesh.lab.connect(host, nat.lan, f"10.{number}.0.2/24", gateway=nat.gateway, interface="eth0")
    mesh.node_on(host)
    return near


def lead(host: Host, *numbers: int) -> None:
    """Routes to the streets behind these routers."""
    for number in numbers:
        host.ip("route", "add", f"198.51.{number}.0/24", "via", f"192.0.2.{number}")


def test_early_probes_do_not_shut_boxes_that_accept_strays() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        lead(add_far_away(mesh, "alice", 10), 20)
        lead(add_far_away(mesh, "bob", 20), 10)
        for host in (mesh.planet.host, mesh.controller.host):
            lead(host, 10, 20)
        mesh.start()
        network = mesh.network()
        mesh.join(network, "alice", "bob")
        with mesh.pinging("alice", mesh.ip("bob", network)) as pinging:
            for ends in (("alice", "bob"), ("bob", "alice")):
                wait_until(lambda: mesh.path(*ends) == "direct", DIRECT_S, what=f"direct {ends}")  # noqa: B023
            pinging.more(5)
        assert pinging.lost() == []
