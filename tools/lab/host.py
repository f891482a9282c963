"""The pieces of a topology: hosts, the switches between them, NAT boxes and links."""

import itertools
import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.lab import filters
from tools.lab.command import Argument, run
from tools.lab.names import Names
from tools.lab.process import Process

# Path of every name under /proc/sys, then its value. IPv4's settings come from the machine's own
# namespace, which may route or filter, so those a host relies on are set.
_HOST_SYSCTLS = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    # No duplicate address detection: an address is usable at once, not after a second or two.
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
}
_ROUTER_SYSCTLS = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}
_SILENT_SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}
# What other namespaces than the first may use by default; the file may be missing in a container.
_ALLOWED_CONGESTION_CONTROLS = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")

# Arguments: PATH=VALUE ...; says which one failed, as the shell's own message does not.
_SYSCTL_SCRIPT = """
for setting; do
    printf %s "${setting#*=}" > "/proc/sys/${setting%%=*}" 2>/dev/null ||
        { echo "cannot set $setting" >&2; exit 1; }
done
"""

_RESOLVER_SCRIPT = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'

_logs = itertools.count(1)

Addresses = str | Sequence[str] | None
"""One `ip/prefixlen`, several, or none."""


def listed(addresses: Addresses) -> list[str]:
    """The addresses as a list."""
    if addresses is None:
        return []
    return [addresses] if isinstance(addresses, str) else list(addresses)


@dataclass
class Workspace:
    """What the parts of one lab share: its names, its directory and what it has started."""

    names: Names
    directory: Path
    processes: list[Process] = field(default_factory=list)


