import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

import l2mesh
from l2mesh.errors import ConfigError
from l2mesh.service.portnode import Attached, PortClosed, PortNode, PortTimeout

NETWORK = "89e92ceee5000001"
PATIENCE_S = 5.0


@pytest.mark.parametrize(
    ("network", "options", "complaint"),
    [
        ("nonsense", {}, "network"),
        (NETWORK, {"engine": "steam"}, "no engine is called 'steam'"),
        (NETWORK, {"listen": "everywhere"}, "no address to listen on"),
        (NETWORK, {"token": "short"}, "no join token"),
        (NETWORK, {"world": "/nonexistent/world"}, "cannot read the world file"),
        (NETWORK, {"listen": "192.0.2.77:0"}, "cannot listen"),
    ],
)
def test_what_cannot_be_used_is_said_at_once(
    network: str, options: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        l2mesh.open_port(network, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_network_that_nobody_answers_for_is_given_up_in_time(tmp_path: Path, engine: str) -> None:
    with pytest.raises(PortTimeout, match="still waiting for network") as late:
        l2mesh.open_port(
            NETWORK, state=tmp_path / "s", listen="127.0.0.1:0", engine=engine, wait=0.0
        )
    assert late.value.hint
    assert (tmp_path / "s" / "identity.secret").exists()


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_when_the_engine_ends_the_port_does_and_says_why(
    monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    async def join(node: PortNode, wait: float) -> None:
        node.attached = Attached(b"\2" * 6, 1500, ())

    monkeypatch.setattr(PortNode, "join", join)
    port = l2mesh.open_port(NETWORK, listen="127.0.0.1:0", engine=engine)
    frame = bytes(64)
    port.send(frame, 1.0)
    on_broken = port._node.driver.on_broken
    assert on_broken is not None and "open" in repr(port)
    port._thread.call(lambda: on_broken("a thread of the engine has ended: injected"))
    with pytest.raises(PortClosed, match="has ended: injected") as told:
        port.receive(PATIENCE_S)
    assert told.value.hint
    with pytest.raises(PortClosed, match="injected"):
        port.send(frame, PATIENCE_S)
    with pytest.raises(PortClosed, match="injected"):
        _ = port.mtu
    assert port.is_closed and list(port) == []
    port.close()
    port.close()


def test_an_engine_that_ends_before_the_port_is_up_ends_the_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def join(node: PortNode, wait: float) -> None:
        assert node.driver.on_broken is not None
        node.driver.on_broken("injected")
        await asyncio.Event().wait()

    monkeypatch.setattr(PortNode, "join", join)
    with pytest.raises(PortClosed, match="did not open: injected"):
        l2mesh.open_port(NETWORK, listen="127.0.0.1:0")


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    check = "import sys, l2mesh; assert not [m for m in sys.modules if m.startswith('l2mesh.')]"
    subprocess.run([sys.executable, "-c", check], check=True)
    with pytest.raises(AttributeError):
        _ = l2mesh.something
