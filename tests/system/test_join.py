"""Joining: every way in, every way to be refused, and what is left afterwards."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.mesh import PATIENCE_S, Mesh, mesh_of
from tools.lab import Host, Node, wait_until

pytestmark = pytest.mark.root

NAMES = ("alice", "bob", "carol")
JOIN_WITHIN_S = 10.0  # 3 s on an idle machine


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with mesh_of(*NAMES, reference={"bob"}) as mesh:
        yield mesh


@pytest.fixture(autouse=True)
def nothing_stays(mesh: Mesh) -> Iterator[None]:
    yield
    for name in mesh.nodes:
        for network in mesh.ask(name, "networks")["networks"]:
            mesh.ask(name, "leave", network=network["id"])


def link(host: Host, name: str) -> Any:
    found = [link for link in host.ip_json("addr", "show") if link.get("ifname") == name]
    return found[0] if found else None


def devices(host: Host) -> list[str]:
    names = [link["ifname"] for link in host.ip_json("link", "show")]
    return [name for name in names if name not in ("lo", "eth0")]


def who(mesh: Mesh, name: str) -> str:
    status = mesh.ask(name, "status")
    return f"{status['address']}@{status['fingerprint']}"


def test_token_brings_a_working_device_at_once(mesh: Mesh) -> None:
    network = mesh.network("--mtu", "1400", "--pool", "fd09::/64")
    joinstring = mesh.token(network)
    began = time.monotonic()
    answer = mesh.nodes["alice"].cli("join", joinstring)
    took = time.monotonic() - began
    print(f"join with a token: {took:.2f} s")  # noqa: T201
    assert took < JOIN_WITHIN_S
    assert (answer["schema"], answer["id"], answer["status"]) == ("l2mesh.join/1", network, "ok")
    assert answer["device"].startswith("l2m")
    shown = link(mesh.nodes["alice"].host, answer["device"])
    assert (shown["address"], shown["mtu"]) == (answer["mac"], 1400)
    assert "UP" in shown["flags"] and "LOWER_UP" in shown["flags"]
    found = [f"{a['local']}/{a['prefixlen']}" for a in shown["addr_info"] if a["scope"] != "link"]
    assert sorted(found) == sorted(answer["addresses"])
    assert {"10.9.0.1/24", "fd09::1/64"} == set(found)
    member = mesh.member("alice", network)
    assert (member["mac"], member["authorized"], member["online"]) == (answer["mac"], True, True)


def test_private_join_waits_until_it_is_authorised_by_push(mesh: Mesh) -> None:
    network, alice = mesh.network(), mesh.nodes["alice"]
    waiting = alice.cli_raw("join", network, "--wait", "1")
    assert waiting.returncode == 6
    assert waiting.stderr.startswith("error: ") and "hint: " in waiting.stderr
    assert mesh.joined("alice", network)["status"] == "requesting"
    assert devices(alice.host) == []
    members = mesh.controller.cli("member", "list", network)["members"]
    assert [(m["address"], m["authorized"]) for m in members] == [
        (mesh.node_address("alice"), False)
    ]
    mesh.controller.cli("member", "authorize", network, mesh.node_address("alice"))
    mesh.wait_up("alice", network)
    assert mesh.ip("alice", network) == "10.9.0.1"


def test_join_that_waits_ends_when_it_is_authorised(mesh: Mesh) -> None:
    network, alice = mesh.network(), mesh.nodes["alice"]
    program = alice.host.start(alice.cli_command(["join", network]), name="join")
    wait_until(lambda: mesh.admin("member_list", network=network)["members"], PATIENCE_S)
    assert program.is_running
    mesh.controller.cli("member", "authorize", network, mesh.node_address("alice"))
    assert program.wait(PATIENCE_S) == 0


def test_member_can_be_authorised_before_it_asks(mesh: Mesh) -> None:
    network = mesh.network()
    stranger = mesh.controller.cli_raw("member", "authorize", network, mesh.node_address("bob"))
    assert stranger.returncode == 5 and "hint" in stranger.stderr
    mesh.controller.cli("member", "authorize", network, who(mesh, "bob"))
    assert mesh.nodes["bob"].cli("join", network)["status"] == "ok"


def test_refused_member_is_denied(mesh: Mesh) -> None:
    network, bob = mesh.network(), mesh.nodes["bob"]
    assert bob.cli_raw("join", network, "--wait", "0.5").returncode == 6
    mesh.controller.cli("member", "deauthorize", network, mesh.node_address("bob"))
    mesh.wait_status("bob", network, "denied")
    refused = bob.cli_raw("join", network)
    assert refused.returncode == 5 and refused.stderr.startswith("error: ")
    mesh.controller.cli("member", "authorize", network, mesh.node_address("bob"))
    mesh.wait_up("bob", network)


def test_wrong_token_is_told_and_admits_nobody(mesh: Mesh) -> None:
    network = mesh.network()
    done = mesh.nodes["bob"].cli_raw("join", network, "--token", "00" * 16, "--wait", "2")
    assert done.returncode in (5, 6)
    assert "token" in done.stderr
    assert not mesh.member("bob", network)["authorized"]


def test_unknown_network_is_not_found(mesh: Mesh) -> None:
    network = mesh.controller.cli("identity")["address"] + "ffffff"
    done = mesh.nodes["alice"].cli_raw("join", network)
    assert done.returncode == 5
    assert mesh.joined("alice", network)["status"] == "not_found"


def test_refusal_of_yesterday_does_not_end_a_new_join(mesh: Mesh) -> None:
    number, alice = "abcdef", mesh.nodes["alice"]
    network = mesh.controller.cli("identity")["address"] + number
    assert alice.cli_raw("join", network).returncode == 5
    assert mesh.network("--number", number, "--public") == network
    assert alice.cli("join", network)["status"] == "ok"


def test_unknown_controller_is_looked_for_and_then_not_found(mesh: Mesh) -> None:
    network, alice = "0123456789000001", mesh.nodes["alice"]
    waiting = alice.cli_raw("join", network, "--wait", "1")
    assert waiting.returncode == 6
    assert mesh.joined("alice", network)["status"] == "requesting"
    done = alice.cli_raw("join", network)
    assert done.returncode == 5
    assert "no planet knows the controller" in done.stderr
    assert mesh.joined("alice", network)["status"] == "not_found"


@pytest.mark.parametrize(
    "target",
    [
        "",
        "123",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789abcdeg",
        "0123456789000000",
        "0123456789000001@short",
        "0123456789000001@",
        "l2mesh:",
        "l2mesh:!!!",
        "l2mesh:AAAA",
    ],
)
def test_wrong_form_of_an_id_is_told_in_a_line(mesh: Mesh, target: str) -> None:
    done = mesh.nodes["alice"].cli_raw("join", target)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert mesh.ask("alice", "networks")["networks"] == []


def test_id_in_capitals_is_the_same_network(mesh: Mesh) -> None:
    network = mesh.network("--public")
    assert mesh.nodes["alice"].cli("join", network.upper())["id"] == network


def test_fingerprint_of_the_controller_may_be_given_and_must_be_right(mesh: Mesh) -> None:
    network = mesh.network("--public")
    fingerprint = mesh.controller.cli("identity")["fingerprint"]
    assert mesh.nodes["alice"].cli("join", f"{network}@{fingerprint}")["status"] == "ok"
    other = mesh.ask("bob", "status")["fingerprint"]
    wrong = mesh.nodes["bob"].cli_raw("join", f"{network}@{other}", "--wait", "1.5")
    assert wrong.returncode in (5, 6)
    assert mesh.joined("bob", network)["device"] is None


def test_public_network_admits_everybody_and_hands_out_the_lowest_address(mesh: Mesh) -> None:
    network = mesh.network("--public")
    for number, name in enumerate(NAMES, 1):
        addresses = mesh.nodes[name].cli("join", network)["addresses"]
        assert addresses == [f"10.9.0.{number}/24"]


def test_network_without_a_pool_is_up_all_the_same(mesh: Mesh) -> None:
    network = mesh.network("--public", pool=None)
    answer = mesh.nodes["alice"].cli("join", network)
    assert (answer["status"], answer["addresses"]) == ("ok", [])
    assert link(mesh.nodes["alice"].host, answer["device"]) is not None


def test_device_has_the_name_that_was_asked_for(mesh: Mesh) -> None:
    network = mesh.network("--public")
    assert mesh.nodes["alice"].cli("join", network, "--device", "lan7")["device"] == "lan7"
    mesh.nodes["alice"].restart()
    mesh.wait_up("alice", network)
    assert devices(mesh.nodes["alice"].host) == ["lan7"]


def test_taken_device_name_is_told_and_works_once_it_is_free(mesh: Mesh) -> None:
    network, alice = mesh.network("--public"), mesh.nodes["alice"]
    alice.host.add_bridge("taken")
    done = alice.cli_raw("join", network, "--device", "taken")
    assert done.returncode == 1
    assert "taken" in done.stderr
    assert mesh.joined("alice", network)["device"] is None
    assert link(alice.host, "taken")["address"] != mesh.joined("alice", network)["mac"]
    assert any("taken" in line for line in mesh.ask("alice", "status")["health"])
    alice.host.ip("link", "del", "taken")
    mesh.wait_up("alice", network)
    assert mesh.device("alice", network) == "taken"


@pytest.mark.parametrize("name", ["a" * 16, "a/b", "a b", ".", ""])
def test_impossible_device_name_is_refused(mesh: Mesh, name: str) -> None:
    network, alice = mesh.network("--public"), mesh.nodes["alice"]
    done = alice.cli_raw("join", network, "--device", name)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert mesh.ask("alice", "networks")["networks"] == []


def test_wait_0_stores_the_join_and_ends_at_once(mesh: Mesh) -> None:
    network, carol = mesh.network("--public"), mesh.nodes["carol"]
    answer = carol.cli("join", network, "--wait", "0")
    assert answer["id"] == network
    mesh.wait_up("carol", network)


def test_leave_and_exit_take_the_device_away(mesh: Mesh) -> None:
    network, alice = mesh.network("--public"), mesh.nodes["alice"]
    first = alice.cli("join", network)["device"]
    assert devices(alice.host) == [first]
    assert alice.cli("leave", network)["id"] == network
    assert devices(alice.host) == []
    assert alice.cli("networks")["networks"] == []
    assert alice.cli_raw("leave", network).returncode == 5
    alice.cli("join", network)
    assert alice.stop() == 0
    assert devices(alice.host) == []
    alice.start()
    mesh.wait_up("alice", network)
    alice.kill()
    wait_until(lambda: devices(alice.host) == [], PATIENCE_S, what="the kernel to take it away")
    alice.start()
    mesh.wait_up("alice", network)
    assert devices(alice.host) == [first]


def test_member_that_left_keeps_its_address_for_its_return(mesh: Mesh) -> None:
    network = mesh.network("--public")
    mesh.nodes["bob"].cli("join", network)
    mesh.nodes["alice"].cli("join", network)
    assert mesh.ip("alice", network) == "10.9.0.2"
    mesh.nodes["bob"].cli("leave", network)
    mesh.nodes["carol"].cli("join", network)
    mesh.nodes["bob"].cli("join", network)
    assert {mesh.ip(name, network) for name in NAMES} == {"10.9.0.1", "10.9.0.2", "10.9.0.3"}


def test_join_string_alone_brings_the_world(mesh: Mesh) -> None:
    network = mesh.network()
    joinstring = mesh.token(network)
    host = mesh.on_wan("dave", 90)
    node = Node(host, world=None).start()
    assert not node.cli("status")["online"]
    answer = node.cli("join", joinstring)
    assert answer["status"] == "ok"
    assert node.cli("status")["online"]
    node.kill()
    node.start()
    wait_until(lambda: node.cli("status")["online"], PATIENCE_S, what="the world to be kept")
    networks = node.cli("networks")["networks"]
    assert [(n["id"], n["status"]) for n in networks] == [(network, "ok")]
    node.stop()


def test_token_counts_its_uses_and_expires(mesh: Mesh) -> None:
    network = mesh.network()
    token = mesh.controller.cli("token", "create", network, "--uses", "2", "--expires", "1h")
    assert token["schema"] == "l2mesh.token/1" and token["token"]
    for name in ("alice", "bob"):
        assert mesh.nodes[name].cli("join", network, "--token", token["token"])["status"] == "ok"
    late = mesh.nodes["carol"].cli_raw("join", token["join"], "--wait", "2")
    assert late.returncode in (5, 6)
    assert not mesh.member("carol", network)["authorized"]


def test_expired_token_admits_nobody(mesh: Mesh) -> None:
    network = mesh.network()
    token = mesh.controller.cli("token", "create", network, "--expires", "1s")
    wait_until(lambda: time.time() > token["expires"] + 0.1, PATIENCE_S, what="the token to expire")
    done = mesh.nodes["bob"].cli_raw("join", token["join"], "--wait", "2")
    assert done.returncode in (5, 6)
    assert not mesh.member("bob", network)["authorized"]


def test_join_twice_changes_nothing_but_the_name_of_the_device(mesh: Mesh) -> None:
    network, alice = mesh.network("--public"), mesh.nodes["alice"]
    first = alice.cli("join", network)
    assert alice.cli("join", network) == first
    alice.cli("set", network, "broadcast_route=true")
    alice.cli("join", network, "--device", "other")
    wait_until(lambda: mesh.device("alice", network) == "other", PATIENCE_S, what="the new name")
    assert devices(alice.host) == ["other"]
    assert "other" in alice.host.ip("route", "show", "255.255.255.255")
