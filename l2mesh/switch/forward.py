"""The decision for one frame: to which members, into the port, or why not (section 10).

Split horizon: what came from the port goes into the mesh or nowhere, what came from the mesh goes
into the port or nowhere. Broadcast goes to every member, an IP group to those who want it (see
``groups``), unknown unicast only to those that bridge, because all others have told by their signed
MAC which station they are. Who asks for a signed address by ARP or ND is heard by its owner alone.
"""

from dataclasses import dataclass
from typing import Final

from l2mesh.datapath.interface import DropReason, Limits
from l2mesh.switch.addresses import Addresses
from l2mesh.switch.claims import Claims
from l2mesh.switch.ethernet import HEADER_BYTES, MAC_CONTROL, Class, Header, classify
from l2mesh.switch.fdb import NOBODY, Fdb, Nobody, Owner
from l2mesh.switch.groups import Groups, group_of, is_for_all, segment_of
from l2mesh.switch.guard import Guard, Member
from l2mesh.switch.inside import ND, Inside, Kind, look_inside
from l2mesh.switch.limits import StormLimits
from l2mesh.switch.offences import Offences
from l2mesh.switch.resolution import Resolutions

__all__ = ["Frame", "Member", "Switch", "read_frame"]

_TO_GROUPS: Final = frozenset({Class.MULTICAST, Class.DISCOVERY})


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, taken apart."""

    destination: bytes
    source: bytes
    header: Header
    inside: Inside
    kind: Class
    """As limits and flooding see it."""
    group: bytes = b""
    """The IP group that it is for, of 4 or 16 bytes; empty if it is for none."""


def read_frame(frame: bytes, header: Header) -> Frame:
    """The parts of a frame whose header has been read."""
    inside, destination = look_inside(frame, header), frame[:6]
    kind = classify(destination, header.ethertype)
    if kind is Class.MULTICAST and inside.kind in ND:
        kind = Class.ND
    group = group_of(frame, header) if kind in _TO_GROUPS else b""
    return Frame(destination, frame[6:12], header, inside, kind, group)


class Switch:
    """One network's switch as this node has it. Peers are fingerprints, this node is None."""

    __slots__ = (
        "_addresses",
        "_bridges",
        "_everyone",
        "_is_listed",
        "_resolutions",
        "blocked",
        "claims",
        "fdb",
        "groups",
        "guard",
        "members",
        "offences",
        "own",
        "storm",
    )

    def __init__(self, own: Member, fdb: Fdb) -> None:
        self.own = Member(own.mac)
        self.fdb = fdb
        self.members: dict[bytes, Member] = {}
        self.storm = StormLimits(Limits())
        self.blocked: frozenset[int] = frozenset()
        """VLANs in which another bridge forwards for our LAN."""
        self.offences = Offences()
        self.groups = Groups()
        self.claims = Claims()
        self._addresses = Addresses()
        self.guard = Guard(fdb, self._addresses)
        self._resolutions = Resolutions()
        self._everyone: tuple[bytes, ...] = ()
        self._bridges: tuple[bytes, ...] = ()
        self._is_listed = True
        """Whether the two lists are those of `members`: a roster of thousands comes one by one."""
        fdb.signed[own.mac] = None
        self.set_own(own)

    def set_own(self, own: Member) -> None:
        """Replace what is signed to this node."""
        if own.mac != self.own.mac:
            del self.fdb.signed[self.own.mac]
            # a member may have been refused this MAC while it was ours
            for peer, member in self.members.items():
                self.fdb.signed.setdefault(member.mac, peer)
            self.fdb.sign(own.mac, None)
        self._addresses.replace(None, self.own.addresses, own.addresses)
        self.own = own

    def set_member(self, peer: bytes, member: Member) -> None:
        """Add or replace a member. If two claim one MAC, this node wins, else the later one."""
        before = self.members.get(peer)
        if before is not None and before.mac != member.mac:
            self._unsign(peer, before.mac)
        self.members[peer] = member
        if member.mac != self.own.mac:
            self.fdb.sign(member.mac, peer)
        if not member.bridge:
            self.fdb.flush(peer)
        self._addresses.replace(peer, before.addresses if before else (), member.addresses)
        self._is_listed = False

    def remove_member(self, peer: bytes) -> None:
        """Forget a member, what was learned behind it and what it has flooded."""
        member = self.members.pop(peer, None)
        if member is None:
            return
        self._unsign(peer, member.mac)
        self.fdb.flush(peer)
        self.storm.forget(peer)
        self.offences.forget(peer)
        self.groups.forget(peer)
        self._addresses.replace(peer, member.addresses, ())
        self._is_listed = False

    def set_limits(self, limits: Limits) -> None:
        """Replace the limits; all buckets are full again."""
        self.storm = StormLimits(limits)
        self.groups.members_changed()
        self.guard.mode = limits.guard

    def judge(self, frame: Frame, source: Owner) -> DropReason | None:
        """The guard, for a member or this node."""
        member = self.own if source is None else self.members[source]
        if not self.guard.is_mac_allowed(frame.source, source, member):
            return DropReason.SOURCE_MAC
        if self.fdb.is_elsewhere(frame.header.vlan, frame.source, source):
            return DropReason.STATIC_ENTRY
        return self.guard.judge(frame.inside, source, member)

    def is_blocked_from_port(self, frame: Frame) -> bool:
        """Whether the loop guard keeps a frame out of the mesh.

        What we send to another signed MAC never reaches a LAN, so it cannot come back.
        """
        if frame.header.vlan not in self.blocked:
            return False
        return frame.source != self.own.mac or self.fdb.signed.get(frame.destination) is None

    def is_blocked_from_mesh(self, frame: Frame) -> bool:
        """Whether the loop guard keeps a frame off our LAN."""
        return frame.header.vlan in self.blocked and frame.destination != self.own.mac

    def from_port(
        self, frame: Frame, now: float, frames: int = 1
    ) -> tuple[bytes, ...] | DropReason:
        """The members that get a frame from the local port, each exactly once.

        A super-frame counts as the `frames` that the kernel would make of it.
        """
        if not self._is_listed:
            self._list()
        if frame.kind is Class.UNICAST:
            owner = self.fdb.lookup(frame.header.vlan, frame.destination, now)
            if owner is None:
                return DropReason.SAME_PORT
            if owner is not NOBODY:
                return (owner,) if owner in self.members else DropReason.UNKNOWN_UNICAST
            receivers = self._bridges
            if not receivers:
                return DropReason.UNKNOWN_UNICAST
        elif frame.kind is not Class.LINK_LOCAL:
            receivers = self._everyone
        elif not self._carries_reserved(frame, None):
            return DropReason.LINK_LOCAL_GROUP
        else:
            receivers = self._everyone if self._passes_reserved() else self._bridges
        reason = self.storm.judge(frame.kind, None, now, frames)
        if reason is not None:
            return reason
        if frame.group and receivers:
            return self._of_group(frame) or DropReason.GROUP_UNWANTED
        owner = self._find_owner(frame, now)
        if owner is None:
            return DropReason.SAME_PORT
        return receivers if owner is NOBODY else (owner,)

    def from_mesh(self, frame: Frame, source: bytes, now: float) -> DropReason | None:
        """None: a frame from `source` goes into the local port."""
        if frame.kind is Class.UNICAST:
            self._note_answer(frame)
            owner = self.fdb.lookup(frame.header.vlan, frame.destination, now)
            if owner is None:
                return None
            if owner is not NOBODY:
                is_here = owner in self.members
                return DropReason.SAME_PORT if is_here else DropReason.UNKNOWN_UNICAST
            if not self.own.bridge:
                return DropReason.UNKNOWN_UNICAST
        elif frame.kind is Class.LINK_LOCAL and not self._carries_reserved(frame, source):
            return DropReason.LINK_LOCAL_GROUP
        reason = self.storm.judge(frame.kind, source, now)
        if reason is None and frame.group and not self._is_group_wanted(frame):
            return DropReason.GROUP_UNWANTED
        return reason

    def _passes_reserved(self) -> bool:
        """Whether 01-80-C2-00-00-00..0F is for everyone."""
        return self.storm.limits.bpdu == "pass"

    def _carries_reserved(self, frame: Frame, source: Owner) -> bool:
        """Whether a frame to 01-80-C2-00-00-00..0F goes further; `source` None: from our port."""
        if self.storm.limits.bpdu == "block" or frame.destination in MAC_CONTROL:
            return False
        if self._passes_reserved():
            return True
        others = self._bridges if source is None else self.members[source].bridge
        return self.own.bridge and bool(others)

    def _of_group(self, frame: Frame) -> tuple[bytes, ...]:
        """The members that want a frame to an IP group."""
        vlan, group, kind = frame.header.vlan, frame.group, frame.inside.kind
        if kind is Kind.GROUP_REPORT:
            return self.groups.of_report(segment_of(vlan, group), self._everyone)
        if kind is Kind.GROUP_QUERY or is_for_all(group):
            return self._everyone
        floods = self.storm.limits.floods_groups
        return self.groups.of_group(vlan, group, self._everyone, floods=floods)

    def _is_group_wanted(self, frame: Frame) -> bool:
        """Whether our own port wants a frame to an IP group."""
        vlan, group, kind = frame.header.vlan, frame.group, frame.inside.kind
        if kind is Kind.GROUP_REPORT:
            return self.groups.hears_reports(segment_of(vlan, group))
        if kind is Kind.GROUP_QUERY or is_for_all(group):
            return True
        return self.groups.is_wanted(vlan, group, floods=self.storm.limits.floods_groups)

    def is_to_be_replicated(self, receivers: tuple[bytes, ...], frame: bytes) -> bool:
        """Whether others should carry a frame from the port on, if there are such.

        They do so to every member: to all of whom `from_port` has said that it goes to all, or to
        more than half, for an IP group; whoever does not want that drops it.
        """
        count, most = len(receivers), len(self._everyone)
        if count < 2 or not frame[0] & 1:  # noqa: PLR2004 - one is no flood
            return False
        is_tunnelled = classify(frame[:6], 0) is Class.LINK_LOCAL
        return count == most or (2 * count > most and not is_tunnelled)

    def _find_owner(self, frame: Frame, now: float) -> Owner | Nobody:
        """The one that a request is for and that is to be asked alone."""
        kind, sender, target, _ = frame.inside
        is_request = (
            frame.kind is Class.ARP and kind is Kind.ARP_REQUEST and sender != target
        ) or (frame.kind is Class.ND and kind is Kind.SOLICITATION)
        if not is_request or not any(sender) or frame.header.payload != HEADER_BYTES:
            return NOBODY
        owners = self._addresses.owners(target)
        if len(owners) != 1 or self.guard.mode == "off":
            return NOBODY
        return owners[0] if self._resolutions.is_first(frame.source, target, now) else NOBODY

    def _note_answer(self, frame: Frame) -> None:
        """A request is answered by a reply or an advertisement to who asked."""
        kind, sender, target, _ = frame.inside
        if kind is Kind.ARP_OTHER:
            self._resolutions.answered(frame.destination, sender)
        elif kind is Kind.ADVERTISEMENT:
            self._resolutions.answered(frame.destination, target)

    def _unsign(self, peer: bytes, mac: bytes) -> None:
        if self.fdb.signed.get(mac) == peer:
            del self.fdb.signed[mac]

    def _list(self) -> None:
        self._is_listed = True
        self.groups.members_changed()
        self._everyone = tuple(self.members)
        self._bridges = tuple(peer for peer, member in self.members.items() if member.bridge)
