"""What the controller changes reaches everybody, and what happens while it is away."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.system.mesh import LONG_S, PATIENCE_S, Mesh, Wire, frame, marker, mesh_of
from tools.lab import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]

NAMES = ("alice", "bob", "carol")
BROADCAST = "ff:ff:ff:ff:ff:ff"


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with mesh_of(*NAMES) as mesh:
        yield mesh


@pytest.fixture
def network(mesh: Mesh) -> Iterator[str]:
    """A fresh network with everybody in it, all pairs direct."""
    network = mesh.network()
    mesh.join(network, *NAMES)
    meet(mesh, network)
    yield network
    for name in NAMES:
        if mesh.joined(name, network)["status"] != "absent":
            mesh.ask(name, "leave", network=network)


def meet(mesh: Mesh, network: str) -> None:
    for name, other in (("alice", "bob"), ("alice", "carol"), ("bob", "carol")):
        mesh.wait_ping(name, mesh.ip(other, network))
        mesh.wait_path(name, other)


def timed(what: str, is_true: Callable[[], object], limit_s: float = PATIENCE_S) -> float:
    began = time.monotonic()
    wait_until(is_true, limit_s, what=what)
    took = time.monotonic() - began
    print(f"{what}: {took:.2f} s")  # noqa: T201
    return took


def test_settings_reach_every_member_by_push(mesh: Mesh, network: str) -> None:
    changed = mesh.controller.cli("network", "set", network, "name=office", "mtu=1280")
    assert (changed["name"], changed["mtu"]) == ("office", 1280)

    def all_have_it() -> bool:
        shown = [mesh.joined(name, network) for name in NAMES]
        return all((one["name"], one["mtu"]) == ("office", 1280) for one in shown)

    timed("settings at all", all_have_it)
    for name in NAMES:
        host, device = mesh.nodes[name].host, mesh.device(name, network)

        def has_mtu(host=host, device=device) -> bool:  # type: ignore[no-untyped-def]
            return bool(host.ip_json("link", "show", device)[0]["mtu"] == 1280)

        wait_until(has_mtu, PATIENCE_S, what="the kernel's MTU")
    assert mesh.answers("alice", mesh.ip("bob", network), wait_s=5)


def test_member_settings_reach_it_and_the_others(mesh: Mesh, network: str) -> None:
    words = ["name=printer", "addresses=10.9.0.77/24,fd77::7/64", "groups=a,b", "bridge=true"]
    address, host = mesh.node_address("bob"), mesh.nodes["bob"].host
    changed = mesh.controller.cli("member", "set", network, address, *words)
    assert changed["addresses"] == ["10.9.0.77/24", "fd77::7/64"]
    assert (changed["bridge"], changed["groups"]) == (True, ["a", "b"])
    device = mesh.device("bob", network)

    def is_set() -> bool:
        (link,) = host.ip_json("addr", "show", "dev", device)
        found = [a["local"] for a in link["addr_info"] if a["scope"] == "global"]
        return found == ["10.9.0.77", "fd77::7"]

    timed("addresses on the device", is_set)
    mesh.wait_ping("alice", "10.9.0.77")
    timed("name at alice", lambda: (mesh.peer("alice", "bob") or {})["name"] == "printer")
    assert mesh.nodes["alice"].cli("ping", "printer", "-c", "1")["replies"]
    (shown,) = [
        m
        for m in mesh.controller.cli("member", "list", network)["members"]
        if m["address"] == address
    ]
    assert (shown["name"], shown["router"], shown["online"]) == ("printer", False, True)


def test_wrong_settings_change_nothing(mesh: Mesh, network: str) -> None:
    before = mesh.controller.cli("network", "show", network)
    for words in (["mtu=100"], ["mtu=x"], ["colour=red"], ["pools=10.9.0.1/24"], ["nonsense"]):
        done = mesh.controller.cli_raw("network", "set", network, "name=x", *words)
        assert done.returncode == 2, words
        assert done.stderr.startswith("error: ")
    assert mesh.controller.cli("network", "show", network) == before
    address = mesh.node_address("bob")
    for words in (["addresses=10.9.0.1"], ["bridge=perhaps"], ["addresses=10.9.0.1/24"]):
        done = mesh.controller.cli_raw("member", "set", network, address, *words)
        assert done.returncode in (1, 2), words
        assert done.stderr.startswith("error: ")
    assert mesh.ip("bob", network) == "10.9.0.2"


def test_list_tells_who_is_online(mesh: Mesh, network: str) -> None:
    assert mesh.member("carol", network)["online"]
    fingerprint = mesh.ask("carol", "status")["fingerprint"]
    assert mesh.nodes["carol"].stop() == 0

    def is_online() -> bool:
        members = mesh.controller.cli("member", "list", network)["members"]
        return next(bool(m["online"]) for m in members if m["fingerprint"] == fingerprint)

    timed("carol offline", lambda: not is_online())
    mesh.nodes["carol"].start()
    timed("carol online", is_online)


def silence(mesh: Mesh, receivers: tuple[str, ...], network: str) -> Callable[[], bool]:
    """Whether a broadcast frame of carol's, sent anew, arrives nowhere within 0.3 s."""
    carol = mesh.joined("carol", network)

    def is_silent() -> bool:
        text = marker("cut")
        with ExitStack() as stack:
            wires = [
                stack.enter_context(Wire(mesh.nodes[name].host, mesh.device(name, network)))
                for name in receivers
            ]
            with Wire(mesh.nodes["carol"].host, carol["device"]) as wire:
                wire.send(frame(BROADCAST, carol["mac"], 0x88B5, text))
            time.sleep(0.3)
            return not any(one.has(text) for one in wires)

    return is_silent


