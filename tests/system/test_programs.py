"""Programs that need one LAN, as Debian ships them: ARP scans, and PTP in bare Ethernet frames."""

from collections.abc import Iterator

import pytest

from tests.system.mesh import PATIENCE_S, Mesh
from tools.lab import Lab

pytestmark = pytest.mark.root

NAMES = ("alice", "bob", "carol")


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with Lab() as lab:
        mesh = Mesh(lab)
        for name in NAMES:
            mesh.add(name)
        yield mesh.start()


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
