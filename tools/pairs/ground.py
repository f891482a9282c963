"""Places out of network namespaces, with the programs themselves at each: the real ground.

All nodes that some pairs need stand at the same time and are in one network; a pair whose two ends
have not met yet begins as any pair does. IPv6 is off on new devices, so that a network's interface
says nothing of its own accord and the first frame between two nodes is the one that is timed.
"""

from collections.abc import Iterable
from typing import Final

from tests.system.mesh import Mesh
from tools.lab import Host, Lab, Nat, NatKind, Planet, Switch
from tools.pairs.places import Neighbours, Pair, Place

__all__ = ["Ground", "ends_of"]

FIRST_NUMBER: Final = 20
AT_ONCE: Final = 6
"""Daemons that start at the same time."""
START_S: Final = 60.0
ISP: Final = "2001:db8::ffff"
"""Routes IPv6 between the wire and what is behind firewalls."""
STRANGERS: Final = "while sleep 2; do echo > /dev/udp/192.0.2.250/9; done"
"""Others behind a NAT of our own: every 2 s they take a port."""
_KINDS: Final = {
    Place.FULL_CONE: NatKind.FULL_CONE,
    Place.ADDRESS: NatKind.ADDRESS,
    Place.RANDOM: NatKind.RANDOM,
    Place.BLOCK: NatKind.BLOCK,
    Place.SEQUENTIAL: NatKind.SEQUENTIAL,
}


def ends_of(pair: Pair) -> tuple[str, str]:
    """The names of a pair's two nodes: every place has one for each side."""
    if isinstance(pair, Neighbours):
        return f"{_label(pair)}-1", f"{_label(pair)}-2"
    return f"{_label(pair[0])}-1", f"{_label(pair[1])}-2"


