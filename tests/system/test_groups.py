"""IP groups with real programs: sockets join, Linux reports, and only who has joined gets them.

alice and bob are hosts with a device; carol bridges a LAN on which a printer is, and whose Linux
bridge is the querier there.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from tests.system.mesh import PATIENCE_S, Mesh, Wire, inside, marker, mesh_of
from tools.lab import Host, wait_until
from tools.lab.wait import WaitTimeout

pytestmark = pytest.mark.root

NAMES = ("alice", "bob", "carol", "dave")
PRINTER_IP = "10.9.0.200"
PORT = 7777
GROUPS = ("239.7.7.7", "ff05::7:7")
JOINED_S = 1.0
"""Within so long a new member gets the group."""


@pytest.fixture(scope="module")
def mesh(engine: str) -> Iterator[Mesh]:
    with mesh_of(*NAMES, engine=engine) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def printer(mesh: Mesh) -> Host:
    printer = mesh.add_printer("carol", PRINTER_IP)
    quick = ("mcast_query_response_interval", "100", "mcast_startup_query_interval", "100")
    snooping = ("mcast_snooping", "1", *quick)
    mesh.nodes["carol"].host.ip("link", "set", "br0", "type", "bridge", *snooping)
    return printer


@pytest.fixture(scope="module")
def network(mesh: Mesh, printer: Host) -> str:
    network = mesh.network()
    mesh.join(network, *NAMES)
    mesh.set_member(network, "carol", bridge="true")
    mesh.ask("carol", "set", network=network, options={"bridge": "br0"})
    mesh.wait_ping("alice", PRINTER_IP)
    mesh.nodes["carol"].host.ip("link", "set", "br0", "type", "bridge", "mcast_querier", "1")
    for name in ("bob", "dave"):
        mesh.wait_ping("alice", mesh.ip(name, network))
        wait_listed(mesh, name, 4, 6)
    return network


def wait_listed(mesh: Mesh, name: str, *versions: int) -> None:
    """Until a node knows what the hosts behind its port want."""

    def is_listed() -> bool:
        port = mesh.ask(name, "groups")["port"]
        states = [one["state"] for one in port if one["version"] in versions]
        return bool(states) and set(states) == {"listed"}

    wait_until(is_listed, PATIENCE_S, what=f"{name} listed")


def members(mesh: Mesh, group: str) -> set[str]:
    """Addresses of those who want a group, as alice has it."""
    groups = mesh.ask("alice", "groups")["groups"]
    return {one for each in groups if each["group"] == group for one in each["members"]}


@contextmanager
def joined(host: Host, device: str, group: str) -> Iterator[socket.socket]:
    """A program that wants a group."""

    def make() -> socket.socket:
        index, packed = socket.if_nametoindex(device), ip_address(group).packed
        sock = socket.socket(
            socket.AF_INET if len(packed) == 4 else socket.AF_INET6, socket.SOCK_DGRAM
        )
        sock.setblocking(False)
        sock.bind((group, PORT))
        if len(packed) == 4:
            request = packed + bytes(4) + struct.pack("@i", index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        else:
            request = packed + struct.pack("@I", index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        return sock

    with inside(host, make) as sock:
        yield sock


def send(mesh: Mesh, network: str, group: str, text: bytes) -> None:
    """alice sends to a group."""
    host, device = mesh.nodes["alice"].host, mesh.device("alice", network)

    def make() -> socket.socket:
        index, packed = socket.if_nametoindex(device), ip_address(group).packed
        if len(packed) == 4:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            request = bytes(8) + struct.pack("@i", index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
        else:
            sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 8)
        sock.sendto(text, (group, PORT))
        return sock

    inside(host, make).close()


def hears(sock: socket.socket, text: bytes) -> bool:
    """Whether the program has got it by now."""
    while True:
        try:
            if sock.recv(2048) == text:
                return True
        except BlockingIOError:
            return False


@pytest.mark.parametrize("group", GROUPS)
def test_only_who_has_joined_gets_a_group(mesh: Mesh, network: str, group: str) -> None:
    bob, dave = mesh.nodes["bob"].host, mesh.nodes["dave"].host
    with (
        Wire(bob, mesh.device("bob", network)) as at_bob,
        Wire(dave, mesh.device("dave", network)) as at_dave,
    ):
        text = marker("nobody")
        send(mesh, network, group, text)
        at_bob.wait(text)
        at_dave.wait(text)
        with joined(bob, mesh.device("bob", network), group) as program:
            wait_until(
                lambda: members(mesh, group) == {mesh.node_address("bob")}, JOINED_S, what="bob"
            )
            text = marker("bob")
            send(mesh, network, group, text)
            wait_until(lambda: hears(program, text), PATIENCE_S, what="the group")
            after = marker("after")
            send(mesh, network, "224.0.0.77", after)  # reaches all, behind the other
            at_dave.wait(after)
            assert not at_dave.has(text)
        wait_until(lambda: not members(mesh, group), PATIENCE_S, what="nobody")


def test_a_host_on_a_bridged_lan_gets_the_group_that_it_joins(
    mesh: Mesh, printer: Host, network: str
) -> None:
    """Though the LAN's own snooping switch keeps its report from us."""
    group, bob = GROUPS[0], mesh.nodes["bob"].host
    with joined(bob, mesh.device("bob", network), group) as at_bob:
        wait_until(lambda: members(mesh, group) == {mesh.node_address("bob")}, PATIENCE_S)
        with joined(printer, "lan0", group) as program:

            def arrives() -> bool:
                text = marker("joined")
                send(mesh, network, group, text)
                return wait_soon(lambda: hears(program, text) and hears(at_bob, text))

            wait_until(arrives, PATIENCE_S, what="the group at the printer")


def test_a_source_on_the_bridged_lan_reaches_who_has_joined(
    mesh: Mesh, printer: Host, network: str
) -> None:
    """The LAN's own snooping switch lets the group out to us, because it hears bob's report."""
    group, bob = GROUPS[0], mesh.nodes["bob"].host
    with joined(bob, mesh.device("bob", network), group) as program:
        printer.run(["ip", "route", "replace", "239.0.0.0/8", "dev", "lan0"])
        text = marker("from the LAN")

        def make() -> socket.socket:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
            return sock

        def arrives() -> bool:
            sender.sendto(text, (group, PORT))
            return hears(program, text)

        with inside(printer, make) as sender:
            wait_until(arrives, PATIENCE_S, 0.2, what="the LAN's stream")


def wait_soon(is_so: Callable[[], bool]) -> bool:
    """Whether something is so within half a second."""
    try:
        return wait_until(is_so, 0.5)
    except WaitTimeout:
        return False
