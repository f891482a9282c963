"""What an operator does at a running planet: `world install` and `drain`."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from l2mesh.cli.client import request
from l2mesh.cli.failure import Failure
from l2mesh.credential.world import Planet, World
from l2mesh.crypto import SodiumCrypto
from l2mesh.identity import Identity
from l2mesh.runtime.underlay import Listen
from l2mesh.service.state import StateDirectory
from l2mesh.wire.endpoint import Endpoint
from planet.cli.status import status_lines
from planet.service.daemon import SOCKET, Daemon, Options
from planet.service.worlds import create_world, read_world_file

CRYPTO = SodiumCrypto()
AT = Endpoint("127.0.0.1", 9)


async def ask(daemon: Daemon, verb: str, **arguments: Any) -> dict[str, Any]:
    path = str(daemon.base.state.path / SOCKET)
    return await asyncio.to_thread(request, path, verb, arguments)


@pytest.mark.asyncio
async def test_an_update_is_used_kept_and_never_taken_back(tmp_path: Path) -> None:
    options = Options(
        state=tmp_path, listen=Listen("127.0.0.1", 0), engine="reference", advertise=(AT,)
    )
    daemon = Daemon(options)
    await daemon.start()
    try:
        first = daemon.world
        other = Identity.generate(CRYPTO, os.urandom).public
        planets = [*first.planets, Planet(other, (AT,))]
        update = create_world(StateDirectory(tmp_path), planets, CRYPTO, os.urandom)
        answer = await ask(daemon, "world_install", world=update.text())
        assert (answer["revision"], answer["changed"]) == (2, True)
        assert not (await ask(daemon, "world_install", world=update.text()))["changed"]
        status = await ask(daemon, "status")
        assert status["world_revision"] == 2
        assert [each["state"] for each in status["planets"]] == ["connecting"]
        assert read_world_file(tmp_path / "world", CRYPTO).encode() == update.encode()
        for refused in (first.text(), "l2mesh-world:AA", ""):
            with pytest.raises(Failure):
                await ask(daemon, "world_install", world=refused)
        assert daemon.world.revision == 2
        alone = World.from_text(
            create_world(
                StateDirectory(tmp_path), [Planet(other, (AT,))], CRYPTO, os.urandom
            ).text(),
            CRYPTO,
        )
        await ask(daemon, "world_install", world=alone.text())
        (complaint,) = [line for line in (await ask(daemon, "status"))["health"] if "world" in line]
        assert "does not name this planet" in complaint
    finally:
        await daemon.stop()


@pytest.mark.asyncio
async def test_a_planet_drains_and_serves_again(tmp_path: Path) -> None:
    options = Options(
        state=tmp_path, listen=Listen("127.0.0.1", 0), engine="reference", advertise=(AT,)
    )
    daemon = Daemon(options)
    await daemon.start()
    try:
        drained = await ask(daemon, "drain", draining=True)
        assert drained["draining"] and any("draining: 0 relays" in one for one in drained["health"])
        served = await ask(daemon, "drain", draining=False)
        assert not served["draining"] and not any("drain" in one for one in served["health"])
    finally:
        await daemon.stop()


def test_what_a_planet_does_is_told_in_words() -> None:
    planet = {"address": "2222222222", "state": "up", "rtt_ms": 1.26}
    answer = {
        "address": "1111111111",
        "engine": "native",
        "workers": 2,
        "offloads": {"udp_gso": {"on": True, "why": ""}, "udp_gro": {"on": False, "why": "no"}},
        "sessions": 5,
        "relays": 3,
        "links": 1,
        "draining": True,
        "streams": 2,
        "relayed_bytes": 1000,
        "relayed_packets": 10,
        "directory": 6,
        "world_revision": 4,
        "planets": [planet],
        "counters": {"frames_in": 0},
        "drops": {},
        "health": ["draining: 3 relays are left"],
    }
    text = "\n".join(status_lines(answer))
    assert "engine     native, 2 workers\nworld      revision 4\ndraining   yes\n" in text
    assert "5 sessions, 2 by TLS" in text and "10 datagrams, 1000 bytes" in text
    assert "2222222222" in text and "udp_gro      no" in text and "udp_gso" not in text
    assert "  - draining: 3 relays are left" in text
