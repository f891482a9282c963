"""The first half of the tour: a world, a network, admission, and the way between two members."""

import re
import shlex
import signal
import time
from collections.abc import Callable
from typing import Final

from tools.lab import wait_until
from tools.tour.stage import CAST, Stage
from tools.tour.transcript import NotSeen

__all__ = ["SCENES", "expect"]

POOL: Final = "10.77.0.0/24"
DIRECT_WITHIN_S: Final = 60.0
PINGS: Final = 20
STILL_TRIES: Final = 3


def expect(condition: object, what: str) -> None:
    """Raises NotSeen, saying what was seen, unless the condition holds."""
    if not condition:
        raise NotSeen(what)


def the_planet_starts(stage: Stage) -> None:
    """The planet starts, and makes the world: the signed list of planets that nodes trust."""
    words = ["l2mesh-planet", *map(str, stage.planet.daemon_arguments())]
    stage.transcript.command("planet", f"{shlex.join(words)} &")
    begun = time.monotonic()
    stage.planet.start()
    took = time.monotonic() - begun
    world = str(stage.planet.world)
    shown = stage.type(stage.planet.host, ["l2mesh-planet", "world", "show", world])
    expect("192.0.2.1:9993" in shown, "the world does not name the planet's endpoint")
    stage.transcript.ok(f"it answers after {took:.1f} s")


def controller_and_nodes_start(stage: Stage) -> None:
    """The controller and three nodes start; each draws an identity and reaches the planet."""
    begun = time.monotonic()
    for daemon in (stage.controller, *stage.nodes.values()):
        words = [daemon.program, *map(str, daemon.daemon_arguments())]
        stage.transcript.command(daemon.host.name, f"{shlex.join(words)} &")
        daemon.launch()
    for daemon in (stage.controller, *stage.nodes.values()):
        daemon.wait_ready()
    for name in CAST:
        wait_until(lambda name=name: stage.look(name, "status")["online"], what=f"{name} online")  # type: ignore[misc]
        stage.identities[name] = stage.look(name, "status")
    took = time.monotonic() - begun
    stage.type(stage.nodes["alice"].host, ["l2mesh", "status"])
    for name, status in stage.identities.items():
        stage.transcript.ok(
            f"{name} is {status['address']}, fingerprint {status['fingerprint']}",
            **{name: status["address"]},
        )
    stage.transcript.ok(f"all are up and online {took:.1f} s later", engine=status["engine"])


def a_network_is_made(stage: Stage) -> None:
    """A private network is made, with a pool of addresses."""
    made = stage.ask(
        stage.controller.host,
        ["l2mesh-controller", "network", "create", "--name", "demo", "--pool", POOL],
    )
    stage.transcript.command(
        "controller", f"l2mesh-controller network create --name demo --pool {POOL}"
    )
    stage.network = made["id"]
    stage.type(stage.controller.host, ["l2mesh-controller", "network", "list"])
    expect(made["public"] is False, "the network is public")
    stage.transcript.ok(
        f"network {made['id']}: ten digits name the controller, six the network",
        network=made["id"],
    )


def join_with_a_token(stage: Stage) -> None:
    """Alice and carol join with a token."""
    make = ["l2mesh-controller", "token", "create", stage.network, "--uses", "2"]
    token = stage.ask(stage.controller.host, make)
    stage.transcript.command("controller", shlex.join(make))
    stage.transcript.output(f"join   {token['join']}")
    for name in ("alice", "carol"):
        begun = time.monotonic()
        stage.type(stage.nodes[name].host, ["l2mesh", "join", token["join"]])
        took = time.monotonic() - begun
        device = stage.joined(name)["device"]
        stage.transcript.ok(
            f"{name} has the interface {device} after {took:.2f} s",
            **{f"join_{name}_s": round(took, 3)},
        )


def join_by_hand(stage: Stage) -> None:
    """Bob joins without a token: he waits until somebody authorises him."""
    stage.transcript.say(
        "(From here on a firewall between the two sides drops everything that alice's and bob's "
        "ends send each other, so that the relay can be seen at work. It is lifted in step 8.)"
    )
    stage.lab.partition(*stage.outside)
    bob, controller = stage.nodes["bob"].host, stage.controller.host
    stage.type(bob, ["l2mesh", "join", stage.network, "--wait", "1"], expected=6)
    status = stage.joined("bob")["status"]
    expect(status == "requesting", f"bob's network is {status}")
    links = [link["ifname"] for link in bob.ip_json("link", "show")]
    expect(not any(name.startswith("l2m") for name in links), f"bob has the interfaces {links}")
    stage.transcript.ok("exit status 6: bob waits, and has no interface", status=status)
    who = f"{stage.identities['bob']['address']}@{stage.identities['bob']['fingerprint']}"
    begun = time.monotonic()
    stage.type(controller, ["l2mesh-controller", "member", "authorize", stage.network, who])
    wait_until(lambda: stage.joined("bob")["status"] == "ok", what="bob's network to be ok")
    took = time.monotonic() - begun
    stage.transcript.ok(f"the change is pushed: bob is in {took:.2f} s after it was typed")
    _name_members(stage)


def _name_members(stage: Stage) -> None:
    controller = stage.controller.host
    for name, status in stage.identities.items():
        line = ["l2mesh-controller", "member", "set", stage.network, status["address"]]
        stage.ask(controller, [*line, f"name={name}"])
        stage.transcript.command("controller", shlex.join([*line, f"name={name}"]))
    stage.type(controller, ["l2mesh-controller", "member", "list", stage.network])


