"""The second half of the tour: what makes it a LAN, and that outsiders see none of it."""

import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tools.lab import Capture, Host, Process, wait_until
from tools.tour.scenes import expect
from tools.tour.stage import CAST, Stage

__all__ = ["LAN_SCENES"]

SERVER: Final = "10.88.0.1"
RANGE: Final = "10.88.0.100,10.88.0.150,255.255.255.0,5m"
BROADCAST_PORT, MARKER_PORT = "7777", "7778"
# The client's own script would also rewrite the machine's resolver.
LEASE_SCRIPT: Final = """#!/bin/sh
case $1 in bound | renew)
    ip address replace "$ip/$mask" dev "$interface" && echo "lease of $ip/$mask from $serverid" ;;
esac
"""


def dhcp_crosses_the_mesh(stage: Stage) -> None:
    """A second network without a pool: a DHCP server on carol leases an address to bob."""
    network = _second_network(stage)
    carol, bob = stage.nodes["carol"].host, stage.nodes["bob"].host
    device = stage.joined("carol", network)["device"]
    stage.type(carol, ["ip", "address", "add", f"{SERVER}/24", "dev", device])
    server = _dhcp_server(stage, carol, device)
    server.wait_for_log("DHCP, IP range")
    script = stage.lab.directory / "lease.sh"
    script.write_text(LEASE_SCRIPT)
    script.chmod(0o700)
    client = ["udhcpc"] if shutil.which("udhcpc") else ["busybox", "udhcpc"]
    client += ["-i", stage.joined("bob", network)["device"], "-f", "-q", "-n", "-t", "8", "-T", "1"]
    output = stage.type(bob, [*client, "-s", str(script)])
    expect("lease of 10.88.0.1" in output, "bob got no lease")
    stage.type(bob, ["ping", "-c", "1", "-W", "5", SERVER], shown=lambda text: text.split("\n")[1])
    leased = output.partition("lease of ")[2].split()[0]
    stage.transcript.ok(f"bob leased {leased} over the mesh", lease=leased)
    server.stop()


def _second_network(stage: Stage) -> str:
    """Make it, give carol the right to serve DHCP, have carol and bob join; returns its ID."""
    controller, carol = stage.controller.host, stage.identities["carol"]["address"]
    make = ["l2mesh-controller", "network", "create", "--name", "lan"]
    network = str(stage.ask(controller, make)["id"])
    stage.transcript.command("controller", f"{shlex.join(make)}    # {network}")
    token = ["l2mesh-controller", "token", "create", network, "--uses", "2"]
    join = stage.ask(controller, token)["join"]
    stage.transcript.command("controller", shlex.join(token))
    for name in ("carol", "bob"):
        stage.type(stage.nodes[name].host, ["l2mesh", "join", join])
    line = ["l2mesh-controller", "member", "set", network, carol, "dhcp=true"]
    stage.type(controller, line, shown=lambda _: "")
    return network


def _dhcp_server(stage: Stage, host: Host, device: str) -> Process:
    # Nothing of the machine's own configuration is read, and no DNS is served.
    line = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root"]
    line += [f"--interface={device}", "--bind-interfaces", f"--dhcp-range={RANGE}", "--no-ping"]
    line += [f"--dhcp-leasefile={stage.lab.directory}/leases", "--pid-file=", "--log-facility=-"]
    return stage.type_background(host, line)


