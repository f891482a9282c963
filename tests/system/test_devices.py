"""Devices as the kernel shows them: real TAPs and bridges in a namespace."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tools.lab import Lab
from tools.lab.host import Host
from tools.lab.wait import wait_until

pytestmark = pytest.mark.root

NETWORK = 0x89E92CEEE5000001
DEVICE = "l2m89e92c000001"
MAC = "02:11:22:33:44:55"
PROGRAM = Path(__file__).with_name("device_host.py")
REPOSITORY = PROGRAM.parents[2]


class DeviceHost:
    """The daemon's devices in a namespace; ended by closing its stdin or by SIGKILL."""

    def __init__(self, host: Host) -> None:
        self.host = host
        state = host.directory / "devices"
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", host.namespace, sys.executable, str(PROGRAM), str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ask(self, *command: object) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def configure(self, **changes: object) -> Any:
        fields = {
            "network": NETWORK,
            "name": None,
            "mac": MAC,
            "mtu": 1400,
            "addresses": ["10.9.0.7/24", "fd09::7/64"],
            "routes": [],
            "bridge": None,
            "broadcast_route": False,
        }
        return self.ask("configure", {**fields, **changes})

    def end(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def kill(self) -> None:
        self._process.kill()
        self.end()


@pytest.fixture
def host() -> Iterator[Host]:
    with Lab() as lab:
        yield lab.host("a")


@pytest.fixture
def devices(host: Host) -> Iterator[DeviceHost]:
    with DeviceHost(host) as devices:
        yield devices


def link(host: Host, name: str = DEVICE) -> Any:
    found = [link for link in host.ip_json("link", "show") if link["ifname"] == name]
    return found[0] if found else None


def addresses(host: Host, name: str = DEVICE) -> list[str]:
    found = [link for link in host.ip_json("addr", "show") if link.get("ifname") == name]
    return [
        f"{address['local']}/{address['prefixlen']}"
        for entry in found
        for address in entry["addr_info"]
        if address["scope"] == "global"
    ]


def eventually(what: str, is_true: Callable[[], object]) -> None:
    wait_until(is_true, 10, what=what)


def test_device_has_mac_mtu_addresses_and_is_up(host: Host, devices: DeviceHost) -> None:
    assert devices.configure() == [DEVICE, None]
    shown = link(host)
    assert (shown["address"], shown["mtu"], "UP" in shown["flags"]) == (MAC, 1400, True)
    assert addresses(host) == ["10.9.0.7/24", "fd09::7/64"]
    assert host.run(["ping", "-c", "1", "-W", "1", "10.9.0.7"]).returncode == 0


def test_changed_list_replaces_addresses_and_leaves_others(host: Host, devices: DeviceHost) -> None:
    devices.configure()
    host.ip("addr", "add", "192.0.2.9/32", "dev", DEVICE)
    devices.configure(addresses=["10.9.0.8/24"], mtu=1300, mac="02:11:22:33:44:66")
    assert sorted(addresses(host)) == ["10.9.0.8/24", "192.0.2.9/32"]
    assert (link(host)["mtu"], link(host)["address"]) == (1300, "02:11:22:33:44:66")


def test_device_vanishes_when_removed_on_exit_and_on_kill(host: Host) -> None:
    with DeviceHost(host) as devices:
        devices.configure()
        devices.ask("remove", NETWORK)
        assert link(host) is None
        devices.configure()
    assert link(host) is None
    killed = DeviceHost(host)
    killed.configure()
    killed.kill()
    eventually("the device to vanish", lambda: link(host) is None)


def test_frames_pass_both_ways(host: Host, devices: DeviceHost) -> None:
    devices.configure()
    frame = "ffffffffffff02000000000188b5" + "00" * 50
    assert devices.ask("write", frame) == [64]
    statistics = host.ip_json("-s", "link", "show", DEVICE)[0]["stats64"]
    assert statistics["rx"]["packets"] >= 1
    host.run(["ping", "-c", "1", "-W", "1", "10.9.0.99"], check=False)
    seen: list[str] = []
    while frame := devices.ask("read"):
        seen.append(frame)
    assert any(frame[24:28] == "0806" and frame[12:24] == MAC.replace(":", "") for frame in seen)


def test_routes_are_ours_and_only_for_broadcast_if_wanted(host: Host, devices: DeviceHost) -> None:
    routes = [["10.77.0.0/16", "10.9.0.1"], ["fd77::/64", "fd09::1"]]
    assert devices.configure(routes=routes, broadcast_route=True) == [DEVICE, None]
    shown = host.ip("route", "show", "proto", "108")
    assert f"10.77.0.0/16 via 10.9.0.1 dev {DEVICE}" in shown
    assert f"224.0.0.0/4 dev {DEVICE}" in shown and f"255.255.255.255 dev {DEVICE}" in shown
    assert "fd77::/64" in host.ip("-6", "route", "show", "proto", "108")
    devices.configure(addresses=["10.9.0.8/24"], routes=routes[:1])
    shown = host.ip("route", "show", "proto", "108")
    assert shown.split() == ["10.77.0.0/16", "via", "10.9.0.1", "dev", DEVICE]


def test_tcp_to_our_networks_asks_for_marks_and_other_routes_stay(
    host: Host, devices: DeviceHost
) -> None:
    host.ip("tuntap", "add", "other0", "mode", "tap")
    host.ip("link", "set", "other0", "up")
    host.ip("addr", "add", "10.9.0.3/24", "dev", "other0")
    devices.configure(addresses=["10.9.0.7/24", "10.8.0.7/24", "10.7.0.7/32", "fd09::7/64"])
    assert marking_routes(host, DEVICE) == {"10.9.0.0/24", "10.8.0.0/24", "fd09::/64"}
    assert marking_routes(host, "other0") == set()
    for network, count in (("10.9.0.0/24", 2), ("10.8.0.0/24", 1), ("fd09::/64", 1)):
        family = "-6" if ":" in network else "-4"
        assert len(host.ip_json(family, "route", "show", "exact", network)) == count
    devices.configure(addresses=[])
    assert marking_routes(host, DEVICE) == set()
    assert len(host.ip_json("-4", "route", "show", "exact", "10.9.0.0/24")) == 1


def marking_routes(host: Host, name: str) -> set[str]:
    """The networks towards which TCP over a link tries ECN."""
    found = [
        route
        for family in ("-4", "-6")
        for route in host.ip_json(family, "route", "show", "dev", name)
    ]
    # for IPv6 "metric" is the priority; what a route asks of TCP is a list of its own
    return {route["dst"] for route in found if {"ecn": None} in route.get("metrics", [])}


def test_default_route_carries_everything_but_our_own_datagrams(
    host: Host, devices: DeviceHost
) -> None:
    host.ip("link", "add", "wan", "type", "veth")
    host.ip("addr", "add", "192.0.2.2/24", "dev", "wan")
    host.ip("link", "set", "veth0", "up")
    host.ip("link", "set", "wan", "up")
    host.ip("route", "add", "default", "via", "192.0.2.1")
    routes = [["0.0.0.0/0", "10.9.0.1"], ["::/0", "fd09::1"]]
    assert devices.configure(routes=routes) == [DEVICE, None]

    def way(*words: str) -> str:
        return str(host.ip_json("route", "get", *words)[0]["dev"])

    assert way("198.51.100.1") == DEVICE == way("2001:db8::1")
    assert way("198.51.100.1", "mark", "0x6c32") == "wan" == way("192.0.2.9")
    devices.configure()
    assert way("198.51.100.1") == "wan"


def test_refused_route_is_told_and_stops_nothing(host: Host, devices: DeviceHost) -> None:
    _, problem = devices.configure(routes=[["10.77.0.0/16", "192.0.2.1"]])
    assert "10.77.0.0/16" in problem
    assert addresses(host) == ["10.9.0.7/24", "fd09::7/64"]


def test_name_can_be_chosen_and_a_taken_one_is_told(host: Host, devices: DeviceHost) -> None:
    assert devices.configure(name="lan0") == ["lan0", None]
    assert link(host, "lan0")["address"] == MAC
    host.ip("link", "add", "taken", "type", "bridge")
    name, problem = devices.configure(network=NETWORK + 1, name="taken")
    assert (name, problem) == (None, "an interface called taken exists already")
    host.ip("link", "del", "taken")
    eventually(
        "the device to appear under the free name",
        lambda: devices.ask("state", NETWORK + 1) == ["taken", None, None],
    )


def test_default_names_differ_among_networks(devices: DeviceHost) -> None:
    names = [devices.configure(network=NETWORK + number)[0] for number in range(3)]
    assert names == [DEVICE, "l2m89e92c000002", "l2m89e92c000003"]
    assert devices.configure(network=0x89E92C0000000001, addresses=[])[0] == "l2m9e92c0000001"


def test_addresses_leave_a_bridge_port_and_return(host: Host, devices: DeviceHost) -> None:
    host.add_bridge("br0")
    devices.configure()
    host.ip("link", "set", DEVICE, "master", "br0")
    eventually("addresses to go", lambda: addresses(host) == [])
    devices.configure(addresses=["10.9.0.8/24"])
    assert addresses(host) == []
    assert link(host)["master"] == "br0"
    host.ip("link", "set", DEVICE, "nomaster")
    eventually("addresses to return", lambda: addresses(host) == ["10.9.0.8/24"])


def test_attachment_by_hand_is_made_again_after_restart(host: Host) -> None:
    host.add_bridge("br0")
    devices = DeviceHost(host)
    devices.configure()
    host.ip("link", "set", DEVICE, "master", "br0")
    eventually("the bridge to be noticed", lambda: devices.ask("state", NETWORK)[2] == "br0")
    devices.kill()
    eventually("the device to vanish", lambda: link(host) is None)
    with DeviceHost(host) as devices:
        devices.configure()
        assert link(host)["master"] == "br0"
        assert addresses(host) == []
        host.ip("link", "set", DEVICE, "nomaster")
        eventually("addresses to return", lambda: len(addresses(host)) == 2)
    with DeviceHost(host) as devices:
        devices.configure()
        assert "master" not in link(host)


def test_wanted_bridge_is_joined_when_it_appears_and_left_on_request(
    host: Host, devices: DeviceHost
) -> None:
    assert devices.configure(bridge="br0") == [DEVICE, f"{DEVICE} waits for its bridge to appear"]
    host.add_bridge("br0")
    eventually("the device to join", lambda: link(host).get("master") == "br0")
    eventually("no complaint", lambda: devices.ask("state", NETWORK)[1] is None)
    host.ip("link", "del", "br0")
    eventually("the bridge to be missed", lambda: devices.ask("state", NETWORK)[1])
    host.add_bridge("br0")
    eventually("the device to return", lambda: link(host).get("master") == "br0")
    devices.configure(bridge=None)
    assert "master" not in link(host)
    assert addresses(host) == ["10.9.0.7/24", "fd09::7/64"]


def test_attaching_keeps_the_mac_of_the_bridge(host: Host, devices: DeviceHost) -> None:
    host.ip("link", "add", "br0", "type", "bridge")
    host.ip("link", "add", "lan", "address", "fe:00:00:00:00:01", "type", "veth")
    host.ip("link", "set", "lan", "master", "br0")
    before = link(host, "br0")["address"]
    devices.configure(bridge="br0")
    assert link(host)["master"] == "br0"
    assert link(host, "br0")["address"] == before != MAC


def test_device_that_somebody_deleted_is_made_again(host: Host, devices: DeviceHost) -> None:
    devices.configure()
    before = link(host)["ifindex"]
    host.ip("link", "del", DEVICE)
    devices.ask("lost", NETWORK)
    eventually("a new device", lambda: (link(host) or {}).get("ifindex", before) != before)
    eventually("its addresses", lambda: addresses(host) == ["10.9.0.7/24", "fd09::7/64"])
