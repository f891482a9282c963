"""A network whose members joined long ago: what they hold is written to their disks beforehand.

Joining by the thousand takes a controller minutes of a processor's time, and is tested elsewhere.
The controller is away in such a world. Members need not know everybody: a listener that holds only
those whom it listens to costs little, and hears as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from l2mesh.address import derive_mac, network_id
from l2mesh.credential.config import NetworkConfig, seal_config
from l2mesh.credential.membership import MembershipCredential, seal_membership
from l2mesh.identity import Identity
from l2mesh.node.files import SCHEMA, NetworkFile, network_file
from l2mesh.wire.body import pack
from tests.simulator.node import NodeHost
from tests.simulator.simulation import Simulation

__all__ = ["premade_network"]


def premade_network(
    sim: Simulation,
    members: list[NodeHost],
    *,
    rights: dict[str, tuple[str, ...]],
    known: Iterable[NodeHost],
) -> int:
    """Writes a network to the disks of ``members``, who have not been started; its ID.

    ``rights`` are by name of a node. ``known`` hold everybody, and everybody holds them.
    """
    controller = Identity.generate(sim.crypto, sim.random("premade").randbytes)
    network = network_id(sim.address_of(controller.fingerprint), 1)
    config = NetworkConfig(network=network, revision=1, pools=("10.77.0.0/16",))
    signed_config = seal_config(config, controller, sim.crypto)
    entries: dict[str, tuple[bytes, bytes]] = {}
    for number, node in enumerate(members, 1):
        address = sim.address_of(node.fingerprint)
        credential = MembershipCredential(
            network=network,
            fingerprint=node.fingerprint,
            address=address,
            mac=derive_mac(network, address, 0),
            addresses=(f"10.77.{number >> 8}.{number & 255}/16",),
            rights=rights.get(node.name, ()),
            serial=number,
        )
        signed = seal_membership(credential, controller, sim.crypto)
        entries[node.name] = signed, node.identity.public.encode()
    hubs = [node.name for node in known]
    for node in members:
        names = entries if node.name in hubs else {*hubs, node.name}
        file = NetworkFile(
            schema=SCHEMA,
            network=network,
            controller=controller.public.encode(),
            config=signed_config,
            credential=entries[node.name][0],
            roster_revision=1,
            roster=[entries[name] for name in sorted(names)],
        )
        node.files[network_file(network)] = pack(file)
    return network
