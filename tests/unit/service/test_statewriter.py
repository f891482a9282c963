from __future__ import annotations

from pathlib import Path

import pytest

from l2mesh.node.effects import Persist
from l2mesh.service.statewriter import StateWriter
from tests.slowdisk import SlowDisk


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


def test_other_writes_have_their_turn_and_their_failures_are_named(disk: SlowDisk) -> None:
    seen: list[list[tuple[str, bytes | None]]] = []

    def fail() -> None:
        seen.append(list(disk.done))
        raise OSError(28, "No space left on device")

    writer = StateWriter(disk)
    writer.put(Persist("peers", b"one"))
    writer.submit(fail)
    writer.close()
    assert seen == [[("peers", b"one")]]
    assert "No space left on device" in writer.problem()