def addresses_are_handed_out(stage: Stage) -> None:
    """Every member has the lowest free address of the pool on its interface."""
    found = []
    for name in ("alice", "carol", "bob"):
        network = stage.joined(name)
        host, device = stage.nodes[name].host, network["device"]
        wait_until(
            lambda host=host, device=device: host.ip_json("-4", "addr", "show", "dev", device),  # type: ignore[misc]
            what=f"an address on {device} of {name}",
        )
        stage.type(host, ["ip", "-brief", "-4", "address", "show", "dev", device])
        link = host.ip_json("addr", "show", "dev", device)[0]
        addresses = [
            f"{each['local']}/{each['prefixlen']}"
            for each in link["addr_info"]
            if each["family"] == "inet"
        ]
        expect(addresses == network["addresses"], f"{name} has {addresses} on {device}")
        expect(link["address"] == network["mac"], f"{name}'s MAC is {link['address']}")
        expect(link["mtu"] == network["mtu"], f"{name}'s MTU is {link['mtu']}")
        found += addresses
    expect(found == [f"10.77.0.{n}/24" for n in (1, 2, 3)], f"handed out were {found}")
    stage.transcript.ok("addresses, signed MACs and MTU 1500 are set", addresses=found)


def first_ping_is_relayed(stage: Stage) -> None:
    """Alice pings bob: ARP and echo cross the mesh by way of the planet."""
    alice, bob = stage.nodes["alice"].host, stage.joined("bob")
    before = stage.relayed_packets()
    target = stage.address("bob")
    output = stage.type(alice, ["ping", "-c", "1", "-W", "5", target], shown=_reply)
    took = _milliseconds(output)
    stage.type(alice, ["ip", "neighbour", "show", target])
    neighbour = alice.ip_json("neigh", "show", target)
    expect(neighbour and neighbour[0].get("lladdr") == bob["mac"], f"ARP found {neighbour}")
    stage.type(alice, ["l2mesh", "peers"])
    expect(stage.path("alice", "bob") == "relay", f"the path is {stage.path('alice', 'bob')}")
    after = stage.relayed_packets()
    expect(after > before, f"the planet relayed {before} packets before and {after} after")
    stage.transcript.ok(
        f"first answer after {took:.1f} ms, ARP included; the path is the relay, and the planet "
        f"relayed {after - before} packets",
        first_ping_ms=took,
    )


def relay_becomes_direct(stage: Stage) -> None:
    """The firewall is lifted while alice pings: the mesh finds the direct way by itself."""
    alice = stage.nodes["alice"].host
    pinging = stage.type_background(alice, ["ping", "-i", "0.1", stage.address("bob")])
    pinging.wait_for_log(r"icmp_seq=3 ")
    expect(stage.path("alice", "bob") == "relay", "the path was direct already")
    begun = time.monotonic()
    stage.lab.heal(*stage.outside)
    for name, other in (("alice", "bob"), ("bob", "alice")):
        wait_until(
            lambda name=name, other=other: stage.path(name, other) == "direct",  # type: ignore[misc]
            DIRECT_WITHIN_S,
            what=f"a direct path from {name} to {other}",
        )
    took = time.monotonic() - begun
    last = re.findall(r"icmp_seq=(\d+)", pinging.log())[-1]
    pinging.wait_for_log(rf"icmp_seq={int(last) + 5} ")
    pinging.send_signal(signal.SIGINT)
    pinging.wait()
    stage.transcript.output("\n".join(pinging.log().strip().splitlines()[-2:]))
    stage.type(alice, ["l2mesh", "peers"])
    expect(re.search(r"\b0% packet loss", pinging.log()), "pings were lost on the way")
    stage.transcript.ok(
        f"direct {took:.1f} s after the firewall was lifted, and no ping was lost",
        direct_after_s=round(took, 3),
    )


def planet_carries_nothing_more(stage: Stage) -> None:
    """Direct means direct: the planet's count stands still while pings continue.

    On a busy machine a direct answer may be late, and the mesh then sends a moment's frames by the
    relay as well: such pings are sent again.
    """
    alice, target = stage.nodes["alice"].host, stage.address("bob")
    line = ["ping", "-c", str(PINGS), "-i", "0.05", target]
    counts = [stage.relayed_packets()]
    for _ in range(STILL_TRIES):
        stage.type(alice, line, shown=lambda text: "\n".join(text.strip().splitlines()[-2:]))
        counts.append(stage.relayed_packets())
        if counts[-1] == counts[-2]:
            break
    before, after = counts[-2:]
    expect(before == after, f"relayed_packets went on: {counts}")
    stage.transcript.ok(
        f"{PINGS} answers, and relayed_packets is {after} before and after", relayed_packets=after
    )


def _reply(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "time=" in line) or text


def _milliseconds(text: str) -> float:
    match = re.search(r"time=([\d.]+) ms", text)
    if match is None:
        raise NotSeen(f"no answer: {text.strip()}")
    return float(match[1])


SCENES: Final[tuple[Callable[[Stage], None], ...]] = (
    the_planet_starts,
    controller_and_nodes_start,
    a_network_is_made,
    join_with_a_token,
    join_by_hand,
    addresses_are_handed_out,
    first_ping_is_relayed,
    relay_becomes_direct,
    planet_carries_nothing_more,
)
"""In their order; the first line of each docstring is its title."""