class Host:
    """A network namespace with programs in it.

    `name` is the label within the lab, `namespace` the name that `ip netns` shows, `addresses` the
    underlay addresses that the lab gave it, without prefix lengths, in order. `congestion_control`
    is TCP's there: cubic or, where the kernel allows that to the first namespace only, reno.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Make the namespace: loopback up, IPv6 on without duplicate address detection."""
        self.name = name
        self.namespace = workspace.names.namespace(name)
        self.directory = workspace.directory
        self.addresses: list[str] = []
        self._workspace = workspace
        self._resolver: Path | None = None
        run(["ip", "netns", "add", self.namespace])
        self.congestion_control = _congestion_control()
        self.sysctl({**_HOST_SYSCTLS, "net/ipv4/tcp_congestion_control": self.congestion_control})
        self.ip("link", "set", "lo", "up")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def run(
        self,
        argv: Sequence[Argument],
        *,
        timeout: float = 30.0,
        check: bool = True,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program here to its end; everything else as `command.run`, which see."""
        return run(self._inside(argv), timeout=timeout, check=check, stdin=stdin, env=env)

    def start(
        self, argv: Sequence[Argument], *, name: str = "", env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program here in the background, its log in a new file in the lab's directory.

        `name` (by default the program's) tells its log from others. The lab stops it on closing.
        """
        title = f"{self.name}.{name or Path(argv[0]).name}"
        log_path = self.directory / f"{title}.{next(_logs)}.log"
        process = Process(self._inside(argv), name=title, log_path=log_path, env=env)
        self._workspace.processes.append(process)
        return process

    def ip(self, *words: Argument) -> str:
        """Run `ip WORDS` here, such as `ip("link", "set", "lo", "up")`; returns its output."""
        return run(["ip", "-n", self.namespace, *words]).stdout

    def ip_json(self, *words: Argument) -> Any:
        """Run `ip WORDS` here, such as `ip_json("addr", "show")`; returns the parsed JSON."""
        return json.loads(run(["ip", "-n", self.namespace, "-j", "-d", *words]).stdout or "[]")

    def nft(self, rules: str) -> None:
        """Load a text of nftables rules here; all of it takes effect, or CommandError is raised."""
        self.run(["nft", "-f", "-"], stdin=rules)

    def sysctl(self, settings: Mapping[str, str]) -> None:
        """Set `{"net/ipv4/ip_forward": "1"}` and the like; raises CommandError if refused."""
        pairs = [f"{path}={setting}" for path, setting in settings.items()]
        self.run(["sh", "-c", _SYSCTL_SCRIPT, "sh", *pairs])

    def add_bridge(
        self,
        name: str = "br0",
        *,
        ports: Iterable[str] = (),
        address: Addresses = None,
        gateway: Addresses = None,
    ) -> str:
        """Make a Linux bridge here, up at once, with these interfaces as ports; returns its name.

        No spanning tree, no multicast snooping. Its MAC is fixed, so it does not change when ports
        come and go. Addresses and default routes go on the bridge.
        """
        mac = bytes([0x02]) + os.urandom(5)  # locally administered, unicast
        kind = ["type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"]
        self.ip("link", "add", name, "address", mac.hex(":"), *kind)
        self.ip("link", "set", name, "up")
        for port in ports:
            self.ip("link", "set", port, "master", name)
        self.add_addresses(name, address, gateway=gateway)
        return name

    def add_addresses(
        self, interface: str, address: Addresses, *, gateway: Addresses = None
    ) -> None:
        """Put underlay addresses (`ip/prefixlen`) and default routes on an interface."""
        for entry in listed(address):
            extra = ["nodad"] if ":" in entry else []
            self.ip("addr", "add", entry, "dev", interface, *extra)
            self.addresses.append(entry.partition("/")[0])
        for router in listed(gateway):
            self.ip("route", "add", "default", "via", router, "dev", interface)

    def route(self) -> None:
        """Make it a router: it forwards IPv4 and IPv6 between its interfaces."""
        self.sysctl(_ROUTER_SYSCTLS)

    def resolve_by(self, server: str) -> None:
        """Have programs that are started from now on ask this name server, and no other."""
        self._resolver = self.directory / f"{self.name}.resolv.conf"
        self._resolver.write_text(f"nameserver {server}\n")

    def silence_ipv6(self) -> None:
        """Keep the namespace's own IPv6 (router solicitations, MLD) off its wires."""
        self.sysctl(_SILENT_SYSCTLS)

    def _inside(self, argv: Sequence[Argument]) -> list[Argument]:
        line: list[Argument] = ["ip", "netns", "exec", self.namespace]
        if self._resolver is not None:  # `ip` gives each program a mount namespace of its own
            line += ["sh", "-c", _RESOLVER_SCRIPT, self._resolver]
        return [*line, *argv]


@dataclass(frozen=True)
class Switch:
    """A wire: a bridge that hosts are connected to."""

    host: Host
    """The namespace that the bridge is in: its own, or the NAT box whose LAN it is."""
    bridge: str
    """The bridge's interface name, for instance to capture on."""


@dataclass(frozen=True)
class End:
    """One end of a link."""

    host: Host
    """The namespace that it is in."""
    interface: str
    """Its name there."""


@dataclass(frozen=True)
class Link:
    """A cable (a veth pair): `near` is the end of the host connected, `far` the other one."""

    near: End
    """The end in the host that was named first."""
    far: End
    """The end in the other host, or the switch's port."""

    @property
    def interface(self) -> str:
        """The interface name at the near end."""
        return self.near.interface

    def drop(self, fraction: float = 1.0) -> None:
        """Lose this fraction of the frames in each direction, ARP and ND too; neither end notices.

        With segmentation offload a frame may stand for up to 64 KiB of segments: for a true rate,
        connect with `offload=False`.
        """
        for end in (self.near, self.far):
            table = filters.table_name("drop", end.interface)
            end.host.nft(filters.drop_frames(table, end.interface, fraction=fraction))

    def restore(self) -> None:
        """Lose nothing any more; nothing happens if nothing was lost."""
        for end in (self.near, self.far):
            end.host.nft(filters.remove("netdev", filters.table_name("drop", end.interface)))

    def unplug(self) -> None:
        """Take the far end down: the near end loses its carrier, as with a pulled cable."""
        self.far.host.ip("link", "set", self.far.interface, "down")

    def plug(self) -> None:
        """Undo `unplug`."""
        self.far.host.ip("link", "set", self.far.interface, "up")


@dataclass(frozen=True)
class Nat:
    """A NAT box, as most homes have one, or a firewall."""

    host: Host
    """The box itself."""
    wan: Link
    """Its link to the internet; `wan.interface` is the box's end."""
    lan: Switch
    """The wire behind it."""
    gateway: str
    """Its own address on that wire: the first one of the subnet."""


def _congestion_control() -> str:
    # Loss-based in any case, for results that compare: bbr without fq paces by timers of its own.
    try:
        allowed = _ALLOWED_CONGESTION_CONTROLS.read_text().split()
    except OSError:
        allowed = []
    return "cubic" if "cubic" in allowed else "reno"
