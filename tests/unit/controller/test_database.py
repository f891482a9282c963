"""What is wrong with a database is said in one line, and nothing is overwritten."""

import sqlite3
from pathlib import Path

import pytest

from controller.model import Settings
from controller.store import schema
from controller.store.store import Store
from l2mesh.errors import ConfigError

OWNER = b"o" * 32


def make(path: Path) -> None:
    store = Store.open(path, OWNER)
    store.create_network(0x89E92CEEE5000001, Settings())
    store.close()


def refuse(path: Path, says: str, owner: bytes = OWNER) -> None:
    """Opening fails with one line that names the file, and the file stays as it is."""
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=says) as caught:
        Store.open(path, owner)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value) and caught.value.hint
    assert path.read_bytes() == before


def test_a_new_database_is_private_and_durable(tmp_path: Path) -> None:
    path = tmp_path / "controller.db"
    store = Store.open(path, OWNER)
    assert path.stat().st_mode & 0o777 == 0o600
    with store._engine.connect() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "user_version")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    store.close()
    assert values == ["wal", 2, 1, 30_000, schema.SCHEMA]
    assert not path.with_name("controller.db.new").exists()


def test_an_unfinished_first_start_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "controller.db"
    path.with_name("controller.db.new").write_bytes(b"half")
    make(path)
    store = Store.open(path, OWNER)
    assert len(store.networks()) == 1
    store.close()


@pytest.mark.parametrize("damage", ["empty", "text", "middle", "truncated"])
def test_damage_is_told_and_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "controller.db"
    make(path)
    data = bytearray(path.read_bytes())
    if damage == "empty":
        data = bytearray()
    elif damage == "text":
        data[:16] = b"not a database!!"
    elif damage == "middle":
        data[4096:] = b"\xa5" * (len(data) - 4096)
    else:
        del data[8192:]
    path.write_bytes(data)
    refuse(path, "damaged")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "controller.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE a (b)")
    connection.commit()
    connection.close()
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="no l2mesh store"):
        Store.open(path, OWNER)


def test_another_controllers_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "controller.db"
    make(path)
    refuse(path, "belongs to another controller", owner=b"p" * 32)


def test_a_database_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "controller.db"
    make(path)
    path.chmod(0o640)
    refuse(path, "may be read by others")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "controller.db"
    make(path)
    set_schema(path, schema.SCHEMA + 1)
    refuse(path, "newer release")


def test_an_older_schema_is_migrated_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "controller.db"
    make(path)
    set_schema(path, schema.SCHEMA - 1)
    steps = []
    monkeypatch.setitem(schema.MIGRATIONS, schema.SCHEMA - 1, lambda _: steps.append("one"))
    Store.open(path, OWNER).close()
    Store.open(path, OWNER).close()
    assert steps == ["one"]


def set_schema(path: Path, number: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={number}")
    connection.commit()
    connection.close()
