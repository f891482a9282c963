import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from l2mesh.crypto import SodiumCrypto
from l2mesh.errors import ConfigError
from l2mesh.identity import Identity
from l2mesh.service.masters import MASTERS_FILE, Masters
from l2mesh.service.state import StateDirectory
from l2mesh.service.statewriter import StateWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def state(path: Path) -> Iterator[StateDirectory]:
    directory = StateDirectory(path)
    yield directory
    directory.close()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_everything_is_closed_to_others(state: StateDirectory) -> None:
    before = os.umask(0)
    try:
        state.write("networks/89e92ceee5000001", b"x")
        state.lock()
        state.identity(SodiumCrypto(), os.urandom)
    finally:
        os.umask(before)
    assert mode(state.path) == 0o700 == mode(state.path / "networks")
    for name in ("networks/89e92ceee5000001", "lock", "schema", "identity.secret"):
        assert mode(state.path / name) == 0o600


def test_written_files_come_back(state: StateDirectory, path: Path) -> None:
    state.write("peers", b"one")
    state.write("networks/89e92ceee5000001", b"two")
    state.write("peers", b"three")
    state.write("gone", b"four")
    state.delete("gone")
    state.delete("gone")
    state.identity(SodiumCrypto(), os.urandom)
    loaded = StateDirectory(path).load()
    assert loaded == {"peers": b"three", "networks/89e92ceee5000001": b"two"}


def test_failed_write_leaves_the_old_file(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write("peers", b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match=r"cannot write .*/peers: No space left on device"):
            state.write("peers", b"new")
    assert state.read("peers") == b"old"
    assert not list(state.path.glob(".tmp-*"))


def test_leftover_of_a_killed_daemon_goes(state: StateDirectory) -> None:
    (state.path / ".tmp-1-peers").write_bytes(b"half")
    assert state.load() == {}
    state.lock()
    assert not list(state.path.glob(".tmp-*"))


@pytest.mark.parametrize("name", ["../x", "/x", "", ".x", "a//b", "a/../b", "a\n", "a/b/c/d/e"])
def test_name_outside_the_directory_is_refused(state: StateDirectory, name: str) -> None:
    with pytest.raises(ConfigError, match="no name of a state file"):
        state.write(name, b"")


def test_second_daemon_is_refused(state: StateDirectory, path: Path) -> None:
    state.lock()
    second = StateDirectory(path)
    with pytest.raises(ConfigError, match=rf"{path} is in use .* \(process {os.getpid()}\)"):
        second.lock()
    state.close()
    second.lock()
    second.close()


def test_empty_directory_of_ours_is_tightened_and_a_used_one_refused(path: Path) -> None:
    path.mkdir(mode=0o755)
    StateDirectory(path)
    assert mode(path) == 0o700
    path.chmod(0o750)
    with pytest.raises(ConfigError) as caught:
        StateDirectory(path)
    assert caught.value.hint == f"run: chmod 700 {path}"


def test_file_open_to_others_is_refused_but_a_world_is_not(state: StateDirectory) -> None:
    for name in ("peers", "world"):
        state.write(name, b"x")
        (state.path / name).chmod(0o644)
    assert state.read("world") == b"x"
    with pytest.raises(ConfigError, match="peers may be read by others"):
        state.load()


def test_link_is_not_followed(state: StateDirectory, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x")
    (state.path / "peers").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot read"):
        state.read("peers")


def test_newer_schema_is_refused_and_left_alone(state: StateDirectory, path: Path) -> None:
    (path / "schema").write_bytes(b"2\n")
    with pytest.raises(ConfigError, match="newer release"):
        StateDirectory(path)
    (path / "schema").write_bytes(b"?")
    with pytest.raises(ConfigError, match=r"schema is damaged"):
        StateDirectory(path)
    assert (path / "schema").read_bytes() == b"?"


def test_identity_is_made_once(state: StateDirectory, path: Path) -> None:
    first = state.identity(SodiumCrypto(), os.urandom)
    assert StateDirectory(path).identity(SodiumCrypto(), os.urandom) == first


def test_damaged_identity_is_named_and_left_alone(state: StateDirectory, path: Path) -> None:
    state.write("identity.secret", b"rubbish")
    with pytest.raises(ConfigError, match=rf"{path}/identity\.secret"):
        state.identity(SodiumCrypto(), os.urandom)
    assert (path / "identity.secret").read_bytes() == b"rubbish"


def test_process_that_loses_the_race_takes_the_other_identity(
    state: StateDirectory, path: Path
) -> None:
    crypto = SodiumCrypto()
    winner: list[Identity] = []

    def late(count: int) -> bytes:
        if not winner:
            winner.append(StateDirectory(path).identity(crypto, os.urandom))
        return os.urandom(count)

    assert state.identity(crypto, late) == winner[0]


def test_bridges_are_remembered(state: StateDirectory) -> None:
    writer = StateWriter(state)
    masters = Masters(state, writer)
    masters.set(7, "br0")
    masters.set(8, "br1")
    masters.set(8, None)
    writer.close()
    again = Masters(state, writer)
    assert (again.get(7), again.get(8)) == ("br0", None)
    state.write(MASTERS_FILE, b"[]")
    with pytest.raises(ConfigError, match=r"bridges\.json is damaged"):
        Masters(state, writer)
