"""Damaged, foreign and older files: one clear line, the right exit status, nothing overwritten."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.mesh import PATIENCE_S, Mesh, mesh_of
from tools.lab import wait_until
from tools.lab.daemons import Daemon

pytestmark = pytest.mark.root

PROGRAMS = Path(sys.prefix) / "bin"
TAKE_PORT = """
import socket, time
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", 9777))
print("bound", flush=True)
time.sleep(60)
"""
GARBAGE = b"\x00damaged\xff" * 9


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """A mesh that has lived, now stopped: its state directories are what tests damage."""
    with mesh_of("alice", "bob") as mesh:
        network = mesh.network()
        mesh.join(network, "alice", "bob")
        mesh.wait_ping("alice", "10.9.0.2")
        mesh.wait_path("alice", "bob")
        for daemon in (mesh.nodes["alice"], mesh.controller, mesh.planet):
            assert daemon.stop() == 0
        yield mesh


def daemons(mesh: Mesh) -> dict[str, Daemon]:
    return {"node": mesh.nodes["alice"], "controller": mesh.controller, "planet": mesh.planet}


def start(daemon: Daemon) -> subprocess.CompletedProcess[str]:
    """Start it in the foreground, for a daemon that must refuse to."""
    command = [PROGRAMS / daemon.program, *daemon.daemon_arguments()]
    return daemon.host.run(command, check=False, timeout=PATIENCE_S)


def assert_refused(daemon: Daemon, said: str) -> None:
    done = start(daemon)
    assert done.returncode == 1, done.stderr
    errors = [line for line in done.stderr.splitlines() if "error: " in line]
    assert len(errors) == 1, done.stderr
    assert said in errors[0]
    assert "Traceback" not in done.stderr


def files(state: Path) -> dict[str, bytes]:
    skipped = {"lock"}
    return {
        str(path.relative_to(state)): path.read_bytes()
        for path in sorted(state.rglob("*"))
        if path.is_file() and path.name not in skipped
    }


@pytest.fixture
def saved(mesh: Mesh) -> Iterator[None]:
    """Every state directory as it was, after the test."""
    copies = mesh.lab.directory / "copies"
    for name, daemon in daemons(mesh).items():
        shutil.copytree(daemon.state, copies / name)
    yield
    for name, daemon in daemons(mesh).items():
        if daemon.process is not None and daemon.process.is_running:
            daemon.stop()
        shutil.rmtree(daemon.state)
        shutil.move(copies / name, daemon.state)


@pytest.mark.parametrize("kind", ["node", "controller", "planet"])
@pytest.mark.parametrize("damage", [b"", GARBAGE, b"cut"])
def test_damaged_identity_is_refused_and_kept(
    mesh: Mesh, saved: None, kind: str, damage: bytes
) -> None:
    daemon = daemons(mesh)[kind]
    identity = daemon.state / "identity.secret"
    identity.write_bytes(identity.read_bytes()[:40] if damage == b"cut" else damage)
    before = files(daemon.state)
    assert_refused(daemon, "identity.secret")
    assert files(daemon.state) == before


@pytest.mark.parametrize("kind", ["node", "controller", "planet"])
def test_state_open_to_others_is_refused(mesh: Mesh, saved: None, kind: str) -> None:
    daemon = daemons(mesh)[kind]
    daemon.state.chmod(0o755)
    assert_refused(daemon, "chmod 700")
    daemon.state.chmod(0o700)
    (daemon.state / "identity.secret").chmod(0o644)
    assert_refused(daemon, "chmod 600")
    (daemon.state / "identity.secret").chmod(0o600)
    daemon.start()
    assert daemon.stop() == 0


@pytest.mark.parametrize("kind", ["node", "controller", "planet"])
def test_state_of_a_newer_release_is_refused(mesh: Mesh, saved: None, kind: str) -> None:
    daemon = daemons(mesh)[kind]
    (daemon.state / "schema").write_text("99\n")
    before = files(daemon.state)
    assert_refused(daemon, "newer release")
    assert files(daemon.state) == before


@pytest.mark.parametrize("kind", ["node", "controller", "planet"])
def test_second_daemon_on_one_state_is_refused(mesh: Mesh, saved: None, kind: str) -> None:
    daemon = daemons(mesh)[kind]
    daemon.start()
    pid = (daemon.state / "lock").read_text()
    done = start(daemon)
    assert done.returncode == 1
    assert "in use by another daemon" in done.stderr and pid.strip() in done.stderr
    assert daemon.cli_raw(*daemon.ready_command).returncode == 0
    assert daemon.stop() == 0


@pytest.mark.parametrize("kind", ["node", "controller", "planet"])
def test_port_in_use_is_told(mesh: Mesh, saved: None, kind: str) -> None:
    daemon = daemons(mesh)[kind]
    taken = daemon.host.start([sys.executable, "-c", TAKE_PORT])
    taken.wait_for_log("bound")
    listen, daemon.listen = daemon.listen, "[::]:9777"  # type: ignore[attr-defined]
    assert_refused(daemon, "9777")
    daemon.listen = listen  # type: ignore[attr-defined]
    taken.stop()


def test_damaged_database_is_refused_and_kept(mesh: Mesh, saved: None) -> None:
    (database,) = [p for p in mesh.controller.state.iterdir() if p.suffix in (".db", ".sqlite")]
    for damage in (GARBAGE * 100, database.read_bytes()[:5000]):
        database.write_bytes(damage)
        done = start_or_stop(mesh.controller)
        assert done.returncode == 1 and database.name in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert database.read_bytes() == damage


def start_or_stop(daemon: Daemon) -> subprocess.CompletedProcess[str]:
    command = ["timeout", "8", str(PROGRAMS / daemon.program), *daemon.daemon_arguments()]
    return daemon.host.run(command, check=False, timeout=PATIENCE_S)


def test_damaged_network_file_costs_only_that_network_and_is_kept(mesh: Mesh, saved: None) -> None:
    alice = mesh.nodes["alice"]
    (network,) = (alice.state / "networks").iterdir()
    network.write_bytes(GARBAGE)
    alice.start()
    assert any(network.name in line for line in alice.cli("status")["health"])
    assert alice.stop() == 0
    kept = [data for data in files(alice.state).values() if data == GARBAGE]
    assert kept, "what could not be read was overwritten"


@pytest.mark.parametrize("name", ["peers", "world"])
def test_damaged_memory_stops_nobody(mesh: Mesh, saved: None, name: str) -> None:
    alice = mesh.nodes["alice"]
    (alice.state / name).write_bytes(GARBAGE)
    (alice.state / name).chmod(0o600)
    done = alice.launch()
    wait_until(lambda: not done.process.is_running or alice.socket.exists(), PATIENCE_S)  # type: ignore[union-attr]
    if done.process.is_running:  # type: ignore[union-attr]
        alice.wait_ready()
        assert mesh.ask("alice", "networks")["networks"][0]["status"] == "ok"
        assert alice.stop() == 0
    assert "Traceback" not in alice.log()


def test_worlds_that_cannot_be_used_are_told(mesh: Mesh, saved: None) -> None:
    alice, directory = mesh.nodes["alice"], mesh.lab.directory
    good = mesh.planet.world.read_text()
    bad = {
        "empty": "",
        "noise": "l2mesh-world:" + "A" * 100,
        "cut": good[: len(good) // 2],
        "changed": good[:60] + ("A" if good[60] != "A" else "B") + good[61:],
        "not-ascii": "wörld",
    }
    for name, text in bad.items():
        path = directory / f"world-{name}"
        path.write_text(text)
        alice.world = path
        assert_refused(alice, f"world-{name}")
        assert mesh.planet.cli_raw("world", "show", path).returncode == 1
        assert path.read_text() == text
    alice.world = directory / "missing"
    assert_refused(alice, "missing")
    alice.world = mesh.planet.world


def test_older_world_is_ignored_and_a_foreign_one_told(mesh: Mesh, saved: None) -> None:
    alice, planet, directory = mesh.nodes["alice"], mesh.planet, mesh.lab.directory
    old = planet.world.read_bytes()
    new = directory / "world-new"
    where = f"{planet.identity()['public']}@192.0.2.1:9993"
    planet.cli("world", "create", "--out", new, where, where.replace(":9993", ":9994"))
    assert planet.cli("world", "show", new)["revision"] == 2
    alice.world = new
    alice.start()
    assert alice.stop() == 0
    kept = (alice.state / "world").read_bytes()
    alice.world = directory / "world-old"
    alice.world.write_bytes(old)
    alice.start()
    assert alice.stop() == 0
    assert (alice.state / "world").read_bytes() == kept
    alice.world = planet.world
    planet.world.write_bytes(foreign_world(mesh))
    assert_refused(planet, "world")


def foreign_world(mesh: Mesh) -> bytes:
    state = mesh.lab.directory / "foreign"
    state.mkdir(mode=0o700, exist_ok=True)
    program = [PROGRAMS / "l2mesh-planet"]
    host = mesh.planet.host
    made = host.run([*program, "identity", "--state", state, "-o", "json"]).stdout
    out, where = state / "out", f"{json.loads(made)['public']}@192.0.2.9:9993"
    host.run([*program, "world", "create", "--state", state, "--out", out, where])
    return out.read_bytes()


def test_stale_socket_is_replaced_and_a_file_in_its_place_is_not(mesh: Mesh, saved: None) -> None:
    alice = mesh.nodes["alice"]
    alice.start()
    alice.kill()
    assert alice.socket.exists()
    alice.start()
    assert oct(alice.socket.stat().st_mode & 0o777) == "0o660"
    assert alice.stop() == 0
    alice.socket.write_text("mine")
    assert_refused(alice, "it is no socket")
    assert alice.socket.read_text() == "mine"
    alice.socket.unlink()


def test_secrets_are_closed_to_others_and_never_logged(mesh: Mesh) -> None:
    for daemon in daemons(mesh).values():
        for path in daemon.state.rglob("*"):
            if path.is_file() and path.name != "world":
                assert path.stat().st_mode & 0o077 == 0, path
        assert not re.search(r"secret=|token=\S", daemon.log())