def test_deauthorised_member_is_cut_off_by_everybody(mesh: Mesh, network: str) -> None:
    carol_device = mesh.device("carol", network)
    target = mesh.ip("carol", network)
    mesh.controller.cli("member", "deauthorize", network, mesh.node_address("carol"))
    timed("carol denied", lambda: mesh.joined("carol", network)["status"] == "denied")
    assert not mesh.answers("alice", target) and not mesh.answers("bob", target)
    names = [link["ifname"] for link in mesh.nodes["carol"].host.ip_json("link", "show")]
    assert carol_device not in names
    assert mesh.answers("alice", mesh.ip("bob", network), wait_s=5)
    mesh.controller.cli("member", "authorize", network, mesh.node_address("carol"))
    mesh.wait_up("carol", network)
    mesh.wait_ping("alice", mesh.ip("carol", network))


def test_revocation_spreads_from_the_only_member_that_can_be_reached(
    mesh: Mesh, network: str
) -> None:
    """The controller reaches bob alone; alice and the deauthorised carol must not hear from it."""
    hosts = {name: mesh.nodes[name].host for name in NAMES}
    away = (mesh.controller.host, mesh.planet.host)
    cut = [(server, hosts[name]) for server in away for name in ("alice", "carol")]
    for pair in cut:
        mesh.lab.partition(*pair)
    try:
        is_silent = silence(mesh, ("alice", "bob"), network)
        assert not is_silent()
        mesh.admin("member_deauthorize", network=network, member=mesh.node_address("carol"))
        timed("carol's frames dropped by alice and bob", is_silent)
        assert mesh.answers("alice", "10.9.0.2", wait_s=5)
    finally:
        for pair in cut:
            mesh.lab.heal(*pair)
    wait_until(
        lambda: mesh.joined("carol", network)["status"] == "denied", LONG_S, what="carol denied"
    )


