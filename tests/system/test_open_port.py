"""A program with an Ethernet port of its own: no root, no TAP device, its own identity."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import l2mesh
from l2mesh.errors import ConfigError, StateError
from l2mesh.service.portnode import PortClosed, PortTimeout
from tests.system.mesh import PATIENCE_S, Mesh, Wire, frame, inside, marker, mesh_of
from tools.lab import Host, wait_until

pytestmark = pytest.mark.root

ENGINES = ("native", "reference")
BROADCAST = "ff:ff:ff:ff:ff:ff"
SCRIPT = Path(__file__).with_name("port_host.py")

Open = Callable[..., l2mesh.Port]


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with mesh_of("alice") as mesh:
        yield mesh


@pytest.fixture(scope="module")
def guest(mesh: Mesh) -> Host:
    return mesh.on_wan("guest", 100)


@pytest.fixture(scope="module")
def network(mesh: Mesh) -> str:
    network = mesh.network()
    mesh.join(network, "alice")
    return network


@pytest.fixture
def open_port(mesh: Mesh, guest: Host, network: str) -> Iterator[Open]:
    """Opens ports in the guest's namespace, and closes them at the end."""
    ports = []

    def make(**options: Any) -> l2mesh.Port:
        joinstring = mesh.token(network)
        port = inside(guest, lambda: l2mesh.open_port(joinstring, wait=PATIENCE_S, **options))
        ports.append(port)
        return port

    yield make
    for port in ports:
        port.close()


def text_frame(source: l2mesh.Port, text: bytes, target: bytes = b"\xff" * 6) -> bytes:
    return target + source.mac + b"\x88\xb5" + text


def receive(port: l2mesh.Port, part: bytes) -> bytes:
    """The next frame with these bytes."""
    while True:
        data = port.receive(PATIENCE_S)
        if part in data:
            return data


def drained(port: l2mesh.Port, *, until_closed: bool = False) -> int:
    """How many frames come until there is a pause, or the port closes."""
    if until_closed:
        return sum(1 for _ in port)
    count = 0
    with contextlib.suppress(PortTimeout):
        while port.receive(timeout=0.3):
            count += 1
    return count


@pytest.mark.parametrize("engine", ENGINES)
def test_unprivileged_program_is_a_neighbour_of_kernels(
    mesh: Mesh, guest: Host, network: str, engine: str
) -> None:
    command = [sys.executable, "-m", "tests.system.port_host", engine, mesh.token(network)]
    root = str(SCRIPT.parents[2])
    process = guest.start([*command, mesh.ip("alice", network)], env={"PYTHONPATH": root})
    process.wait_for_log(r"\{.*\}", timeout=PATIENCE_S)
    seen = json.loads(next(line for line in process.log().splitlines() if line.startswith("{")))
    assert (seen["uid"], seen["capabilities"]) == (65534, 0)
    assert seen["neighbour"] == mesh.joined("alice", network)["mac"]
    assert seen["echo"] == "from nobody"
    done = mesh.ping("alice", seen["ip"], count=5)
    assert " 0% packet loss" in done.stdout, done.stdout
    (neighbour,) = mesh.nodes["alice"].host.ip_json("neigh", "show", seen["ip"])
    assert neighbour["lladdr"] == seen["mac"]
    assert process.stop() == 0
    members = mesh.admin("member_list", network=network)["members"]
    named = next(member for member in members if member["address"] == seen["address"])
    assert named["name"] == "guest"