def broadcast_reaches_everybody(stage: Stage) -> None:
    """Bob sends one UDP broadcast, as games do; alice and carol hear it."""
    listen = ["python", "-m", "tools.tour.udp", "listen", BROADCAST_PORT]
    listeners = {
        name: stage.type_background(stage.nodes[name].host, listen) for name in ("alice", "carol")
    }
    for listener in listeners.values():
        listener.wait_for_log("listening")
    bob = stage.nodes["bob"].host
    stage.type(bob, ["l2mesh", "set", stage.network, "broadcast_route=true"], shown=lambda _: "")
    _wait_for_route(stage, bob)
    begun = time.monotonic()
    send = ["python", "-m", "tools.tour.udp", "send", "255.255.255.255", BROADCAST_PORT]
    stage.type(bob, [*send, "anybody there?"])
    for name, listener in listeners.items():
        match = listener.wait_for_log(r"heard 'anybody there\?' from (\S+)")
        stage.transcript.output(f"{name}: {match[0]}")
        expect(match[1] == stage.address("bob"), f"it came from {match[1]}")
    took = time.monotonic() - begun
    stage.transcript.ok("both heard it, from bob's address in the mesh", broadcast_s=round(took, 3))


def _wait_for_route(stage: Stage, host: Host) -> None:
    device = stage.joined("bob")["device"]

    def leads_here() -> bool:
        routes = host.ip_json("-4", "route", "get", "255.255.255.255")
        return bool(routes and routes[0].get("dev") == device)

    wait_until(leads_here, what=f"a route for broadcasts by {device}")


def switch_knows_its_macs(stage: Stage) -> None:
    """The forwarding database: which MAC lives behind which peer."""
    alice = stage.nodes["alice"].host
    stage.type(alice, ["l2mesh", "fdb", stage.network])
    entries = stage.look("alice", "fdb", network=stage.network)["entries"]
    where = {entry["mac"]: entry["peer"] for entry in entries}
    for name in CAST:
        expected = "local" if name == "alice" else stage.identities[name]["address"]
        seen = where.get(stage.joined(name)["mac"])
        expect(seen == expected, f"{name}'s MAC is behind {seen}")
    stage.transcript.ok("every member's signed MAC stands behind its owner", fdb=len(entries))


def wire_shows_nothing(stage: Stage) -> None:
    """A marker sent from alice to bob shows inside bob's interface, and nowhere on the wire."""
    marker = f"MARKER-{time.time_ns()}"
    bob, target = stage.nodes["bob"].host, stage.address("bob")
    device = stage.joined("bob")["device"]
    listener = bob.start(
        stage.python("-m", "tools.tour.udp", "listen", MARKER_PORT), env=stage.environment
    )
    listener.wait_for_log("listening")
    stage.transcript.command("wan", f"tcpdump -i {stage.wan.bridge} -w wire.pcap &")
    stage.transcript.command("bob", f"tcpdump -i {device} -w inside.pcap &")
    with Capture(stage.wan.host, stage.wan.bridge) as wire, Capture(bob, device) as inside:
        send = ["python", "-m", "tools.tour.udp", "send", target, MARKER_PORT, marker]
        stage.type(stage.nodes["alice"].host, send)
        listener.wait_for_log(marker)
    # Ethernet, IP and UDP headers, then DATA with the marker and nothing else inside.
    large = [frame for _, frame in wire.frames() if len(frame) >= 42 + 24 + len(marker)]
    expect(inside.contains(marker.encode()), f"the marker is not in {inside.path}")
    stage.transcript.output(f"{inside.path.name}: contains {marker}")
    expect(large, f"nothing that could carry it was seen on the wire: {wire.path}")
    expect(not wire.contains(marker.encode()), f"the marker stands in clear in {wire.path}")
    stage.transcript.output(f"{wire.path.name}: {len(large)} frames could, none does")
    _keep(wire.path, stage.lab.directory / "wire.pcap")
    _keep(inside.path, stage.lab.directory / "inside.pcap")
    stage.transcript.ok("what the wire shows is encrypted", wire_frames=len(large))


def _keep(capture: Path, name: Path) -> None:
    name.unlink(missing_ok=True)
    name.hardlink_to(capture)


LAN_SCENES: Final[tuple[Callable[[Stage], None], ...]] = (
    dhcp_crosses_the_mesh,
    broadcast_reaches_everybody,
    switch_knows_its_macs,
    wire_shows_nothing,
)
"""In their order, after those of `scenes`."""
