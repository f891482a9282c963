"""When a node wants a stream to a planet (there is none in this internet)."""

from itertools import pairwise

from l2mesh.node.effects import OpenStream
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation


@seeds(2)
def test_a_planet_that_udp_does_not_reach_is_dialled_now_and_then(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_planet()
    node = sim.add_node()
    dialled: list[float] = []
    carry_out = node.carry_out

    def watch(effect: object) -> None:
        if isinstance(effect, OpenStream):
            assert effect.planet == sim.planets[1].identity.fingerprint
            dialled.append(sim.now)
        carry_out(effect)

    node.carry_out = watch  # type: ignore[method-assign]
    sim.internet.cut(node.name, sim.planets[1].name)
    sim.start()
    began = sim.now
    sim.run(120)
    assert 3 <= dialled[0] - began < 6
    pauses = [later - earlier for earlier, later in pairwise(dialled)]
    assert all(pause >= least for pause, least in zip(pauses, (2, 5, 15, 30), strict=False))
    assert 4 <= len(dialled) <= 7
    sim.internet.heal()
    sim.run(30)
    count = len(dialled)
    sim.run(60)
    assert len(dialled) == count