class Ground(Mesh):
    """A mesh with two planets and a node at each place that the pairs need."""

    def __init__(self, lab: Lab, pairs: Iterable[Pair]) -> None:
        super().__init__(lab)
        self._numbers = iter(range(FIRST_NUMBER, 250))
        self.isp = lab.router("isp")
        lab.connect(self.isp, self.wan, f"{ISP}/64", interface="eth0")
        self.second = Planet(self.on_wan("planet2", 3))
        for number, host in enumerate((self.planet.host, self.second.host, self.controller.host)):
            host.add_addresses("eth0", f"2001:db8::{number + 1}/64", gateway=ISP)
        self._make_world()
        for pair in dict.fromkeys(pairs):
            self._stand_pair(pair)

    def bring_up(self) -> str:
        """Start everything a few at a time, and have all join; returns the network."""
        self.planet.start(START_S)
        self.second.start(START_S)
        self.controller.start(START_S)
        nodes = list(self.nodes.values())
        for first in range(0, len(nodes), AT_ONCE):
            some = nodes[first : first + AT_ONCE]
            for node in some:
                node.launch()
            for node in some:
                node.wait_ready(START_S)
        for name in self.nodes:
            self.wait_online(name)
        network = self.network()
        self.join(network, *self.nodes)
        for name in self.nodes:
            self.wait_up(name, network)
        return network

    def _make_world(self) -> None:
        """Have the second planet in the world as well."""
        self.planet.start(START_S).stop()
        for planet, number in ((self.planet, 1), (self.second, 3)):
            planet.endpoints = [f"192.0.2.{number}:9993", f"[2001:db8::{number}]:9993"]
        named = [
            f"{planet.identity()['public']}@{endpoint}"
            for planet in (self.planet, self.second)
            for endpoint in planet.endpoints
        ]
        both = self.lab.directory / "both"
        self.planet.cli("world", "create", "--out", both, *named)
        for planet in (self.planet, self.second):
            planet.world.write_bytes(both.read_bytes())

    def _stand_pair(self, pair: Pair) -> None:
        one, other = ends_of(pair)
        if pair is Neighbours.SAME_LAN:
            home = self._nat(one, NatKind.RANDOM)
            self._behind(one, home, 2)
            self._behind(other, home, 3)
        elif isinstance(pair, Neighbours):
            has_hairpin = pair is Neighbours.HAIRPIN
            outer = self._nat(f"outer-{one}", NatKind.PORT, hairpin=has_hairpin)
            for number, name in enumerate((one, other), 2):
                self._behind(name, self._nat(name, NatKind.PORT, outer=outer, place=number), 2)
        else:
            for place, name in zip(pair, (one, other), strict=True):
                if name not in self.nodes:
                    self._stand(place, name)

    def _stand(self, place: Place, name: str) -> None:
        if place is Place.OPEN:
            self._node(self.on_wan(name, next(self._numbers)))
        elif place is Place.IPV6:
            self._behind_wall(name, lan=None)
        elif place is Place.NAT64:
            self._behind_nat64(name)
        elif place is Place.DOUBLE:
            outer = self._nat(f"outer-{name}", NatKind.PORT)
            self._behind(name, self._nat(name, NatKind.PORT, outer=outer, place=2), 2)
        else:
            kind = _KINDS.get(place, NatKind.PORT)
            home = self._nat(name, kind, blocks_udp=place is Place.BLOCKED)
            host = self._behind(name, home, 2)
            if place is Place.DUAL:
                self._behind_wall(name, lan=home.lan)
            if place is Place.SEQUENTIAL:
                host.start(["bash", "-c", STRANGERS], name="strangers")

    def _nat(
        self,
        name: str,
        kind: NatKind,
        *,
        outer: Nat | None = None,
        place: int = 0,
        hairpin: bool = False,
        blocks_udp: bool = False,
    ) -> Nat:
        """A NAT box on the wire, or behind another one as its host number `place`."""
        number = next(self._numbers)
        outside = f"192.0.2.{number}/24"
        if outer is not None:
            outside = f"{outer.gateway.removesuffix('.1')}.{place}/24"
        return self.lab.nat(
            f"nat-{name}",
            wan=self.wan if outer is None else outer.lan,
            wan_address=outside,
            lan_subnet=f"10.{number}.0.0/24",
            gateway=None if outer is None else outer.gateway,
            kind=kind,
            hairpin=hairpin,
            blocks_udp=blocks_udp,
        )

    def _behind(self, name: str, home: Nat, place: int) -> Host:
        host = self.lab.host(name)
        address = f"{home.gateway.removesuffix('.1')}.{place}/24"
        self.lab.connect(host, home.lan, address, gateway=home.gateway, interface="eth0")
        self._node(host)
        return host

    def _behind_wall(self, name: str, *, lan: Switch | None) -> None:
        """IPv6 behind a firewall: on a LAN that is there already or, without one, alone."""
        number = next(self._numbers)
        wall = self.lab.firewall(
            f"wall-{name}",
            wan=self.wan,
            wan_address=f"2001:db8::{number}/64",
            lan_subnet=f"2001:db8:{number}::/64",
            gateway=ISP,
            lan=lan,
        )
        self.isp.ip("route", "add", f"2001:db8:{number}::/64", "via", f"2001:db8::{number}")
        address = f"2001:db8:{number}::2/64"
        if lan is not None:
            self.nodes[name].host.add_addresses("eth0", address, gateway=wall.gateway)
            return
        host = self.lab.host(name)
        self.lab.connect(host, wall.lan, address, gateway=wall.gateway, interface="eth0")
        self._node(host)

    def _behind_nat64(self, name: str) -> None:
        """IPv6 alone, in a network with a gateway to IPv4."""
        number = next(self._numbers)
        box = self.lab.nat64(
            f"nat64-{name}",
            wan=self.wan,
            wan_addresses=(f"192.0.2.{number}/24", f"2001:db8::{number}/64"),
            lan_subnet=f"2001:db8:{number}::/64",
            gateway=ISP,
        )
        self.isp.ip("route", "add", f"2001:db8:{number}::/64", "via", f"2001:db8::{number}")
        host, address = self.lab.host(name), f"2001:db8:{number}::2/64"
        self.lab.connect(host, box.lan, address, gateway=box.gateway, interface="eth0")
        host.resolve_by(box.gateway)
        self._node(host)

    def _node(self, host: Host) -> None:
        host.sysctl({"net/ipv6/conf/default/disable_ipv6": "1"})
        self.node_on(host)


def _label(place: Place | Neighbours) -> str:
    words: str = place.value
    return words.lower().replace(" ", "-")