@pytest.mark.parametrize("engine", ENGINES)
def test_frames_pass_whole_both_ways(
    mesh: Mesh, network: str, open_port: Open, engine: str
) -> None:
    alice = mesh.joined("alice", network)
    port = open_port(engine=engine)
    assert (port.network, port.mtu) == (network, 1500)
    with Wire(mesh.nodes["alice"].host, alice["device"]) as wire:
        text = marker("out")
        tagged = bytes.fromhex("8100006488b5") + text + bytes(1400)
        port.send(b"\xff" * 6 + port.mac + tagged)
        assert wire.wait(text)[12:] == tagged
        text = marker("back")
        back = frame(port.mac.hex(":"), alice["mac"], 0x88B5, text + bytes(1400))
        wire.send(back)
        assert receive(port, text) == back
    counters, drops = port.counters()
    assert counters["frames_in"] > 0 and port.lost == 0
    assert "source_mac" not in drops


def test_two_ports_of_one_process_and_select(open_port: Open) -> None:
    one, two = open_port(), open_port()
    assert one.mac != two.mac
    one.send(text_frame(one, b"to two", two.mac))
    assert receive(two, b"to two")[:12] == two.mac + one.mac
    assert drained(two) == 0
    with pytest.raises(PortTimeout, match="a frame"):
        two.receive(timeout=0)


def test_asyncio_uses_a_port(mesh: Mesh, guest: Host, network: str) -> None:
    joinstring = mesh.token(network, uses=2)

    async def talk() -> bytes:
        async with (
            await l2mesh.open_port_async(joinstring) as one,
            await l2mesh.open_port_async(joinstring) as two,
        ):
            await one.send_async(text_frame(one, b"hello", two.mac))
            async with asyncio.timeout(PATIENCE_S):
                while b"hello" not in (data := await two.receive_async()):
                    pass
                return data

    assert b"hello" in inside(guest, lambda: asyncio.run(talk()))


def test_program_that_does_not_read_loses_frames_of_its_own(
    mesh: Mesh, network: str, open_port: Open
) -> None:
    alice = mesh.joined("alice", network)
    slow, quick = open_port(), open_port()
    with Wire(mesh.nodes["alice"].host, alice["device"]) as wire:

        def overflows() -> bool:
            for _ in range(100):
                filler = frame(slow.mac.hex(":"), alice["mac"], 0x88B5, bytes(1400))
                wire.send(filler)
            return slow.lost > 0

        wait_until(overflows, PATIENCE_S, what="the queue to be full")
        text = marker("quick")
        wire.send(frame(quick.mac.hex(":"), alice["mac"], 0x88B5, text))
        assert receive(quick, text)
    waiting = drained(slow)
    print(f"{waiting} frames waited, {slow.lost} were lost")  # noqa: T201
    assert waiting >= 100


def test_identity_stays_with_its_state(
    mesh: Mesh, open_port: Open, tmp_path: Path, guest: Host, network: str
) -> None:
    state = tmp_path / "port"
    first = open_port(state=state)
    with pytest.raises(ConfigError, match="in use"):
        open_port(state=state)
    address, mac = first.address, first.mac
    first.close()
    with inside(guest, lambda: l2mesh.open_port(network, state=state)) as again:
        assert (again.address, again.mac) == (address, mac)


def test_what_goes_wrong_is_said(mesh: Mesh, guest: Host, network: str, open_port: Open) -> None:
    port = open_port()
    for length in (0, 13, 1523):
        with pytest.raises(ConfigError, match=f"{length} bytes are no frame"):
            port.send(bytes(length))
    with pytest.raises(ConfigError):
        l2mesh.open_port("nonsense")
    with pytest.raises(ConfigError, match="no engine"):
        l2mesh.open_port(network, engine="steam")
    world = mesh.planet.world
    with pytest.raises(PortTimeout, match="still waiting"):
        inside(guest, lambda: l2mesh.open_port(network, world=world, wait=1.0))
    mesh.admin("member_deauthorize", network=network, member=port.address)
    drained(port, until_closed=True)
    assert port.is_closed
    with pytest.raises(PortClosed, match="closed"):
        port.receive(PATIENCE_S)
    with pytest.raises(StateError):
        port.send(bytes(60))
    port.close()
    with pytest.raises(PortClosed):
        port.receive()
    assert list(port) == []
