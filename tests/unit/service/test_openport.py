import subprocess
import sys
from pathlib import Path

import pytest

import l2mesh
from l2mesh.errors import ConfigError
from l2mesh.service.portnode import PortTimeout

NETWORK = "89e92ceee5000001"


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


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    check = "import sys, l2mesh; assert not [m for m in sys.modules if m.startswith('l2mesh.')]"
    subprocess.run([sys.executable, "-c", check], check=True)
    with pytest.raises(AttributeError):
        _ = l2mesh.something
