"""A daemon as a process: what makes it end, and with which status."""

import asyncio
import os
import signal

import pytest

from l2mesh.service.process import run_daemon


class FakeDaemon:
    """Is broken at once, or is sent SIGTERM by itself."""

    def __init__(self, why: str | None) -> None:
        self.why = why
        self.stopped = False

    async def start(self) -> None:
        if self.why is None:
            os.kill(os.getpid(), signal.SIGTERM)

    async def stop(self) -> None:
        self.stopped = True

    async def broken(self) -> str:
        if self.why is None:
            await asyncio.Event().wait()
        return str(self.why)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process stays as it is."""
    monkeypatch.setattr("l2mesh.service.process.harden", lambda: None)
    monkeypatch.setattr("l2mesh.service.process.set_up_log", lambda level: None)


def test_sigterm_ends_it_in_good_order() -> None:
    daemon = FakeDaemon(None)
    run_daemon("l2meshd", lambda: daemon, log_level="info")
    assert daemon.stopped


def test_one_that_cannot_go_on_stops_and_ends_with_1_and_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    daemon = FakeDaemon("the engine's thread has ended: injected")
    with pytest.raises(SystemExit) as caught:
        run_daemon("l2meshd", lambda: daemon, log_level="info")
    assert caught.value.code == 1 and daemon.stopped
    said = capsys.readouterr().err
    assert said == "l2meshd: error: the engine's thread has ended: injected\n"
