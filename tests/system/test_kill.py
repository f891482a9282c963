"""SIGKILL at random moments, and SIGTERM at any: everything comes back as it was."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.mesh import LONG_S, PATIENCE_S, Mesh, mesh_of, seeded
from tools.lab import wait_until
from tools.lab.daemons import Daemon

pytestmark = [pytest.mark.root, pytest.mark.slow]

ROUNDS = 5
LONGEST_WAIT_S = 1.0
STOP_WITHIN_S = 5.0


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    # whoever is killed comes back with either engine
    with mesh_of("alice", "bob", reference={"bob"}) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def network(mesh: Mesh) -> str:
    network = mesh.network("--name", "lan")
    mesh.join(network, "alice", "bob")
    mesh.wait_ping("alice", "10.9.0.2")
    mesh.wait_path("alice", "bob")
    return network


def kill_and_start(daemon: Daemon) -> None:
    daemon.kill()
    daemon.start()
    assert "Traceback" not in daemon.log()


def test_node_killed_at_random_moments_loses_nothing(mesh: Mesh, network: str) -> None:
    rng, alice = seeded(), mesh.nodes["alice"]
    status, joined = mesh.ask("alice", "status"), mesh.joined("alice", network)
    for _ in range(ROUNDS):
        alice.host.start(alice.cli_command(["set", network, "broadcast_route=true"]))
        time.sleep(rng.random() * LONGEST_WAIT_S)
        kill_and_start(alice)
        mesh.wait_up("alice", network)
        assert mesh.ask("alice", "status")["fingerprint"] == status["fingerprint"]
        now = mesh.joined("alice", network)
        assert {key: now[key] for key in ("mac", "addresses", "name", "device")} == {
            key: joined[key] for key in ("mac", "addresses", "name", "device")
        }
    mesh.wait_ping("alice", "10.9.0.2", LONG_S)
    assert not list(alice.state.rglob(".tmp-*"))


def test_node_killed_while_it_starts_starts_again(mesh: Mesh, network: str) -> None:
    rng, bob = seeded(), mesh.nodes["bob"]
    bob.stop()
    for _ in range(ROUNDS):
        bob.launch()
        time.sleep(rng.random() * 0.8)
        bob.kill()
    bob.start()
    mesh.wait_up("bob", network)
    mesh.wait_ping("bob", "10.9.0.1", LONG_S)


def test_controller_killed_at_random_moments_loses_nothing_it_confirmed(
    mesh: Mesh, network: str
) -> None:
    rng, controller = seeded(), mesh.controller
    identity = controller.cli("identity")
    confirmed = []
    for number in range(ROUNDS):
        name = f"name{number}"
        controller.cli("network", "set", network, f"name={name}")
        confirmed.append(mesh.network("--name", name, pool=None))
        process = controller.host.start(
            controller.cli_command(["network", "set", network, "mtu=1400"])
        )
        time.sleep(rng.random() * 0.5)
        kill_and_start(controller)
        process.wait(PATIENCE_S)
        assert controller.cli("network", "show", network)["name"] == name
    assert controller.cli("identity") == identity
    networks = {n["id"] for n in controller.cli("network", "list")["networks"]}
    assert networks >= {network, *confirmed}
    members = controller.cli("member", "list", network)["members"]
    assert [m["authorized"] for m in members] == [True, True]
    mesh.wait_ping("alice", "10.9.0.2", LONG_S)


def test_planet_killed_at_random_moments_is_found_again(mesh: Mesh, network: str) -> None:
    rng, planet = seeded(), mesh.planet
    identity, world = planet.identity(), planet.world.read_bytes()
    with mesh.pinging("alice", "10.9.0.2") as pinging:
        for _ in range(ROUNDS // 2):
            time.sleep(rng.random() * LONGEST_WAIT_S)
            kill_and_start(planet)
        pinging.more(5)
    assert pinging.lost() == []
    assert planet.identity() == identity and planet.world.read_bytes() == world
    wait_until(lambda: planet.cli("status")["sessions"] >= 2, LONG_S, what="the nodes' return")
    for name in mesh.nodes:
        wait_until(lambda name=name: mesh.ask(name, "status")["online"], LONG_S)  # type: ignore[misc]


def test_sigterm_ends_every_daemon_with_0_and_soon(mesh: Mesh, network: str) -> None:
    rng = seeded()
    for daemon in (mesh.nodes["alice"], mesh.nodes["bob"], mesh.controller, mesh.planet):
        for _ in range(2):
            time.sleep(rng.random() * 0.3)
            began = time.monotonic()
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGTERM)
            assert daemon.process.wait(LONG_S) == 0, daemon.log()[-2000:]
            took = time.monotonic() - began
            print(f"{daemon.name} ended after {took:.2f} s")  # noqa: T201
            assert took < STOP_WITHIN_S
            daemon.start()
    mesh.wait_online("alice")
    mesh.wait_ping("alice", "10.9.0.2", LONG_S)


def test_all_killed_at_once_come_back(mesh: Mesh, network: str) -> None:
    daemons: list[Daemon] = [mesh.planet, mesh.controller, *mesh.nodes.values()]
    for daemon in daemons:
        daemon.kill()
    for daemon in daemons:
        daemon.launch()
    for daemon in daemons:
        daemon.wait_ready()
    mesh.wait_up("alice", network)
    mesh.wait_ping("alice", "10.9.0.2", LONG_S)
    wait_until(lambda: mesh.member("alice", network)["online"], LONG_S, what="alice online")


def test_idle_node_is_small(mesh: Mesh, network: str) -> None:
    alice = mesh.nodes["alice"]
    pid = int((alice.state / "lock").read_text())
    status = Path(f"/proc/{pid}/status").read_text()
    rss_mib = int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024
    ticks = os.sysconf("SC_CLK_TCK")

    def cpu_s() -> float:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / ticks

    before, began = cpu_s(), time.monotonic()
    time.sleep(5)
    share = (cpu_s() - before) / (time.monotonic() - began)
    print(f"idle l2meshd: {rss_mib:.0f} MiB, {share:.2%} of a core")  # noqa: T201
    assert rss_mib < 96  # 64 without the measuring of coverage
    assert share < 0.1  # 1 % on an idle machine
