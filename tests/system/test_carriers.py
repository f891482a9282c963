"""Members that relay for two others, one with each engine, when no planet is left."""

from collections.abc import Iterator

import pytest

from tests.system.mesh import LONG_S, Mesh, Pinging
from tools.lab import Lab, wait_until
from tools.lab.nats import NatKind

pytestmark = [pytest.mark.root, pytest.mark.slow]

AGAIN_S = 3.0
"""Traffic flows again within this time after who relayed was killed."""
CARRIERS = {"frank": "native", "grace": "reference"}
PAIRS = (("alice", "bob"), ("bob", "alice"))


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    """Two members whose NATs allow nothing direct, and two open ones that relay for them."""
    pytest.importorskip("l2mesh.datapath.native", exc_type=ImportError)
    with Lab() as lab:
        mesh = Mesh(lab)
        for name in ("alice", "bob"):
            mesh.add_behind_nat(name, kind=NatKind.RANDOM)
        for name, engine in CARRIERS.items():
            mesh.add(name, engine=engine)
        yield mesh.start()


def via(mesh: Mesh, name: str, other: str) -> str | None:
    """By which carrier one sends to the other; each end chooses for itself."""
    names = {mesh.node_address(name): name for name in CARRIERS if name in mesh.nodes}
    view = mesh.peer(name, other)
    return None if view is None else names.get(view["via"])


def both_by_another(mesh: Mesh, victim: str) -> bool:
    """Whether both send by a carrier that is left."""
    ways = {via(mesh, *pair) for pair in PAIRS}
    return not ways & {None, victim}


def has_reserve(mesh: Mesh, name: str, other: str) -> bool:
    """Whether both carriers are ways from one to the other that have answered."""
    ways = mesh.ask(name, "path", who=mesh.node_address(other))["candidates"]
    answered = {way["via"] for way in ways if way["answers"]}
    return answered >= {mesh.node_address(carrier) for carrier in CARRIERS}


def kill(mesh: Mesh, victim: str, pinging: Pinging) -> None:
    """Kill who relays; traffic goes on by a member."""
    before = pinging.last
    (mesh.planet if victim == "planet" else mesh.nodes.pop(victim)).kill()
    wait_until(lambda: pinging.last > before + 2, LONG_S, what="an answer")
    wait_until(lambda: both_by_another(mesh, victim), LONG_S, what="a member that relays")
    pinging.more(10)
    lost = [number for number in pinging.lost() if number > before]
    print(f"{victim} killed: {len(lost)} of ten a second lost")  # noqa: T201
    assert len(lost) < AGAIN_S * 10


def carried(mesh: Mesh, name: str, pinging: Pinging) -> None:
    """A carrier passes on what alice sends."""
    before = mesh.ask(name, "counters")["counters"]["relayed_packets"]
    pinging.more(12)
    assert mesh.ask(name, "counters")["counters"]["relayed_packets"] - before > 10


def test_members_carry_on_when_planet_and_carrier_die(mesh: Mesh) -> None:
    network = mesh.network()
    mesh.join(network, "alice", "bob", *CARRIERS)
    for name in CARRIERS:
        mesh.set_member(network, name, relay="true")
    mesh.wait_ping("alice", "10.9.0.2")
    with mesh.pinging("alice", "10.9.0.2") as pinging:
        for pair in PAIRS:
            wait_until(lambda pair=pair: has_reserve(mesh, *pair), LONG_S, what="reserves")  # type: ignore[misc]
        kill(mesh, "planet", pinging)
        first = via(mesh, "alice", "bob")
        assert first is not None
        carried(mesh, first, pinging)
        kill(mesh, first, pinging)
        (second,) = CARRIERS.keys() & mesh.nodes.keys()
        assert {via(mesh, *pair) for pair in PAIRS} == {second}
        carried(mesh, second, pinging)
