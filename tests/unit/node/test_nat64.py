"""What goes to the engine where IPv4 is reached through NAT64."""

from ipaddress import IPv6Network

from l2mesh.datapath.interface import Endpoint, Path, SetPath
from l2mesh.node.nat64 import outwards
from l2mesh.path.nat64 import Nat64

PREFIX = IPv6Network("2001:db8:64::/96")


def test_all_over_which_flows_are_spread_have_the_addresses_on_the_wire() -> None:
    here, there = Endpoint("2001:db8::1", 1), Endpoint("198.51.100.2", 2, uplink=3)
    command = outwards(SetPath(bytes(32), Path(here), 1472, (here, there)), Nat64(PREFIX))
    real = Endpoint("2001:db8:64::c633:6402", 2, uplink=3)
    assert command == SetPath(bytes(32), Path(here), 1452, (here, real))
