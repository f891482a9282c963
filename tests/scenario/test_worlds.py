"""Updates of the world reach everybody who runs, and nothing brings back an older one."""

from l2mesh.credential.world import Planet, SigningKey, World
from l2mesh.node.peer import Peer
from l2mesh.wire.message import HaveWorld, WorldUpdate
from tests.scenario.test_join import home
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings


def revisions(sim: Simulation) -> set[int]:
    """Those that the running hosts hold."""
    held = set()
    for host in sim.hosts():
        if host.machine is not None:
            world = host.core.planets.world
            assert world is not None
            held.add(world.revision)
    return held


def install(sim: Simulation, world: World, at: int = 0) -> None:
    """`l2mesh-planet world install` at one planet."""
    sim.planets[at].call(lambda core, now: core.adopt_world(world, now))


@seeds(3)
def test_an_update_at_one_planet_reaches_everybody(sim: Simulation) -> None:
    home(sim, nodes=3, planets=2)
    network = sim.network_of(sim.nodes)
    newcomer, removed = sim.add_planet(), sim.planets[1]
    world = sim.new_world([sim.planets[0], newcomer])
    sim.start()
    pings = Pings(sim.nodes[0], sim.nodes[1], network).start()
    sim.run(2)
    install(sim, world)
    sim.run_until(lambda: revisions(sim) == {2}, 3)
    sim.run(15)
    pings.stop()
    sim.run(1)
    assert pings.lost == []
    for node in sim.nodes:
        shown = {view.address: view.state for view in node.core.planet_views()}
        assert shown == {sim.planets[0].address: "up", newcomer.address: "up"}
        assert node.files["world"] == world.encode()
    assert removed.core.sessions == 0
    sim.nodes[0].restart()
    assert sim.nodes[0].core.world is not None and sim.nodes[0].core.world.revision == 2


@seeds(2)
def test_members_pass_an_update_on(sim: Simulation) -> None:
    """The node that reaches no planet any more hears of the new one from a member."""
    home(sim, nodes=2)
    network = sim.network_of(sim.nodes)
    one, other = sim.nodes
    pings = Pings(one, other, network).start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    old, new = sim.planets[0], sim.add_planet()
    for host in (old, new):
        sim.internet.cut(other.name, host.name)
    world = sim.new_world([old, new])
    sim.start()
    install(sim, world)
    sim.run_until(lambda: revisions(sim) == {2}, 3)
    assert other.core.world is not None and other.core.world.revision == 2
    pings.stop()


@seeds(2)
def test_who_was_away_is_told_when_it_comes_back(sim: Simulation) -> None:
    home(sim, nodes=2)
    sim.nodes[1].crash()
    install(sim, sim.new_world(sim.planets))
    sim.run(2)
    sim.nodes[1].start()
    sim.run_until(lambda: revisions(sim) == {2}, 3)


def planet_of(node: NodeHost) -> Peer:
    (planet,) = node.core.planets.members()
    return planet


@seeds(1)
def test_older_foreign_and_unsigned_worlds_change_nothing_and_are_counted(sim: Simulation) -> None:
    home(sim, nodes=1)
    (node,) = sim.nodes
    first = sim.world
    install(sim, sim.new_world(sim.planets))
    sim.run_until(lambda: revisions(sim) == {2}, 3)
    held, planet = node.core.world, planet_of(node)
    assert held is not None
    named = [Planet(each.identity.public, each.endpoints) for each in sim.planets]
    stolen = SigningKey.from_seed(bytes(range(32)), sim.crypto)
    lies = {
        "old_world": first.encode(),
        "unsigned_world": World.create(named, [stolen], sim.crypto, revision=9).encode(),
        "bad_world": held.encode()[:-1] + b"\x00",
    }
    for lie in lies.values():
        node.core.worlds.receive_update(planet, WorldUpdate(lie), sim.now)
    node.core.worlds.receive_have(planet, HaveWorld(bytes(32), 99), sim.now)
    assert node.core.world is held
    counted = {reason: node.core.core.refused.get(reason, 0) for reason in lies}
    assert counted == dict.fromkeys(lies, 1)
    assert node.core.core.refused["foreign_world"] == 1
    for _ in range(100):
        node.core.worlds.receive_update(planet, WorldUpdate(lies["bad_world"]), sim.now)
    assert node.core.core.refused["bad_world"] <= 8
