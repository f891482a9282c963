"""The decision for one frame: to which members, into the port, or why not (section 10).

Split horizon: what came from the port goes into the mesh or nowhere, what came from the mesh goes
into the port or nowhere. Broadcast and multicast go to every member, unknown unicast only to those
that bridge, because all others have told by their signed MAC which station they are.
"""

from dataclasses import dataclass

from l2mesh.datapath.interface import DropReason, Limits
from l2mesh.switch.ethernet import Class, classify
from l2mesh.switch.fdb import NOBODY, Fdb
from l2mesh.switch.guard import is_source_allowed
from l2mesh.switch.limits import StormLimits


@dataclass(frozen=True, slots=True)
class Member:
    """Another member of the network."""

    mac: bytes
    """Its signed MAC."""
    bridge: bool
    """Whether other stations may be behind it."""


class Switch:
    """One network's switch as this node has it. Peers are fingerprints, this node is None."""

    __slots__ = (
        "_bridges",
        "_everyone",
        "_is_listed",
        "blocked",
        "bridge",
        "fdb",
        "mac",
        "members",
        "storm",
    )

    def __init__(self, mac: bytes, fdb: Fdb, *, bridge: bool) -> None:
        self.mac = mac
        self.bridge = bridge
        self.fdb = fdb
        self.members: dict[bytes, Member] = {}
        self.storm = StormLimits(Limits())
        self.blocked: frozenset[int] = frozenset()
        """VLANs in which another bridge forwards for our LAN."""
        self._everyone: tuple[bytes, ...] = ()
        self._bridges: tuple[bytes, ...] = ()
        self._is_listed = True
        """Whether the two lists are those of `members`: a roster of thousands comes one by one."""
        fdb.static[mac] = None

    def set_own(self, mac: bytes, *, bridge: bool) -> None:
        """Replace this node's signed MAC and right."""
        if mac != self.mac:
            del self.fdb.static[self.mac]
            # a member may have been refused this MAC while it was ours
            for peer, member in self.members.items():
                self.fdb.static.setdefault(member.mac, peer)
            self.mac = mac
            self.fdb.set_static(mac, None)
        self.bridge = bridge

    def set_member(self, peer: bytes, member: Member) -> None:
        """Add or replace a member. If two claim one MAC, this node wins, else the later one."""
        before = self.members.get(peer)
        if before is not None and before.mac != member.mac:
            self._unsign(peer, before.mac)
        self.members[peer] = member
        if member.mac != self.mac:
            self.fdb.set_static(member.mac, peer)
        if not member.bridge:
            self.fdb.flush(peer)
        self._is_listed = False

    def remove_member(self, peer: bytes) -> None:
        """Forget a member, what was learned behind it and what it has flooded."""
        member = self.members.pop(peer, None)
        if member is None:
            return
        self._unsign(peer, member.mac)
        self.fdb.flush(peer)
        self.storm.forget(peer)
        self._is_listed = False

    def is_source_allowed(self, mac: bytes, source: bytes | None) -> bool:
        """The guard, for a member or this node."""
        bridge = self.bridge if source is None else self.members[source].bridge
        guard = self.storm.limits.guard
        return is_source_allowed(self.fdb, mac, source, is_bridge=bridge, guard=guard)

    def is_blocked_from_port(self, vlan: int, destination: bytes, source: bytes) -> bool:
        """Whether the loop guard keeps a frame out of the mesh.

        What we send to another signed MAC never reaches a LAN, so it cannot come back.
        """
        if vlan not in self.blocked:
            return False
        return source != self.mac or self.fdb.static.get(destination) is None

    def is_blocked_from_mesh(self, vlan: int, destination: bytes) -> bool:
        """Whether the loop guard keeps a frame off our LAN."""
        return vlan in self.blocked and destination != self.mac

    def from_port(
        self, vlan: int, destination: bytes, now: float, frames: int = 1
    ) -> tuple[bytes, ...] | DropReason:
        """The members that get a frame from the local port, each exactly once.

        A super-frame counts as the `frames` that the kernel would make of it.
        """
        kind = classify(destination)
        if not self._is_listed:
            self._list()
        if kind is not Class.UNICAST:
            if kind is Class.LINK_LOCAL and not self.storm.limits.bpdu:
                return DropReason.LINK_LOCAL_GROUP
            receivers = self._everyone
        else:
            owner = self.fdb.lookup(vlan, destination, now)
            if owner is None:
                return DropReason.SAME_PORT
            if owner is not NOBODY:
                return (owner,)
            receivers = self._bridges
            if not receivers:
                return DropReason.UNKNOWN_UNICAST
        if not self.storm.allows(kind, None, now, frames):
            return DropReason.STORM
        return receivers

    def from_mesh(
        self, vlan: int, destination: bytes, source: bytes, now: float
    ) -> DropReason | None:
        """None: a frame from `source` goes into the local port."""
        kind = classify(destination)
        if kind is not Class.UNICAST:
            if kind is Class.LINK_LOCAL and not self.storm.limits.bpdu:
                return DropReason.LINK_LOCAL_GROUP
        else:
            owner = self.fdb.lookup(vlan, destination, now)
            if owner is None:
                return None
            if owner is not NOBODY:
                return DropReason.SAME_PORT
            if not self.bridge:
                return DropReason.UNKNOWN_UNICAST
        return None if self.storm.allows(kind, source, now) else DropReason.STORM

    def _unsign(self, peer: bytes, mac: bytes) -> None:
        if self.fdb.static.get(mac) == peer:
            del self.fdb.static[mac]

    def _list(self) -> None:
        self._is_listed = True
        self._everyone = tuple(self.members)
        self._bridges = tuple(peer for peer, member in self.members.items() if member.bridge)
