"""A host with two default routes: datagrams leave by the uplink that was chosen, and links die."""

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
