"""The reference engine's express tables follow every change of members."""

from random import Random

import pytest

from l2mesh.datapath.interface import OpenPort, RemoveMember, SetMember
from l2mesh.datapath.reference.engine import ReferenceEngine
from tests.simulator.cheap import CheapCrypto

MACS = [bytes.fromhex("0200000000") + bytes([number]) for number in range(4)]


@pytest.mark.parametrize("seed", range(20))
def test_express_tables_changed_bit_by_bit_are_those_made_anew(seed: int) -> None:
    """Also where members claim one MAC, or ours, or take that of another."""
    random = Random(seed)
    engine = ReferenceEngine(CheapCrypto(), random.randbytes)
    engine.execute(OpenPort(1, bytes.fromhex("02ffffffffff"), 1500), 0.0)
    port = engine._ports.table[1]
    for _ in range(60):
        peer, mac, kind = bytes([random.randrange(4)]) * 32, random.choice(MACS), random.random()
        if kind < 0.6:
            engine.execute(SetMember(1, peer, mac, random.random() < 0.3), 0.0)
        elif kind < 0.9:
            engine.execute(RemoveMember(1, peer), 0.0)
        else:
            engine.execute(OpenPort(1, mac, 1500), 0.0)
        tables = dict(port.outward), dict(port.inward)
        port.refresh()
        assert tables == (port.outward, port.inward)
