"""A host with two default routes: datagrams leave by the uplink that was chosen, and links die."""

import json
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.system.mesh import PATIENCE_S, Mesh
from tools.lab import Lab, Process, wait_until

pytestmark = pytest.mark.root

AGAIN_S = 1.0
FIRST_PORT = 40000
LEAST_BYTES = 1_000_000
_REPLY = re.compile(r"^\[([\d.]+)\] .*time=", re.MULTILINE)


@pytest.fixture
def mesh(engine: str) -> Iterator[Mesh]:
    """alice behind two NAT boxes, eth0 preferred to eth1, and bob with one public address."""
    with Lab() as lab:
        mesh = Mesh(lab, engine=engine)
        alice = mesh.add_behind_nat("alice").host
        mesh.add("bob")
        spare = lab.nat(
            "nat-spare", wan=mesh.wan, wan_address="192.0.2.99/24", lan_subnet="10.99.0.0/24"
        )
        mesh.nats["spare"] = spare
        lab.connect(alice, spare.lan, "10.99.0.2/24", interface="eth1")
        alice.ip("route", "add", "default", "via", spare.gateway, "dev", "eth1", "metric", "600")
        mesh.start()
        mesh.join(mesh.network(), "alice", "bob")
        yield mesh


def ways(mesh: Mesh) -> list[dict[str, Any]]:
    candidates = mesh.ask("alice", "path", who=mesh.node_address("bob"))["candidates"]
    return [each for each in candidates if each["path"] == "direct"]


def works_over(mesh: Mesh, uplink: str | None, *states: str) -> bool:
    return any(each["uplink"] == uplink and each["state"] in states for each in ways(mesh))


def bobs_way_in(mesh: Mesh) -> str:
    peer = mesh.peer("bob", "alice")
    return str(peer["endpoint"]).partition(":")[0] if peer is not None else ""


def longest_gap(ping: Process, since: float) -> float:
    times = [float(at) for at in _REPLY.findall(ping.log())]
    moments = [since, *(at for at in times if at > since), time.time()]
    return max(later - at for at, later in pairwise(moments))


@pytest.mark.parametrize(("engine", "silent"), [("native", True), ("reference", False)])
def test_traffic_goes_on_over_the_other_uplink(mesh: Mesh, silent: bool) -> None:  # noqa: FBT001
    alice = mesh.nodes["alice"].host
    words = ["ping", "-D", "-n", "-O", "-W", "2", "-i", "0.05", "10.9.0.2"]
    ping = alice.start(words, name="ping")
    wait_until(
        lambda: works_over(mesh, None, "in_use") and works_over(mesh, "eth1", "reserve"), PATIENCE_S
    )
    wait_until(lambda: bobs_way_in(mesh) == "192.0.2.10", PATIENCE_S)
    uplinks = mesh.ask("alice", "status")["uplinks"]
    assert [(each["device"], each["own_choice"]) for each in uplinks] == [
        ("eth0", True),
        ("eth1", False),
    ]
    assert all(each["used"] and each["up"] for each in uplinks)
    time.sleep(2.0)  # so that both ends know what is usual
    died = time.time()
    if silent:
        box = mesh.nats["alice"]
        box.host.ip("link", "set", box.wan.interface, "down")
    else:
        alice.ip("link", "set", "eth0", "down")
    wait_until(lambda: works_over(mesh, "eth1", "in_use"), PATIENCE_S)
    wait_until(lambda: bobs_way_in(mesh) == "192.0.2.99", PATIENCE_S)
    time.sleep(1.0)
    assert longest_gap(ping, died) < AGAIN_S
    ping.stop()


def sent_by(mesh: Mesh) -> dict[str, int]:
    """Bytes that alice's interfaces to the outside have sent."""
    links = mesh.nodes["alice"].host.ip_json("-s", "link", "show", "type", "veth")
    return {link["ifname"]: int(link["stats64"]["tx"]["bytes"]) for link in links}


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_flows_are_spread_over_both_uplinks(mesh: Mesh) -> None:
    """TCP flows, each of which the hash of its ports gives to one of the two: six each."""
    alice, bob = mesh.nodes["alice"].host, mesh.nodes["bob"].host
    for name in ("alice", "bob"):
        network = mesh.ask(name, "networks")["networks"][0]["id"]
        mesh.ask(name, "set", network=network, options={"bond": "true"})
    ping = alice.start(["ping", "-q", "-i", "0.1", "10.9.0.2"], name="ping")
    server = bob.start(["iperf3", "-s", "-1", "--forceflush"], name="iperf3")
    server.wait_for_log("Server listening")
    wait_until(lambda: works_over(mesh, None, "in_use") and works_over(mesh, "eth1", "in_use"), 30)
    spread = mesh.peer("alice", "bob")["spread"]  # type: ignore[index]
    assert [each["uplink"] for each in spread] == [None, "eth1"]
    wait_until(lambda: len(mesh.peer("bob", "alice")["spread"]) == 2, 30)  # type: ignore[index]
    before = sent_by(mesh)
    flows = ["-P", "12", "--cport", str(FIRST_PORT), "-b", "1M", "-t", "2", "-J"]
    report = json.loads(alice.run(["iperf3", "-c", "10.9.0.2", *flows], timeout=60).stdout)
    shares = [sent_by(mesh)[device] - before[device] for device in ("eth0", "eth1")]
    assert report["end"]["sum_received"]["bytes"] > LEAST_BYTES
    assert min(shares) > LEAST_BYTES / 4, shares
    server.wait()
    ping.stop()
