"""The demo as people start it. It asserts its own steps; here we look at its ends."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tools.lab.names import namespaces
from tools.tour.lan_scenes import LAN_SCENES
from tools.tour.scenes import SCENES

DEMO = Path(__file__).resolve().parents[2] / "tools" / "demo"

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]


def start(*words: str, **streams: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen([DEMO, *words], text=True, start_new_session=True, **streams)


def namespaces_of(pid: int) -> list[str]:
    return namespaces(f"l2lab-{pid}-")


def test_every_step_works_and_nothing_is_left() -> None:
    demo = start("-o", "json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = demo.communicate(timeout=240)
    assert demo.returncode == 0, err[-4000:]
    summary = json.loads(out)
    assert summary["schema"] == "l2mesh.demo/1"
    assert summary["ok"] is True
    assert [step["ok"] for step in summary["steps"]] == [True] * len(SCENES + LAN_SCENES)
    assert namespaces_of(demo.pid) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_takes_everything_away(number: signal.Signals, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        demo = start(stdout=out, stderr=out)
    try:
        _wait_for_text(tmp_path / "out", "l2meshd", 120)
        assert namespaces_of(demo.pid)
    finally:
        demo.send_signal(number)
    assert demo.wait(60) == 130
    assert namespaces_of(demo.pid) == []
    assert "interrupted" in (tmp_path / "out").read_text()


def test_without_root_it_says_what_to_type() -> None:
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    demo = start("--no-nat", stdout=subprocess.PIPE, stderr=subprocess.PIPE, **nobody)
    _, err = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert "sudo ./tools/demo" in err


def _wait_for_text(path: Path, text: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while text not in path.read_text():
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.1)
