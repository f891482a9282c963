"""The lab: makes the topology, and takes all of it away again."""

import os
import shutil
import sys
import tempfile
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.lab import cleanup, filters
from tools.lab import weather as weather_module
from tools.lab.command import LabError
from tools.lab.host import Addresses, End, Host, Link, Nat, Switch, Workspace
from tools.lab.names import Names, namespaces, remove_namespace, sweep
from tools.lab.nat64 import lead_to_ipv4
from tools.lab.nats import NatKind, NatRules, firewall
from tools.lab.process import stop_all
from tools.lab.weather import Weather

_LAN_BRIDGE = "lan"
_WIRE_BRIDGE = "wire"


class Lab:
    """A topology of namespaces, for one thread of one process; needs root.

    Use it as a context manager. Whatever way the block or the program is left, the programs it
    started end and its namespaces and temporary directory vanish. Nothing outside the namespaces it
    made is changed. Everything raises CommandError if the system refuses.
    """

    def __init__(self, *, directory: Path | None = None) -> None:
        """Sweep up what dead processes left, and make the directory for logs and state.

        With `directory` (which must exist) that one is used and kept, for instance to publish logs;
        it should be short, since Unix sockets are made in it.
        """
        self._owner = os.getpid()
        self._names = Names()
        self._keeps_directory = directory is not None
        path = directory or Path(tempfile.gettempdir(), self._names.prefix + "files")
        self.directory = path.resolve()
        self._workspace = Workspace(self._names, self.directory)
        self._is_open = True
        cleanup.register(self.close)
        sweep()
        if directory is None:
            self.directory.mkdir(mode=0o700)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(self.log_tails())
        self.close()

    def close(self) -> None:
        """End every program, delete every namespace and the temporary directory. Idempotent.

        Raises LabError, after having done what it could, if a namespace could not be deleted. Does
        nothing in a child process that inherited the lab.
        """
        if not self._is_open or os.getpid() != self._owner:
            return
        stop_all(self._workspace.processes)
        failures = self._remove_namespaces()
        if not self._keeps_directory:
            shutil.rmtree(self.directory, ignore_errors=True)
        # Only now: interrupted anywhere above, it is called again on the way out.
        self._is_open = False
        cleanup.unregister(self.close)
        if failures:
            raise LabError("left behind: " + "; ".join(failures))

    def host(self, name: str) -> Host:
        """Make a host with no link yet; `name` is a-z, 0-9 and `-`, unique in the lab."""
        if not self._is_open:
            raise LabError("the lab is closed")
        return Host(self._workspace, name)

    def switch(self, name: str) -> Switch:
        """Make a wire, such as "the internet": a bridge, with no address, in its own namespace."""
        host = self.host(name)
        host.silence_ipv6()
        return Switch(host, host.add_bridge(_WIRE_BRIDGE))

    def router(self, name: str) -> Host:
        """Make a host that forwards IPv4 and IPv6, with no translation and no filter."""
        host = self.host(name)
        host.route()
        return host

    def nat(
        self,
        name: str,
        *,
        wan: Switch,
        wan_address: str,
        lan_subnet: str,
        gateway: str | None = None,
        kind: NatKind = NatKind.PORT,
        hairpin: bool = False,
        blocks_udp: bool = False,
    ) -> Nat:
        """Make a NAT box, `wan_address` (`ip/prefixlen`) on the wire `wan`, and a LAN behind it.

        `kind` says what it makes of ports and whom it lets in (see `nats`), `gateway` is its own
        way out. For nested NATs give the outer one's `lan` as `wan`.
        """
        subnet = IPv4Network(lan_subnet)
        own = str(subnet.network_address + 1)
        host = self.router(name)
        link = self.connect(host, wan, wan_address, gateway=gateway)
        outside = wan_address.partition("/")[0]
        rules = NatRules(
            kind, link.interface, outside, _LAN_BRIDGE, lan_subnet, hairpin, blocks_udp
        )
        host.nft(rules.text())
        host.add_bridge(_LAN_BRIDGE)
        # Not an underlay address of the box: partitions concern its WAN side.
        host.ip("addr", "add", f"{own}/{subnet.prefixlen}", "dev", _LAN_BRIDGE)
        return Nat(host, link, Switch(host, _LAN_BRIDGE), own)

    def firewall(
        self,
        name: str,
        *,
        wan: Switch,
        wan_address: str,
        lan_subnet: str,
        gateway: str | None = None,
        lan: Switch | None = None,
    ) -> Nat:
        """Make an IPv6 router that lets in whom was sent to, and a LAN behind it, or on `lan`."""
        subnet = IPv6Network(lan_subnet)
        own = str(subnet.network_address + 1)
        host = self.router(name)
        link = self.connect(host, wan, wan_address, gateway=gateway)
        host.nft(firewall(link.interface))
        inside = _LAN_BRIDGE
        if lan is None:
            lan = Switch(host, host.add_bridge(_LAN_BRIDGE))
        else:
            inside = self.connect(host, lan).interface
        host.ip("addr", "add", f"{own}/{subnet.prefixlen}", "dev", inside, "nodad")
        return Nat(host, link, lan, own)

    def nat64(
        self,
        name: str,
        *,
        wan: Switch,
        wan_addresses: tuple[str, str],
        lan_subnet: str,
        gateway: str | None = None,
    ) -> Nat:
        """Make a firewall whose LAN, IPv6 alone, is led to IPv4 as well (see `nat64`).

        `wan_addresses` are its own in IPv4 and in IPv6, `gateway` is its way out in IPv6. What the
        answer has as `gateway` is also the name server to `Host.resolve_by`.
        """
        ipv4, ipv6 = wan_addresses
        box = self.firewall(name, wan=wan, wan_address=ipv6, lan_subnet=lan_subnet, gateway=gateway)
        box.host.add_addresses(box.wan.interface, ipv4)
        lead_to_ipv4(box, ipv4.partition("/")[0], self.directory)
        return box

    def connect(
        self,
        host: Host,
        switch: Switch,
        address: Addresses = None,
        *,
        gateway: Addresses = None,
        interface: str | None = None,
        mtu: int = 1500,
        offload: bool = True,
    ) -> Link:
        """Plug a host into a switch, with these addresses (`ip/prefixlen`) and default routes.

        `interface` names the host's end (by default a unique name), `mtu` is in bytes. Without
        `offload` the kernel cuts super-frames into segments and fills in checksums before the wire,
        so that captures and loss rates show what a real wire would.
        """
        far = End(switch.host, self._names.link())
        near = End(host, interface or self._names.link())
        link = _cable(near, far, mtu=mtu, offload=offload, master=switch.bridge)
        host.add_addresses(near.interface, address, gateway=gateway)
        return link

    def connect_by(
        self,
        weather: Weather,
        host: Host,
        switch: Switch,
        address: Addresses = None,
        *,
        gateway: Addresses = None,
    ) -> Link:
        """As `connect`, by a line with this weather; the link returned is the host's end of it.

        Segments are cut and checksums complete before the line, so that it does to each what a wire
        would.
        """
        box = self.host(f"line-{host.name}")
        box.silence_ipv6()
        link = self.link(host, box, address, offload=False)
        beyond = self.connect(box, switch, offload=False)
        host.add_addresses(link.interface, None, gateway=gateway)
        ends = [link.far.interface, beyond.interface]
        program = [sys.executable, weather_module.__file__]
        carrier = box.start([*program, *ends, *weather.arguments()], name="weather")
        carrier.wait_for_log("^carrying")
        return link

    def link(
        self,
        a: Host,
        b: Host,
        address_a: Addresses = None,
        address_b: Addresses = None,
        *,
        mtu: int = 1500,
        offload: bool = True,
    ) -> Link:
        """Connect two hosts directly; `near` is the end in `a`. Otherwise as `connect`."""
        ends = End(a, self._names.link()), End(b, self._names.link())
        link = _cable(*ends, mtu=mtu, offload=offload)
        a.add_addresses(link.near.interface, address_a)
        b.add_addresses(link.far.interface, address_b)
        return link

    def partition(self, a: Host, b: Host, *, one_way: bool = False, larger_than: int = 0) -> None:
        """Lose all IP packets between two hosts' underlay addresses, silently, until `heal`.

        Hosts behind a NAT are known to others by its address: name the NAT boxes instead. With
        `one_way` only those from `a` to `b` are lost; with `larger_than` only those whose IP length
        exceeds that many bytes (see `Link.drop` for offload). Raises LabError if the sender has no
        address.
        """
        self.heal(a, b)
        for source, target in [(a, b)] if one_way else [(a, b), (b, a)]:
            if not source.addresses:
                raise LabError(f"{source.name} has no underlay address to cut off")
            table = filters.table_name("cut", source.name)
            target.nft(filters.drop_from(table, source.addresses, larger_than=larger_than))

    def heal(self, a: Host, b: Host) -> None:
        """Undo `partition`; nothing happens if there is none."""
        for source, target in [(a, b), (b, a)]:
            target.nft(filters.remove("inet", filters.table_name("cut", source.name)))

    def log_tails(self) -> str:
        """The ends of the logs of all programs started so far, for a failure's message."""
        return "\n".join(process.tail() for process in self._workspace.processes)

    def _remove_namespaces(self) -> list[str]:
        failures = []
        for name in namespaces(self._names.prefix):
            try:
                remove_namespace(name)
            except LabError as error:
                failures.append(str(error))
        return failures


def _cable(near: End, far: End, *, mtu: int, offload: bool, master: str | None = None) -> Link:
    # Both ends are created in their namespaces; neither is ever in the machine's own.
    peer = ["peer", "name", far.interface, "mtu", str(mtu), "netns", far.host.namespace]
    near.host.ip("link", "add", near.interface, "mtu", str(mtu), "type", "veth", *peer)
    if master is not None:
        far.host.ip("link", "set", far.interface, "master", master)
    for end in (far, near):
        if not offload:
            off = ["tx", "off", "tso", "off", "gso", "off", "gro", "off"]
            end.host.run(["ethtool", "-K", end.interface, *off])
        end.host.ip("link", "set", end.interface, "up")
    return Link(near, far)
