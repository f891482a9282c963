"""The controller as a whole on loopback: it answers its administrators, and ends in good order."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from controller.service.daemon import Daemon, Options
from controller.service.socket import SOCKET
from l2mesh.cli.client import request
from l2mesh.credential.world import Planet, SigningKey, World
from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import ConfigError
from l2mesh.identity import Identity
from l2mesh.runtime.underlay import Listen

pytestmark = pytest.mark.asyncio

CRYPTO = SodiumCrypto()


@pytest.fixture(scope="module")
def world_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    planet = Planet(Identity.generate(CRYPTO, os.urandom).public, (Endpoint("127.0.0.1", 9),))
    world = World.create([planet], [SigningKey.from_seed(os.urandom(32), CRYPTO)], CRYPTO)
    path = tmp_path_factory.mktemp("world") / "world"
    path.write_text(world.text() + "\n")
    return path


def options(state: Path, world: Path) -> Options:
    anywhere = Listen("127.0.0.1", 0)
    return Options(state=state, world=world, listen=anywhere, api=anywhere)


async def ask(state: Path, verb: str, **arguments: Any) -> dict[str, Any]:
    return await asyncio.to_thread(request, str(state / SOCKET), verb, arguments, timeout_s=10)


@pytest.mark.parametrize("name", ["c", "long" * 30])
async def test_networks_last_from_one_run_to_the_next(
    tmp_path: Path, world_file: Path, name: str
) -> None:
    state = tmp_path / name
    ids = []
    for _ in range(2):
        daemon = Daemon(options(state, world_file))
        await daemon.start()
        ids.append((await ask(state, "network_create"))["id"])
        listed = (await ask(state, "network_list"))["networks"]
        assert [network["id"] for network in listed] == ids
        assert (state / SOCKET).stat().st_mode & 0o777 == 0o660
        assert daemon.health is not None and daemon.health.ports
        await daemon.stop()
        assert not (state / SOCKET).exists()
    assert len(set(ids)) == 2
    assert {path.stat().st_mode & 0o077 for path in state.iterdir()} == {0}


async def test_a_second_daemon_is_refused(tmp_path: Path, world_file: Path) -> None:
    daemon = Daemon(options(tmp_path / "c", world_file))
    await daemon.start()
    with pytest.raises(ConfigError, match="in use by another daemon"):
        Daemon(options(tmp_path / "c", world_file))
    assert (await ask(tmp_path / "c", "identity"))["address"] == daemon.address.hex()
    await daemon.stop()


async def test_a_missing_world_is_said_and_everything_let_go(
    tmp_path: Path, world_file: Path
) -> None:
    daemon = Daemon(options(tmp_path / "c", tmp_path / "none"))
    with pytest.raises(ConfigError, match="cannot read the world file"):
        await daemon.start()
    await daemon.stop()
    again = Daemon(options(tmp_path / "c", world_file))
    await again.start()
    await again.stop()
