"""The local ports: one switch for each open network, and express tables of its members."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from l2mesh.bucket import TokenBucket
from l2mesh.datapath.interface import (
    ClosePort,
    DropReason,
    FdbEntry,
    FlushPeer,
    OpenPort,
    PortOffloads,
    RemoveMember,
    SetBlocked,
    SetGroups,
    SetLimits,
    SetMember,
    SetPortOffloads,
    SetStaticEntries,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.broadcasts import Outgoing, Source
from l2mesh.datapath.reference.held import HeldFrames
from l2mesh.datapath.reference.peers import Peer, Peers
from l2mesh.switch.ethernet import HEADER_BYTES
from l2mesh.switch.fdb import Fdb
from l2mesh.switch.forward import Member, Switch
from l2mesh.switch.groups import Segment, Wanted

BEACONS_PER_SECOND: Final = 64
"""From one port; more are somebody's nonsense."""
BEACON_BURST: Final = 128
GROUP_TALK_PER_SECOND: Final = 256
"""IGMP and MLD messages from one port that are told; more are dropped."""
GROUP_TALK_BURST: Final = 512
QUERIES_PER_SECOND: Final = 16
"""Queries from the mesh that are told; more pass untold."""
QUERY_BURST: Final = 32

_NONE: Final = PortOffloads()
MAX_VETTED: Final = 4096
"""Source addresses remembered, of one port."""


@dataclass(slots=True, eq=False)
class Port:
    """The port of one network."""

    network: int
    switch: Switch
    mtu: int
    untagged_max: int
    """Length of the longest untagged frame."""
    beacons: TokenBucket
    """How many beacons from it are told."""
    group_talk: TokenBucket
    """How many IGMP and MLD messages from it are told."""
    queries: TokenBucket
    """How many queries of members are told."""
    offloads: PortOffloads = _NONE
    """What whoever reads it understands."""
    peers: dict[bytes, Peer] = field(default_factory=dict)
    """Members by fingerprint."""
    outward: dict[bytes, Peer] = field(default_factory=dict)
    """A member's signed MAC | ours -> the member: frames that surely go to it alone."""
    inward: dict[bytes, Peer] = field(default_factory=dict)
    """Our signed MAC | a member's -> the member: frames that, from it, surely go to our port."""
    vetted: dict[bytes, Peer | None] = field(default_factory=dict)
    """Source IP address -> who last passed the guard with it (None: this node)."""
    outgoing: Outgoing | None = None
    """Our own broadcasts, where others replicate them."""
    sources: dict[bytes, Source] = field(default_factory=dict)
    """Members whose replicated broadcasts are believed, by fingerprint."""

    def refresh(self) -> None:
        """Make the express tables anew."""
        own = self.switch.own.mac
        self.vetted.clear()
        signed = [(mac, owner) for mac, owner in self.switch.fdb.signed.items() if owner]
        self.outward = {mac + own: self.peers[owner] for mac, owner in signed}
        self.inward = {own + mac: self.peers[owner] for mac, owner in signed}

    def refresh_mac(self, mac: bytes) -> None:
        """Bring the express tables up to date about one MAC that is, or was, signed to somebody."""
        own, owner = self.switch.own.mac, self.switch.fdb.signed.get(mac)
        if owner:
            self.outward[mac + own] = self.inward[own + mac] = self.peers[owner]
        else:
            self.outward.pop(mac + own, None)
            self.inward.pop(own + mac, None)


