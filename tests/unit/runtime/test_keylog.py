import json
import os
import stat
from pathlib import Path

import pytest

from l2mesh.crypto import Cipher, SodiumCrypto
from l2mesh.datapath.interface import ClosePort, Endpoint, InstallReceive, InstallSend, OpenPort
from l2mesh.datapath.reference import ReferenceEngine
from l2mesh.errors import ConfigError
from l2mesh.runtime.keylog import KeyLoggingEngine

PEER = b"\x01" * 32
SEND = InstallSend(PEER, 1, 5, 0x000102, Cipher.AES_256_GCM, b"k" * 32, b"salt")
RECEIVE = InstallReceive(PEER, 1, 0, 3, Cipher.CHACHA20_POLY1305, b"r" * 32, b"salt", b"m" * 12)


def make(path: Path) -> KeyLoggingEngine:
    return KeyLoggingEngine(ReferenceEngine(SodiumCrypto(), os.urandom), path)


def test_each_key_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "keys"
    engine = make(log)
    for command in (SEND, OpenPort(5, b"\x02" * 6, 1500), RECEIVE, ClosePort(5)):
        engine.execute(command, 1.0)
    engine.close()
    engine.close()
    send, receive = (json.loads(line) for line in log.read_text().splitlines())
    assert send == {
        "direction": "send",
        "session": 1,
        "network": "0000000000000005",
        "index": 0x000102,
        "cipher": "AES_256_GCM",
        "key": (b"k" * 32).hex(),
        "salt": b"salt".hex(),
        "elided": "",
    }
    assert (receive["direction"], receive["elided"]) == ("receive", (b"m" * 12).hex())


def test_all_else_goes_to_the_engine(tmp_path: Path) -> None:
    engine = make(tmp_path / "keys")
    engine.execute(OpenPort(5, b"\x02" * 6, 1500), 1.0)
    engine.handle_datagram(b"\x05", Endpoint("192.0.2.1", 9993), 1.0)
    assert engine.name == "reference"
    assert engine.drops()
    engine.close()


def test_log_is_private(tmp_path: Path) -> None:
    log = tmp_path / "keys"
    make(log).close()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_second_run_appends(tmp_path: Path) -> None:
    for _ in range(2):
        engine = make(tmp_path / "keys")
        engine.execute(SEND, 1.0)
        engine.close()
    assert len((tmp_path / "keys").read_text().splitlines()) == 2


def test_log_that_others_read_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "keys"
    log.touch(0o644)
    log.chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        make(log)


def test_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(ConfigError, match="cannot write the key log"):
        make(tmp_path / "link")
    assert not (tmp_path / "target").exists()