def test_deleted_member_is_cut_off_and_may_ask_again(mesh: Mesh, network: str) -> None:
    address = mesh.node_address("carol")
    deleted = mesh.controller.cli("member", "delete", network, address)
    assert deleted["address"] == address
    timed("carol cut off", lambda: not mesh.answers("alice", "10.9.0.3"))
    wait_until(lambda: mesh.joined("carol", network)["status"] != "ok", PATIENCE_S)
    done = mesh.nodes["carol"].cli_raw("join", network, "--wait", "2")
    assert done.returncode in (5, 6)
    mesh.controller.cli(
        "member", "authorize", network, f"{address}@{mesh.ask('carol', 'status')['fingerprint']}"
    )
    assert mesh.nodes["carol"].cli("join", network)["status"] == "ok"
    mesh.wait_ping("alice", mesh.ip("carol", network))


def test_deleted_network_ends_everywhere(mesh: Mesh, network: str) -> None:
    other = mesh.network("--pool", "10.44.0.0/24", pool=None)
    mesh.join(other, "alice", "bob")
    mesh.controller.cli("network", "delete", network)
    for name in NAMES:
        timed(f"{name}: gone", lambda name=name: mesh.joined(name, network)["status"] != "ok")  # type: ignore[misc]
        assert mesh.joined(name, network)["device"] is None
    assert mesh.controller.cli_raw("network", "show", network).returncode == 5
    assert network not in [n["id"] for n in mesh.controller.cli("network", "list")["networks"]]
    mesh.wait_ping("alice", "10.44.0.2")
    for name in ("alice", "bob"):
        mesh.ask(name, "leave", network=other)


def test_members_go_on_while_the_controller_is_dead(mesh: Mesh, network: str) -> None:
    with mesh.pinging("alice", "10.9.0.2") as pinging:
        mesh.controller.kill()
        mesh.nodes["carol"].kill()
        mesh.nodes["carol"].start()
        assert mesh.joined("carol", network)["status"] == "ok"
        mesh.wait_ping("carol", "10.9.0.1", LONG_S)
        mesh.wait_ping("bob", "10.9.0.3", LONG_S)
        pinging.more(10)
        mesh.controller.start()
    assert pinging.lost() == []
    wait_until(lambda: mesh.member("carol", network)["online"], LONG_S, what="carol online")
    revision = mesh.controller.cli("network", "set", network, "name=back")["revision"]
    for name in NAMES:
        wait_until(lambda name=name: mesh.joined(name, network)["revision"] == revision, LONG_S)  # type: ignore[misc]


def test_node_returns_from_its_files_while_controller_and_planet_are_dead(
    mesh: Mesh, network: str
) -> None:
    alice = mesh.nodes["alice"]
    before = mesh.joined("alice", network)
    mesh.controller.kill()
    mesh.planet.kill()
    try:
        for end in (alice.kill, alice.stop):
            end()
            alice.start()
            mesh.wait_up("alice", network)
            assert mesh.joined("alice", network) == before
            assert not alice.cli("status")["online"]
            mesh.wait_ping("alice", "10.9.0.2", LONG_S)
            assert mesh.path("alice", "bob") == "direct"
            mesh.wait_ping("alice", "10.9.0.3", LONG_S)
    finally:
        mesh.planet.start()
        mesh.controller.start()
    for name in NAMES:
        wait_until(lambda name=name: mesh.ask(name, "status")["online"], LONG_S)  # type: ignore[misc]
    wait_until(lambda: mesh.member("alice", network)["online"], LONG_S, what="alice online")


def test_revocation_during_an_outage_of_a_member_counts_when_it_returns(
    mesh: Mesh, network: str
) -> None:
    target = mesh.ip("carol", network)
    mesh.nodes["bob"].stop()
    mesh.controller.cli("member", "deauthorize", network, mesh.node_address("carol"))
    mesh.nodes["bob"].start()
    mesh.wait_up("bob", network)
    assert not mesh.answers("bob", target)
    assert re.fullmatch(r"10\.9\.0\.\d+", target)