class Ports:
    """All open ports, and the commands about them."""

    __slots__ = ("_bounds", "_held", "_peers", "table")

    table: dict[int, Port]
    """By network ID."""

    def __init__(self, peers: Peers, held: HeldFrames, bounds: Bounds) -> None:
        self._peers = peers
        self._held = held
        self._bounds = bounds
        self.table = {}

    def open(self, command: OpenPort, now: float) -> None:
        """Open a port, or change MAC, MTU and right of an open one."""
        port = self.table.get(command.network)
        own = _signed(command)
        if port is None:
            bounds = self._bounds
            fdb = Fdb(bounds.fdb_per_peer, bounds.fdb_per_network, bounds.fdb_own)
            beacons = TokenBucket(BEACONS_PER_SECOND, BEACON_BURST, now)
            talk = TokenBucket(GROUP_TALK_PER_SECOND, GROUP_TALK_BURST, now)
            queries = TokenBucket(QUERIES_PER_SECOND, QUERY_BURST, now)
            switch = Switch(own, fdb)
            port = Port(command.network, switch, 0, 0, beacons, talk, queries)
            self.table[command.network] = port
        port.switch.set_own(own)
        port.mtu = command.mtu
        port.untagged_max = command.mtu + HEADER_BYTES
        port.refresh()

    def close(self, command: ClosePort, now: float) -> None:
        """Close a port and forget its members."""
        port = self.table.pop(command.network, None)
        if port is None:
            return
        for peer in port.peers.values():
            self._part(peer, command.network, DropReason.NO_PORT, now)

    def set_offloads(self, command: SetPortOffloads, now: float) -> None:
        """What the reader of a port understands; super-frames only with open checksums."""
        port = self.table.get(command.network)
        if port is not None:
            offloads = command.offloads
            port.offloads = offloads if offloads.checksum else _NONE

    def set_member(self, command: SetMember, now: float) -> None:
        """Add or change a member."""
        port = self.table.get(command.network)
        if port is None:
            return
        if command.peer not in port.peers:
            peer = port.peers[command.peer] = self._peers.obtain(command.peer)
            peer.memberships += 1
        before = port.switch.members.get(command.peer)
        port.switch.set_member(command.peer, _signed(command))
        port.vetted.clear()
        port.refresh_mac(command.mac)
        if before is not None:
            port.refresh_mac(before.mac)

    def remove_member(self, command: RemoveMember, now: float) -> None:
        """Forget a member; frames that wait for it are dropped."""
        port = self.table.get(command.network)
        if port is None or command.peer not in port.peers:
            return
        mac = port.switch.members[command.peer].mac
        port.switch.remove_member(command.peer)
        port.vetted.clear()
        port.sources.pop(command.peer, None)
        peer = port.peers.pop(command.peer)
        port.refresh_mac(mac)
        self._part(peer, command.network, DropReason.NOT_A_MEMBER, now)

    def flush_peer(self, command: FlushPeer, now: float) -> None:
        """Forget what was learned behind a peer or behind us."""
        port = self.table.get(command.network)
        if port is not None:
            port.switch.fdb.flush(command.peer)

    def set_static_entries(self, command: SetStaticEntries, now: float) -> None:
        """Replace the static entries."""
        port = self.table.get(command.network)
        if port is not None:
            port.switch.fdb.set_static(command.entries)

    def set_blocked(self, command: SetBlocked, now: float) -> None:
        """Replace the set of blocked VLANs."""
        port = self.table.get(command.network)
        if port is not None:
            port.switch.blocked = command.vlans

    def set_groups(self, command: SetGroups, now: float) -> None:
        """Replace what the port of a member, or our own, wants of groups."""
        port, peer = self.table.get(command.network), command.peer
        if port is None or not (peer is None or peer in port.peers):
            return
        listed = {Segment(*one): one in command.reports for one in command.listed}
        port.switch.groups.set(peer, Wanted(listed, command.groups))

    def set_limits(self, command: SetLimits, now: float) -> None:
        """Replace the limits; all buckets are full again."""
        port = self.table.get(command.network)
        if port is not None:
            port.switch.set_limits(command.limits)
            port.vetted.clear()

    def expire(self, now: float) -> None:
        """Age the FDBs."""
        for port in self.table.values():
            port.switch.fdb.expire(now)

    def next_expiry(self) -> float | None:
        """When the next learned entry has its age."""
        expiries = (port.switch.fdb.next_expiry() for port in self.table.values())
        return min((one for one in expiries if one is not None), default=None)

    def fdb(self, network: int, now: float) -> Iterator[FdbEntry]:
        """Signed MACs, then static entries, then what was learned."""
        port = self.table.get(network)
        if port is None:
            return
        fdb = port.switch.fdb
        for mac, owner in fdb.signed.items():
            yield FdbEntry(network, 0, mac, owner, 0.0, True, True)
        for (vlan, mac), owner in fdb.static.items():
            if mac not in fdb.signed:
                yield FdbEntry(network, vlan, mac, owner, 0.0, True, False)
        for vlan, mac, station in fdb.learned(now):
            yield FdbEntry(network, vlan, mac, station.owner, now - station.seen, False, False)

    def _part(self, peer: Peer, network: int, reason: DropReason, now: float) -> None:
        self._held.drop(peer, network, reason, now)
        peer.memberships -= 1
        self._peers.release(peer)


def _signed(command: OpenPort | SetMember) -> Member:
    """What a controller has signed to a member, or to this node."""
    return Member(
        mac=command.mac,
        bridge=command.bridge,
        router=command.router,
        dhcp=command.dhcp,
        ra=command.ra,
        addresses=command.addresses,
    )
