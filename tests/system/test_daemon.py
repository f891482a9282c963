"""``l2meshd`` as a program: how it starts, ends, and whom it lets ask."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from l2mesh.cli.main import main as l2mesh
from tools.lab import Lab, wait_until
from tools.lab.daemons import Node, lab_node
from tools.lab.host import Host

pytestmark = pytest.mark.root

PROGRAMS = Path(sys.prefix) / "bin"
UNKNOWN_NETWORK = "89e92ceee5000001"
NOBODY = 65534
LAST_START_S = 15.0


@pytest.fixture
def host() -> Iterator[Host]:
    with Lab() as lab:
        yield lab.host("a")


@pytest.fixture
def node(host: Host) -> Node:
    return lab_node(host, listen="[::]:0")


def l2meshd(host: Host, *arguments: object) -> subprocess.CompletedProcess[str]:
    return host.run([PROGRAMS / "l2meshd", *map(str, arguments)], check=False)


def test_status_of_a_lonely_node_tells_what_is_missing(node: Node) -> None:
    status = node.cli("status")
    assert (status["schema"], status["engine"], status["online"]) == (
        "l2mesh.status/1",
        "native" if find_spec("l2mesh.datapath._native") else "reference",
        False,
    )
    assert len(status["address"]) == 10 and len(status["fingerprint"]) == 52
    assert any("no world" in line for line in status["health"])


def test_the_slow_engine_says_so_loudly(node: Node) -> None:
    node.stop()
    node.engine = "reference"
    node.start()
    wait_until(lambda: node.cli_raw("status").returncode == 0)
    status = node.cli("status")
    assert status["engine"] == "reference"
    assert any("reference engine" in line for line in status["health"])
    assert "reference engine" in node.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_with_status_0_and_the_socket_goes(
    node: Node, number: signal.Signals
) -> None:
    assert node.process is not None
    began = time.monotonic()
    pid = int((node.state / "lock").read_text())
    os.kill(pid, number)
    assert node.process.wait(5) == 0
    assert time.monotonic() - began < 5
    assert not node.socket.exists()


def test_join_is_kept_over_sigkill_and_forgotten_on_leave(node: Node) -> None:
    assert node.cli_raw("join", UNKNOWN_NETWORK, "--wait", "0").returncode == 0
    node.kill()
    node.start()
    (network,) = node.cli("networks")["networks"]
    assert (network["id"], network["status"], network["device"]) == (
        UNKNOWN_NETWORK,
        "requesting",
        None,
    )
    assert node.cli_raw("join", UNKNOWN_NETWORK, "--wait", "0.2").returncode == 6
    assert node.cli("leave", UNKNOWN_NETWORK)["id"] == UNKNOWN_NETWORK
    assert node.cli("networks")["networks"] == []
    assert node.cli_raw("leave", UNKNOWN_NETWORK).returncode == 5


def test_identity_outlives_restarts(node: Node) -> None:
    before = node.cli("status")["fingerprint"]
    node.restart()
    assert node.cli("status")["fingerprint"] == before


def test_local_choices_are_kept_and_wrong_ones_told(node: Node) -> None:
    node.cli("join", UNKNOWN_NETWORK, "--wait", "0")
    assert node.cli("set", UNKNOWN_NETWORK, "bridge=br0")["bridge"] == "br0"
    refused = node.cli_raw("set", UNKNOWN_NETWORK, "colour=red")
    assert refused.returncode == 2 and "colour" in refused.stderr
    node.restart()
    assert node.cli("networks")["networks"][0]["bridge"] == "br0"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"--state": "{state}"}, "is in use by another daemon"),
        ({"--socket": "{socket}"}, "a daemon is running and answers at"),
        ({"--listen": "[::]:{port}"}, "the port is in use"),
        ({"--world": "/nonexistent"}, "cannot read the world file"),
        ({"--world": "/etc/hostname"}, "the world file /etc/hostname cannot be used"),
        ({"--listen": "198.51.100.1:1"}, "cannot listen on 198.51.100.1:1"),
    ],
)
def test_daemon_that_cannot_start_says_why_in_one_line(
    host: Host, node: Node, change: dict[str, str], line: str
) -> None:
    port = node.log().partition("port=")[2].split()[0]
    places = {"state": node.state, "socket": node.socket, "port": port}
    other = node.state.with_name("other")
    arguments = {"--state": other, "--socket": other / "s", "--listen": "[::]:0"}
    arguments |= {key: Path(value.format(**places)) for key, value in change.items()}
    words = [word for pair in arguments.items() for word in pair]
    done = l2meshd(host, *words, "--log-level", "error")
    assert done.returncode == 1
    assert line in done.stderr
    assert done.stderr.startswith("l2meshd: error: ") and done.stderr.count("\n") == 1
    assert node.cli("status")["address"]


def test_state_that_is_open_to_others_or_damaged_is_refused(host: Host, node: Node) -> None:
    node.stop()
    node.state.chmod(0o755)
    assert "is open to others" in l2meshd(host, "--state", node.state).stderr
    node.state.chmod(0o700)
    (node.state / "identity.secret").write_bytes(b"damaged")
    assert "identity.secret" in l2meshd(host, "--state", node.state).stderr
    assert (node.state / "identity.secret").read_bytes() == b"damaged"


def test_no_core_dump_shows_keys(node: Node) -> None:
    pid = int((node.state / "lock").read_text())
    limits = Path(f"/proc/{pid}/limits").read_text()
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]


def test_strangers_may_not_ask_and_members_of_the_group_may_not_change(node: Node) -> None:
    with tempfile.TemporaryDirectory() as directory:
        shared = Path(directory)
        shared.chmod(0o755)
        node.stop()
        node.socket = shared / "s"
        node.start()
        group = node.socket.stat().st_gid
        path = str(node.socket)
        assert as_user(NOBODY, NOBODY, ["--socket", path, "status"]) == 4
        assert as_user(NOBODY, group, ["--socket", path, "status", "-o", "json"]) == 0
        assert as_user(NOBODY, group, ["--socket", path, "leave", UNKNOWN_NETWORK]) == 4
        node.stop()


def as_user(uid: int, gid: int, arguments: list[str]) -> int:
    """The exit status of the command line, run as somebody else in a child of this process."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            status = l2mesh(arguments)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_options_come_from_file_and_environment(host: Host) -> None:
    state = host.directory / "configured"
    config = host.directory / "node.toml"
    config.write_text(f'state = "{state}"\nlisten = "127.0.0.1:0"\nsocket = "/nonexistent/s"\n')
    process = host.start(
        [PROGRAMS / "l2meshd", "--config", config],
        env={"L2MESHD_SOCKET": str(state / "s"), "PATH": "/usr/sbin:/usr/bin"},
    )
    answer: dict[str, Any] = {}
    deadline = time.monotonic() + LAST_START_S
    while not answer and time.monotonic() < deadline:
        done = host.run(
            [PROGRAMS / "l2mesh", "--socket", state / "s", "status", "-o", "json"], check=False
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
        assert process.is_running, process.tail()
    assert answer["schema"] == "l2mesh.status/1"
    assert process.stop() == 0
