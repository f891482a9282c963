"""`l2mesh capture` on both engines, read by tcpdump and scapy: alice's is native, bob's not."""

import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.utils import RawPcapNgReader

from tests.system.mesh import PATIENCE_S, Mesh, Wire, frame, marker, mesh_of
from tools.lab import wait_until
from tools.lab.daemons import PROGRAMS
from tools.lab.process import Process

pytestmark = pytest.mark.root

BROADCAST = "ff:ff:ff:ff:ff:ff"
NAMES = ("alice", "bob")

Seen = tuple[str, int, str, bytes]


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with mesh_of(*NAMES, engine="native", reference={"bob"}) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def network(mesh: Mesh) -> str:
    network = mesh.network()
    mesh.join(network, *NAMES)
    mesh.wait_ping("alice", "10.9.0.2")
    return network


def capture(mesh: Mesh, name: str, network: str, *words: str) -> tuple[Process, Path]:
    """`l2mesh capture` running on a node's host; it listens when this returns."""
    node = mesh.nodes[name]
    command = [str(PROGRAMS / "l2mesh"), "--socket", str(node.socket), "capture", network, *words]
    path = node.host.directory / f"{name}.{time.monotonic_ns()}.pcapng"
    process = node.host.start([*command, "-w", str(path)], name="capture")
    # the header is written first; the daemon then listens before it can be asked the next thing
    wait_until(lambda: path.exists() and path.stat().st_size > 0, PATIENCE_S, what="the file")
    wait_until(lambda: _is_refused(mesh, name, network), PATIENCE_S, what="the capture")
    return process, path


def _is_refused(mesh: Mesh, name: str, network: str) -> bool:
    node = mesh.nodes[name]
    done = node.host.run(
        [PROGRAMS / "l2mesh", "--socket", node.socket, "capture", network, "--duration", "0.01"],
        check=False,
    )
    return "captured already" in done.stderr


def read(path: Path) -> list[Seen]:
    """(side, direction, comment, frame) of each block."""
    found = []
    with RawPcapNgReader(str(path)) as reader:
        for data, meta in reader:
            comment = b"".join(meta.comments or []).decode()
            found.append((meta.ifname.decode().split()[1], meta.direction, comment, data))
    return found


def ended(process: Process, path: Path, part: bytes, count: int) -> list[Seen]:
    """The frames with these bytes, once there are so many and Ctrl-C has ended the capture."""

    def found() -> list[Seen]:
        return [one for one in read(path) if part in one[3]]

    wait_until(lambda: len(found()) >= count, PATIENCE_S, what=f"{count} frames")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    return found()


@pytest.mark.parametrize("name", NAMES)
def test_ping_is_seen_on_both_sides_with_the_member(mesh: Mesh, network: str, name: str) -> None:
    other = NAMES[1 - NAMES.index(name)]
    process, path = capture(mesh, name, network, "--side", "port", "--side", "mesh")
    assert mesh.answers("alice", "10.9.0.2", "-p", "6c326d73", wait_s=5)
    echoes = ended(process, path, b"l2ms", 4)
    assert ", 0 lost" in process.log()
    peer = mesh.node_address(other)
    ways = {(side, direction, comment) for side, direction, comment, _ in echoes}
    assert ways == {
        ("port", 1, ""),
        ("mesh", 2, f"to {peer}"),
        ("mesh", 1, f"from {peer}"),
        ("port", 2, ""),
    }


@pytest.mark.parametrize("name", NAMES)
def test_dropped_frame_has_its_reason(mesh: Mesh, network: str, name: str) -> None:
    process, path = capture(mesh, name, network, "--side", "drops")
    text = marker("foreign")
    with Wire(mesh.nodes[name].host, mesh.device(name, network)) as wire:
        wire.send(frame(BROADCAST, "02:00:00:77:77:77", 0x88B5, text))
    ((side, direction, comment, _),) = ended(process, path, text, 1)
    assert (side, direction) == ("drops", 1)
    assert comment == "dropped: source_mac, from this host"


def test_tcpdump_reads_the_pipe(mesh: Mesh, network: str) -> None:
    node = mesh.nodes["alice"]
    ours = shlex.join([str(PROGRAMS / "l2mesh"), "--socket", str(node.socket), "capture", network])
    line = f"{ours} --side port --duration 3 | tcpdump -n -e -r - icmp"
    process = node.host.start(["sh", "-c", line], name="pipe")
    mesh.ping("alice", "10.9.0.2", "-i", "0.2", count=15)
    process.wait(PATIENCE_S)
    assert "ICMP echo request" in process.log() and "ICMP echo reply" in process.log()


@pytest.mark.parametrize("name", NAMES)
def test_reader_that_stops_reading_delays_nothing(mesh: Mesh, network: str, name: str) -> None:
    node = mesh.nodes[name]
    ours = shlex.join([str(PROGRAMS / "l2mesh"), "--socket", str(node.socket), "capture", network])
    file = node.host.directory / f"{name}.slow.pcapng"
    process = node.host.start(["sh", "-c", f"{ours} --duration 6 | (sleep 4; cat >{file})"])
    done = mesh.ping("alice", "10.9.0.2", "-s", "1400", "-i", "0.002", count=1500)
    assert " 0% packet loss" in done.stdout, done.stdout
    process.wait(PATIENCE_S)
    frames = read(file)
    lost = int(process.log().split(" lost")[0].split()[-1])
    print(f"{name}: {len(frames)} frames kept, {lost} lost")  # noqa: T201
    assert len(frames) > 100
    assert not mesh.drops(name, "upcall_overflow")


def test_only_who_may_change_something_may_look(mesh: Mesh, network: str) -> None:
    node = mesh.nodes["alice"]
    command = [str(PROGRAMS / "l2mesh"), "--socket", str(node.socket), "capture"]
    unknown = node.host.run([*command, "89e92ceee5000009"], check=False)
    assert unknown.returncode == 5 and "has not joined" in unknown.stderr
    wrong = node.host.run([*command, network, "-o", "json"], check=False)
    assert wrong.returncode == 2 and "add -w FILE" in wrong.stderr
    summary = node.cli("capture", network, "--duration", "0.2", "-w", "/dev/null")
    assert summary["schema"] == "l2mesh.capture/1" and summary["network"] == network
