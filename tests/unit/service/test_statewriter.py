from __future__ import annotations

import threading
from pathlib import Path

import pytest

from l2mesh.errors import ConfigError
from l2mesh.node.effects import Persist
from l2mesh.service.state import StateDirectory
from l2mesh.service.statewriter import StateWriter


class SlowDisk(StateDirectory):
    """A state directory whose writes wait until a test lets them."""

    def __init__(self, path: Path) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        self.done: list[tuple[str, bytes | None]] = []
        self.fails = False
        super().__init__(path)

    def write(self, name: str, data: bytes) -> None:
        self.began.set()
        self.gate.wait()
        if self.fails:
            raise ConfigError(f"cannot write {name}: No space left on device")
        super().write(name, data)
        self.done.append((name, data))

    def delete(self, name: str) -> None:
        self.gate.wait()
        super().delete(name)
        self.done.append((name, None))


@pytest.fixture
def disk(tmp_path: Path) -> SlowDisk:
    """It writes at once until its gate is cleared."""
    tmp_path.chmod(0o700)
    found = SlowDisk(tmp_path)
    found.done.clear()
    found.began.clear()
    return found


@pytest.mark.asyncio
async def test_what_was_put_is_on_disk_once_it_is_settled(disk: SlowDisk) -> None:
    writer = StateWriter(disk)
    writer.put(Persist("peers", b"one"))
    writer.put(Persist("networks/1", b"two"))
    await writer.settled()
    assert disk.read("peers") == b"one" and disk.read("networks/1") == b"two"
    writer.put(Persist("peers", None))
    await writer.settled()
    assert disk.read("peers") is None
    writer.close()
    writer.close()


def test_putting_does_not_wait_for_the_disk_and_the_latest_wins(disk: SlowDisk) -> None:
    """The loop goes on while a write hangs; what piles up behind it is written once."""
    disk.gate.clear()
    writer = StateWriter(disk)
    writer.put(Persist("world", b"first"))
    assert disk.began.wait(10)
    for number in range(1000):
        writer.put(Persist("peers", b"%d" % number))
        writer.put(Persist("networks/1", b"%d" % number if number % 2 else None))
    assert disk.done == []
    disk.gate.set()
    writer.close()
    assert disk.done == [("world", b"first"), ("peers", b"999"), ("networks/1", b"999")]


def test_a_file_that_is_being_written_is_written_again(disk: SlowDisk) -> None:
    disk.gate.clear()
    writer = StateWriter(disk)
    writer.put(Persist("peers", b"old"))
    assert disk.began.wait(10)
    writer.put(Persist("peers", b"new"))
    disk.gate.set()
    writer.close()
    assert disk.done == [("peers", b"old"), ("peers", b"new")]
    assert disk.read("peers") == b"new"


@pytest.mark.asyncio
async def test_a_disk_that_is_full_is_named_until_it_is_not(disk: SlowDisk) -> None:
    writer = StateWriter(disk)
    writer.put(Persist("peers", b"kept"))
    await writer.settled()
    disk.fails = True
    writer.put(Persist("peers", b"lost"))
    await writer.settled()
    assert "No space left on device" in writer.problem()
    assert disk.read("peers") == b"kept"
    disk.fails = False
    writer.put(Persist("peers", b"again"))
    await writer.settled()
    assert writer.problem() == "" and disk.read("peers") == b"again"
    writer.close()
