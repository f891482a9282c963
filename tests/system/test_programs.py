"""Programs that need one LAN, as Debian ships them.

ARP scans and PTP in bare Ethernet frames, mDNS, and VRRP, whose address moves.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.system.mesh import PATIENCE_S, Mesh, mesh_of
from tools.lab import wait_until

pytestmark = pytest.mark.root

NAMES = ("alice", "bob", "carol")
UNPACKED: Final = Path(sys.prefix, "debian")
"""Where tools/setup unpacks programs whose services shall not run on this host."""
MDNSD: Final = UNPACKED / "usr/sbin/mdnsd"
MQUERY: Final = UNPACKED / "usr/bin/mquery"


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with mesh_of(*NAMES) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def network(mesh: Mesh) -> str:
    network = mesh.network()
    mesh.join(network, *NAMES)
    mesh.wait_ping("alice", "10.9.0.2")
    return network


def test_arp_scan_finds_every_member(mesh: Mesh, network: str) -> None:
    host, device = mesh.nodes["alice"].host, mesh.device("alice", network)
    command = ["arp-scan", "-I", device, "-x", "-r", "4", "10.9.0.1-10.9.0.20"]
    found = dict(line.split()[:2] for line in host.run(command).stdout.splitlines())
    assert found == {
        mesh.ip(name, network): mesh.joined(name, network)["mac"] for name in NAMES[1:]
    }


def test_ptp_elects_a_master_by_multicast_without_ip(mesh: Mesh, network: str) -> None:
    processes = []
    for name, priority in (("alice", 100), ("bob", 200)):
        host, device = mesh.nodes[name].host, mesh.device(name, network)
        config = host.directory / f"{name}.ptp.conf"
        settings = ["free_running 1", "network_transport L2", "time_stamping software"]
        settings += [f"priority1 {priority}", f"uds_address {host.directory}/{name}.ptp"]
        config.write_text("\n".join(["[global]", *settings, f"[{device}]", ""]))
        processes.append(host.start(["ptp4l", "-m", "-q", "-f", config], name="ptp4l"))
    master, slave = processes
    master.wait_for_log("assuming the grand master role", timeout=PATIENCE_S)
    slave.wait_for_log("master offset", timeout=PATIENCE_S)
    for process in processes:
        process.stop()


def test_mdns_resolves_a_host_and_discovers_its_service(mesh: Mesh, network: str) -> None:
    host, device = mesh.nodes["bob"].host, mesh.device("bob", network)
    services = host.directory / "services"
    services.mkdir()
    (services / "printer.service").write_text("name Laser\ntype _ipp._tcp\nport 631\n")
    responder = host.start([MDNSD, "-n", "-i", device, services], name="mdnsd")

    def asked(kind: int, name: str) -> str:
        options = ["-i", mesh.device("alice", network), "-w", "2", "-l", "debug", "-t", str(kind)]
        done = mesh.nodes["alice"].host.run([MQUERY, *options, name], check=False)
        return done.stdout + done.stderr

    def answered(kind: int, name: str, answer: str) -> None:
        wait_until(lambda: answer in asked(kind, name), PATIENCE_S, what=f"answer: {answer}")

    answered(12, "_ipp._tcp.local.", f"+ Laser._ipp._tcp.local. ({mesh.ip('bob', network)})")
    answered(1, "Laser.local.", "Got Answer: Name: Laser.local., Type: 1")
    responder.stop()


def test_vrrp_address_moves_and_everybody_knows_where(mesh: Mesh, network: str) -> None:
    address, routers = "10.9.0.200", {}
    for name, priority in (("alice", 200), ("bob", 100)):
        host, device = mesh.nodes[name].host, mesh.device(name, network)
        instance = f"state BACKUP\n interface {device}\n virtual_router_id 51\n advert_int 1"
        instance += f"\n priority {priority}\n virtual_ipaddress {{ {address}/24 }}"
        config = host.directory / f"{name}.keepalived.conf"
        config.write_text(f"vrrp_instance gateway {{\n {instance}\n}}\n")
        pids = [f"--pid={config}.pid", f"--vrrp_pid={config}.vrrp.pid"]
        command = ["keepalived", "-n", "-l", "-P", f"--use-file={config}", *pids]
        routers[name] = host.start(command, name="keepalived")
        routers[name].wait_for_log("Entering BACKUP STATE", timeout=PATIENCE_S)
    routers["alice"].wait_for_log("Entering MASTER STATE", timeout=PATIENCE_S)
    mesh.wait_ping("carol", address)
    with mesh.pinging("carol", address) as pings:
        pings.more(5)
        routers["alice"].stop()  # says priority 0, so that the other need not wait for silence
        routers["bob"].wait_for_log("Entering MASTER STATE", timeout=PATIENCE_S)
        pings.more(5)
    carol = mesh.nodes["carol"].host
    (neighbour,) = carol.ip_json("neigh", "show", address)
    assert neighbour["lladdr"] == mesh.joined("bob", network)["mac"]
    assert len(pings.lost()) * 0.1 < 3, pings.lost()
    routers["bob"].stop()
