"""Many members on one network. ``L2MESH_SIM_NODES=2000`` runs it with as many, by hand."""

import importlib
import os
from functools import lru_cache
from typing import Final

import pytest

from tests.simulator.seeds import seeds
from tests.simulator.simulation import POOL, Simulation
from tests.simulator.traffic import first_answer

pytestmark = pytest.mark.slow

NODES: Final = int(os.environ.get("L2MESH_SIM_NODES", "200"))


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes of one process need not each read the same bytes: what reading gives is frozen."""
    for name in (
        "l2mesh.network.state.open_membership",
        "l2mesh.node.control.decode_message",
        "l2mesh.wire.body._walk",
    ):
        module, _, function = name.rpartition(".")
        known = getattr(importlib.import_module(module), function)
        monkeypatch.setattr(name, lru_cache(maxsize=4 * NODES)(known))


@seeds(1)
@pytest.mark.usefixtures("memory")
@pytest.mark.timeout(7200)
def test_two_hundred_members_on_one_network(sim: Simulation) -> None:
    """All in within 120 s, a change of the config at all of them within 10 s, and all can talk."""
    sim.journal.is_on = False
    sim.add_planet()
    [controller] = [sim.add_controller()]
    nodes = [sim.add_node() for _ in range(NODES)]
    sim.start()
    network = controller.create_network(POOL, public=True)
    for node in nodes:
        node.join(network)
    joined = sim.run_until_slow(lambda: all(node.is_member(network) for node in nodes), 120)
    knowing = sim.run_until_slow(
        lambda: all(len(node.members(network)) == NODES for node in nodes), 60
    )
    controller.set_network(network, mtu="1400")
    changed = sim.run_until_slow(
        lambda: all(node.devices[network].mtu == 1400 for node in nodes), 10
    )
    print(f"joined={joined:.1f} s roster={knowing:.1f} s config={changed:.1f} s")  # noqa: T201
    random = sim.random("pairs")
    for _ in range(20):
        source, target = random.sample(nodes, 2)
        ping = first_answer(source, target, network)
        sim.run_until(lambda ping=ping: ping.has_answer, 3)  # type: ignore[misc]
