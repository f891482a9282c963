"""Hosts with IPv6 alone, in a network with a NAT64 gateway; all others have nothing but IPv4."""

import pytest

from tests.system.mesh import Mesh
from tools.lab import Lab
from tools.lab.nat64 import PREFIX

pytestmark = pytest.mark.root

FAR = {"alice": "auto", "carol": "reference"}


def test_hosts_without_ipv4_meet_those_that_have_nothing_else() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        mesh.add_behind_nat("bob")
        wan_addresses = ("192.0.2.90/24", "2001:db8::90/64")
        box = lab.nat64(
            "gateway", wan=mesh.wan, wan_addresses=wan_addresses, lan_subnet="2001:db8:90::/64"
        )
        for number, (name, engine) in enumerate(FAR.items(), 2):
            host = lab.host(name)
            address = f"2001:db8:90::{number}/64"
            lab.connect(host, box.lan, address, gateway=box.gateway, interface="eth0")
            host.resolve_by(box.gateway)
            mesh.node_on(host, engine=engine)
        mesh.start()
        network = mesh.network()
        mesh.join(network, "bob", *FAR)
        target = mesh.ip("bob", network)
        for name in FAR:
            assert mesh.ping(name, target).returncode == 0
            mesh.wait_path(name, "bob")
            mesh.wait_path("bob", name)
            assert mesh.ping(name, target, "-M", "do", "-s", "1472").returncode == 0
            peer = mesh.peer("bob", name)
            assert peer is not None and str(peer["endpoint"]).startswith("192.0.2.90:")
            assert shown(mesh, name)
        netcheck = mesh.ask("alice", "netcheck")
        assert netcheck["nat64"] == {"needed": True, "prefix": PREFIX, "problem": None}
        (public,) = netcheck["ipv4"]["public"]
        assert netcheck["ipv4"]["works"] and public.startswith("192.0.2.90:")


def shown(mesh: Mesh, name: str) -> bool:
    """Whether `path` tells of the address to which datagrams for bob's NAT are sent."""
    ways = mesh.ask(name, "path", who=mesh.node_address("bob"))["candidates"]
    in_use = next(way for way in ways if way["state"] == "in_use")
    return (in_use["endpoint"], in_use["nat64"]) == (
        "192.0.2.10:9993",
        "[2001:db8:6464::c000:20a]:9993",
    )
