"""Where UDP is blocked the planet is reached over TLS, and by UDP again when that returns."""

from collections.abc import Iterator

import pytest

from tests.system.mesh import LONG_S, PATIENCE_S, Mesh
from tools.lab import Host, Lab, wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]

NO_UDP = """
table inet no_udp {
    chain input { type filter hook input priority -300; meta l4proto udp drop; }
    chain output { type filter hook output priority -300; meta l4proto udp drop; }
}
"""


def block_udp(host: Host) -> None:
    host.run(["nft", "-f", "-"], stdin=NO_UDP)


def allow_udp(host: Host) -> None:
    host.run(["nft", "delete", "table", "inet", "no_udp"])


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """alice, who has no UDP from the start, on the native engine; bob on the reference engine."""
    with Lab() as lab:
        mesh = Mesh(lab)
        mesh.add("alice")
        mesh.add("bob", engine="reference")
        block_udp(mesh.nodes["alice"].host)
        yield mesh.start()


def transport(mesh: Mesh, name: str) -> str:
    """How a node reaches the planet: `udp` or `tls`."""
    return str(mesh.ask(name, "status")["planets"][0]["transport"])


def test_node_without_udp_joins_and_talks_over_tls_until_udp_returns(mesh: Mesh) -> None:
    network = mesh.network()
    mesh.join(network, "alice", "bob")
    assert transport(mesh, "alice") == "tls"
    mesh.wait_ping("alice", "10.9.0.2")
    assert mesh.path("alice", "bob") == "relay"
    shown = mesh.nodes["alice"].cli("netcheck")
    assert shown["blocked"] == ["udp/9993"]
    assert any("firewall drops UDP" in sentence for sentence in shown["advice"])
    assert mesh.planet.cli("status")["streams"] == 1
    with mesh.pinging("alice", "10.9.0.2") as pinging:
        allow_udp(mesh.nodes["alice"].host)
        wait_until(lambda: transport(mesh, "alice") == "udp", PATIENCE_S, what="UDP again")
        mesh.wait_path("alice", "bob")
        pinging.more(5)
    assert len(pinging.lost()) < 5
    wait_until(lambda: mesh.planet.cli("status")["streams"] == 0, LONG_S, what="the stream closed")


def test_udp_that_is_cut_later_is_replaced_by_tls(mesh: Mesh) -> None:
    """The node on the reference engine loses UDP while it talks."""
    with mesh.pinging("bob", "10.9.0.1") as pinging:
        block_udp(mesh.nodes["bob"].host)
        wait_until(lambda: transport(mesh, "bob") == "tls", PATIENCE_S, what="TLS")
        pinging.more(5)
    allow_udp(mesh.nodes["bob"].host)
