"""A small internet on one machine: hosts, wires and NAT boxes out of network namespaces.

The system tests, the demo and the benchmark build their topologies here. The API is synchronous and
plain: it runs `ip`, `nft` and `tcpdump`. It needs root, and changes nothing outside the namespaces
that it made itself.

    planet 192.0.2.1          controller 192.0.2.2
           |                         |
    =======+=========== wan =========+==============   lab.switch("wan")
           |                         |
      192.0.2.10                192.0.2.20
    [ NAT box nat1 ]          [ NAT box nat2 ]         lab.nat("nat1", wan=wan, ...)
       10.1.0.1                  10.2.0.1
           |                         |
    ====nat1.lan====          ====nat2.lan====
           |                         |
       10.1.0.2                  10.2.0.2
         alice                      bob                lab.host("alice")

That drawing as a program:

    with Lab() as lab:
        wan = lab.switch("wan")
        planet_host, controller_host = lab.host("planet"), lab.host("controller")
        lab.connect(planet_host, wan, "192.0.2.1/24")
        lab.connect(controller_host, wan, "192.0.2.2/24")
        nat1 = lab.nat("nat1", wan=wan, wan_address="192.0.2.10/24", lan_subnet="10.1.0.0/24")
        alice = lab.host("alice")
        lab.connect(alice, nat1.lan, "10.1.0.2/24", gateway=nat1.gateway)
        ...
        planet = lab_planet(planet_host)
        controller = lab_controller(controller_host, world=planet.world)
        network = controller.cli("network", "create", "--pool", "10.9.0.0/24")
        node = lab_node(alice, world=planet.world)
        node.cli("join", network["id"], "--wait", "10")
        with Capture(wan.host, wan.bridge) as wire:
            alice.run(["ping", "-c", "1", "10.9.0.2"])
        assert not wire.contains(b"secret")

Who does what: `names` names things after their owner, so that parallel runs do not meet and
`sweep` knows what is left of dead ones; `topology` makes and removes; `host` holds the pieces;
`nats` and `filters` the nftables rules, `nat64` a gateway from IPv6 to IPv4; `weather` makes lines
slow and lossy; `command` and `process` run programs; `cleanup` sees to every way out; `capture`,
`wait` and `daemons` serve those who write tests.
"""

from tools.lab.capture import Capture, read_pcap
from tools.lab.command import CommandError, LabError
from tools.lab.daemons import (
    Controller,
    Node,
    Planet,
    endpoint,
    lab_controller,
    lab_node,
    lab_planet,
)
from tools.lab.host import End, Host, Link, Nat, Switch
from tools.lab.names import sweep
from tools.lab.nats import NatKind
from tools.lab.process import Process
from tools.lab.topology import Lab
from tools.lab.wait import WaitTimeout, wait_until
from tools.lab.weather import Weather

__all__ = [
    "Capture",
    "CommandError",
    "Controller",
    "End",
    "Host",
    "Lab",
    "LabError",
    "Link",
    "Nat",
    "NatKind",
    "Node",
    "Planet",
    "Process",
    "Switch",
    "WaitTimeout",
    "Weather",
    "endpoint",
    "lab_controller",
    "lab_node",
    "lab_planet",
    "read_pcap",
    "sweep",
    "wait_until",
]
