"""Who wants which IP group (section 10.2): our own port's hosts are heard, and members tell theirs.

A `Snooper` for each network hears what hosts behind the port say, and asks them. What they want
goes to our engine and, whole and numbered, to each accepted member; what members tell goes to our
engine. A member speaks for its own port alone, and with its last session all that it said is void.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from l2mesh.datapath.interface import GroupTalkHeard, MacLearned, SetGroups, Upcall, WriteFrame
from l2mesh.errors import MalformedPacket
from l2mesh.node.core import Core
from l2mesh.node.joined import Joined
from l2mesh.node.loopguards import LoopGuards
from l2mesh.node.networks import Networks
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.switch.groups import IPV4, IPV6, Wanted
from l2mesh.switch.loopguard import Role
from l2mesh.switch.membership import Query, parse_group_talk
from l2mesh.switch.pim import is_pim, parse_hello
from l2mesh.switch.snooping import Snooper
from l2mesh.wire.message import Listed, WantedGroup, WantedGroups

__all__ = ["MulticastGroups", "Port"]

MAX_GROUPS: Final = 16_384
"""That all other members of a network want together; who has more stays open."""
TELL_S: Final = 0.1
TELL_GROUP_S: Final = 0.001
"""Between two messages to everybody, and for each group in one."""


@dataclass(slots=True, eq=False)
class Port:
    """Our own port in one network."""

    mac: bytes
    bridges: bool
    asks: bool
    snooper: Snooper
    wanted: Wanted = field(default_factory=Wanted)
    tell_at: float | None = None
    """When members are told, None: they know."""
    told_at: float = float("-inf")


@dataclass(slots=True, eq=False)
class MulticastGroups(Part):
    """Ports by network ID, and what members have told."""

    core: Core
    networks: Networks
    loop_guards: LoopGuards
    has_hosts: bool = True
    """Whether what is behind our ports answers queries, as operating systems do."""
    ports: dict[int, Port] = field(default_factory=dict)
    members: dict[int, dict[bytes, WantedGroups]] = field(default_factory=dict)
    _revision: int = 0
    """Of the newest message that we sent."""

    def __post_init__(self) -> None:
        self.networks.on_met.append(self._met)
        self.networks.on_parted.append(self._parted)

    def handlers(self) -> dict[type, Handler]:
        return {WantedGroups: self._receive}

    # --- members --------------------------------------------------------------------------------

    def _receive(self, peer: Peer, message: WantedGroups, now: float) -> None:
        """What the port of a member wants."""
        joined = self.networks.joined.get(message.network)
        if joined is None or peer.fingerprint not in joined.meetings.accepted:
            self.core.refuse("not_accepted")
            return
        held = self.members.setdefault(message.network, {})
        before = held.get(peer.fingerprint)
        if before is not None and message.revision <= before.revision:
            return
        others = sum(len(one.groups) for name, one in held.items() if name != peer.fingerprint)
        if others + len(message.groups) > MAX_GROUPS:
            self.core.refuse("too_many_groups")
            message = WantedGroups(message.network, message.revision, (), ())
        held[peer.fingerprint] = message
        if _snoops(joined):
            self.core.emit(_command(peer.fingerprint, message))

    def _met(self, joined: Joined, peer: Peer, now: float) -> None:
        """A member can hear us, and may have been started anew."""
        held = self.members.get(joined.network, {})
        if (told := held.get(peer.fingerprint)) is not None:
            held[peer.fingerprint] = WantedGroups(joined.network, 0, told.listed, told.groups)
        port = self.ports.get(joined.network)
        if port is not None and port.wanted.listed:
            self.core.send(peer, self._message(joined.network, port.wanted), now)

    def _parted(self, joined: Joined, fingerprint: bytes) -> None:
        """Nothing that a member has told counts any more."""
        if self.members.get(joined.network, {}).pop(fingerprint, None) is not None:
            self.core.emit(SetGroups(joined.network, fingerprint))

    # --- our own port ---------------------------------------------------------------------------

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        if not isinstance(upcall, GroupTalkHeard | MacLearned):
            return
        port = self.ports.get(upcall.network)
        if port is None:
            return
        if isinstance(upcall, GroupTalkHeard):
            self._hear(port, upcall, now)
        elif upcall.peer is None:
            port.snooper.use(upcall.vlan, now)
        self._drain(upcall.network, port, now)

    def _hear(self, port: Port, upcall: GroupTalkHeard, now: float) -> None:
        try:
            packet = upcall.packet
            talk = parse_hello(packet) if is_pim(packet) else parse_group_talk(packet)
        except MalformedPacket:
            self.core.refuse("bad_group_talk")
            return
        if upcall.peer is None:
            # our own MAC is that of our host, which may be a router; we do not hear ourselves
            is_member = upcall.mac != port.mac and self._is_signed(upcall.network, upcall.mac)
            port.snooper.hear_port(upcall.vlan, upcall.mac, talk, now, is_member=is_member)
        elif isinstance(talk, Query):
            port.snooper.hear_mesh(upcall.vlan, talk, now)

    def next_timeout(self) -> float | None:
        if any(True for _ in self._changed()):
            return 0.0
        due = [port.snooper.next_timeout() for port in self.ports.values()]
        due += [port.tell_at for port in self.ports.values()]
        return min((at for at in due if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        for network in list(self._changed()):
            self._follow(network, now)
        for network, port in self.ports.items():
            due = port.snooper.next_timeout()
            if due is not None and due <= now:
                port.snooper.handle_timeout(now, self._blocked(network))
                self._drain(network, port, now)
            if port.tell_at is not None and port.tell_at <= now:
                self._tell(network, port, now)

    # --- inside ---------------------------------------------------------------------------------

    def _is_wanted(self, network: int) -> tuple[bytes, bool, bool] | None:
        """MAC, right to bridge, and whether we ask; None where nobody is to be heard."""
        joined = self.networks.joined.get(network)
        if joined is None or joined.port is None or joined.state.config is None:
            return None
        if not self.has_hosts or joined.device_name is None or not _snoops(joined):
            return None
        return joined.port.mac, joined.port.bridge, joined.state.config.querier

    def _changed(self) -> Iterator[int]:
        """Networks whose snooper is to begin, to end, or to begin anew."""
        for network in self.networks.joined:
            port = self.ports.get(network)
            have = None if port is None else (port.mac, port.bridges, port.asks)
            if self._is_wanted(network) != have:
                yield network
        for network in self.ports.keys() - self.networks.joined.keys():
            yield network

    def _follow(self, network: int, now: float) -> None:
        before, wanted = self.ports.pop(network, None), self._is_wanted(network)
        if before is not None:  # our port wants everything until we know better
            self.core.emit(SetGroups(network, None))
            self._tell_all(network, self._message(network, Wanted()), now)
        if wanted is not None:
            mac, bridges, asks = wanted
            snooper = Snooper(mac, asks=asks, bridges=bridges, now=now)
            port = self.ports[network] = Port(mac, bridges, asks, snooper)
            self._drain(network, port, now)
        joined = self.networks.joined.get(network)
        for fingerprint, message in self.members.get(network, {}).items():
            is_heard = joined is not None and _snoops(joined)
            told = _command(fingerprint, message)
            self.core.emit(told if is_heard else SetGroups(network, fingerprint))
        if joined is None:
            self.members.pop(network, None)

    def _drain(self, network: int, port: Port, now: float) -> None:
        while (frame := port.snooper.poll_frame()) is not None:
            self.core.emit(WriteFrame(network, frame))
        if not port.snooper.is_changed:
            return
        port.snooper.is_changed = False
        wanted = port.snooper.wanted()
        if wanted == port.wanted:
            return
        port.wanted = wanted
        listed, reports = _segments(wanted)
        self.core.emit(SetGroups(network, None, listed, reports, wanted.groups))
        pause = TELL_S + TELL_GROUP_S * len(wanted.groups)
        port.tell_at = port.tell_at or max(now, port.told_at + pause)

    def _tell(self, network: int, port: Port, now: float) -> None:
        port.tell_at, port.told_at = None, now
        self._tell_all(network, self._message(network, port.wanted), now)

    def _tell_all(self, network: int, message: WantedGroups, now: float) -> None:
        joined = self.networks.joined.get(network)
        for fingerprint in list(joined.meetings.accepted) if joined is not None else ():
            if (peer := self.core.peers.get(fingerprint)) is not None:
                self.core.send(peer, message, now)

    def _message(self, network: int, wanted: Wanted) -> WantedGroups:
        self._revision += 1
        listed = (
            Listed(one.vlan, IPV4 if one.version == IPV4 else IPV6, hears)
            for one, hears in sorted(wanted.listed.items())
        )
        groups = (WantedGroup(*one) for one in sorted(wanted.groups))
        return WantedGroups(network, self._revision, tuple(listed), tuple(groups))

    def _blocked(self, network: int) -> frozenset[int]:
        """VLANs in which another bridge speaks to our LAN."""
        guard = self.loop_guards.guards.get(network)
        if guard is None:
            return frozenset()
        return frozenset(vlan for vlan in guard.segments if guard.role(vlan) is Role.BLOCKED)

    def _is_signed(self, network: int, mac: bytes) -> bool:
        roster = self.networks.joined[network].state.roster
        return any(entry.credential.mac == mac for entry in roster)


def _snoops(joined: Joined) -> bool:
    config = joined.state.config
    return config is not None and config.snooping


def _segments(wanted: Wanted) -> tuple[frozenset[tuple[int, int]], frozenset[tuple[int, int]]]:
    """Those that are listed, and of these the ones in which reports are heard."""
    listed = frozenset((one.vlan, one.version) for one in wanted.listed)
    return listed, frozenset(
        (one.vlan, one.version) for one, hears in wanted.listed.items() if hears
    )


def _command(fingerprint: bytes, message: WantedGroups) -> SetGroups:
    return SetGroups(
        message.network,
        fingerprint,
        frozenset((one.vlan, one.version) for one in message.listed),
        frozenset((one.vlan, one.version) for one in message.listed if one.reports),
        frozenset((one.vlan, one.group) for one in message.groups),
    )
