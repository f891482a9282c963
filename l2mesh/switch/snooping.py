"""What the hosts behind our own port want of IP groups, and the querier that has them say so.

RFC 4541 snooping, with the timers of RFC 3376 section 8 and RFC 3810 section 9. There is a *share*
for each VLAN and IP version in use behind the port:

============ =========================== =========================================================
state        event                       what follows
============ =========================== =========================================================
open         a query was sent or heard   listed when hosts have had their time to answer, and 1 s
listed       a querier or a PIM router   open: a router wants every group, and a snooping switch
             was heard behind the port   that asks keeps its hosts' reports from us
listed       nobody asks any more        open
============ =========================== =========================================================

*Our querier* asks every 125 s unless it hears somebody else ask, and for 255 s after that. It asks
from 0.0.0.0 in IPv4, which wins no election; among members on one LAN the lowest MAC goes on. A
member with the right ``bridge`` asks nothing in IPv4: a snooping switch on its LAN would begin to
prune, but not count a port that asks from 0.0.0.0 among those of routers, and let no group out to
us. In IPv6 it first listens for 255 s, because a router there might fall silent if it heard our
query from a lower address.

A group is wanted for 260 s after the last report. One that is left is asked for twice within 2 s if
we are the querier; else whoever is asks, and we hear it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, TypeAlias

from l2mesh.switch.groups import IPV4, IPV6, Segment, Wanted
from l2mesh.switch.membership import GroupTalk, Query
from l2mesh.switch.pim import Hello
from l2mesh.switch.query import QUERY_INTERVAL_S, ROBUSTNESS, emit_query, link_local
from l2mesh.timers import TimerTable

__all__ = ["MAX_GROUPS", "MAX_VLANS", "Share", "Snooper"]

MAX_VLANS: Final = 128
"""In which the port is snooped on; further ones stay open."""
MAX_GROUPS: Final = 1024
"""Of all shares; one that has more stays open until it is asked anew."""

RESPONSE_S: Final = 10.0
FAST_RESPONSE_S: Final = 1.0
"""For the first query, and those for one group."""
SETTLE_S: Final = 1.0
MEMBERSHIP_S: Final = ROBUSTNESS * QUERY_INTERVAL_S + RESPONSE_S
OTHER_QUERIER_S: Final = ROBUSTNESS * QUERY_INTERVAL_S + RESPONSE_S / 2
STARTUP_S: Final = (2.0, QUERY_INTERVAL_S / 4)
"""Between the first queries."""
IDLE_S: Final = 2 * MEMBERSHIP_S
"""So long after the last word a VLAN is snooped on no longer."""
NO_IPV4: Final = bytes(4)


class _Due(Enum):
    """What a timer is for. The group is empty but for the last two."""

    QUERY = auto()
    SETTLE = auto()
    OTHER = auto()
    ROUTER = auto()
    OVERFLOW = auto()
    IDLE = auto()
    GROUP = auto()
    ASK_AGAIN = auto()


_Key: TypeAlias = tuple[_Due, Segment, bytes]


@dataclass(slots=True)
class Share:
    """One VLAN and IP version behind the port."""

    asked: int = 0
    """Queries of ours since we began to ask."""
    other: bytes | None = None
    """IP address of who asks instead of us."""
    is_settled: bool = False
    """Hosts have had the time to answer somebody's query."""
    groups: set[bytes] = field(default_factory=set)


class Snooper:
    """One network's port. Time comes in, frames for the port go out."""

    __slots__ = ("_asks", "_bridges", "_frames", "_mac", "_timers", "is_changed", "shares")

    def __init__(self, mac: bytes, *, asks: bool, bridges: bool, now: float) -> None:
        """`mac` is our signed one; `asks`: the network wants a querier."""
        self._mac = mac
        self._asks = asks
        self._bridges = bridges
        self._timers: TimerTable[_Key] = TimerTable()
        self._frames: deque[bytes] = deque()
        self.is_changed = True
        """Whether `wanted` may give something else than when this was last set to False."""
        self.shares: dict[Segment, Share] = {}
        self.use(0, now)

    # --- what happens ---------------------------------------------------------------------------

    def use(self, vlan: int, now: float) -> None:
        """Somebody is there in a VLAN behind the port."""
        for version in (IPV4, IPV6):
            segment = Segment(vlan, version)
            if segment not in self.shares:
                if len(self.shares) >= 2 * MAX_VLANS:
                    return
                self.shares[segment] = Share()
                if self._may_ask(segment):
                    self._set(_Due.QUERY, segment, now + OTHER_QUERIER_S * self._bridges)
            if vlan:
                self._set(_Due.IDLE, segment, now + IDLE_S)

    def hear_port(
        self, vlan: int, mac: bytes, talk: GroupTalk | Hello, now: float, *, is_member: bool
    ) -> None:
        """Talk came in from the port; `is_member`: its MAC is signed to another member."""
        self.use(vlan, now)
        segment = Segment(vlan, talk.version)
        share = self.shares.get(segment)
        if share is None:
            return
        if isinstance(talk, Query):
            self._hear_query(segment, share, talk, now, is_elected=not is_member or mac < self._mac)
            if not is_member and not talk.group:
                self._note_router(segment, now + OTHER_QUERIER_S)
            return
        if isinstance(talk, Hello):
            if not is_member and talk.hold_s:
                self._note_router(segment, now + talk.hold_s)
            return
        for change in talk.changes:
            if change.is_wanted:
                self._join(segment, share, change.group, now)
            else:
                self._leave(segment, share, change.group, now)

    def hear_mesh(self, vlan: int, query: Query, now: float) -> None:
        """A query of another member's port goes into ours."""
        segment = Segment(vlan, query.version)
        if (share := self.shares.get(segment)) is not None:
            self._hear_query(segment, share, query, now, is_elected=True)

    def handle_timeout(self, now: float, silent: Iterable[int] = ()) -> None:
        """What is due; no query goes to the VLANs that are `silent`."""
        for due, segment, group in self._timers.pop_due(now):
            share = self.shares.get(segment)
            if share is None:
                continue
            match due:
                case _Due.QUERY:
                    self._query(segment, share, now, is_silent=segment.vlan in silent)
                case _Due.SETTLE:
                    share.is_settled = True
                case _Due.OTHER:
                    self._take_over(segment, share, now, is_silent=segment.vlan in silent)
                case _Due.GROUP:
                    share.groups.discard(group)
                case _Due.ASK_AGAIN:
                    self._ask(segment, group)
                case _Due.IDLE:
                    self._forget(segment)
                case _Due.ROUTER | _Due.OVERFLOW:
                    pass  # that it is not set any more says it
            self.is_changed = True

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is next needed."""
        return self._timers.next()

    def poll_frame(self) -> bytes | None:
        """The next frame for the port."""
        return self._frames.popleft() if self._frames else None

    # --- what follows ---------------------------------------------------------------------------

    def wanted(self) -> Wanted:
        """What the port wants."""
        listed = {
            segment: False  # whoever wants reports is behind an open share
            for segment, share in self.shares.items()
            if self.is_listed(segment, share)
        }
        groups = {
            (segment.vlan, group) for segment in listed for group in self.shares[segment].groups
        }
        return Wanted(listed, frozenset(groups))

    def is_listed(self, segment: Segment, share: Share) -> bool:
        """Whether what is known of a share is all that its hosts want."""
        is_asked = share.other is not None or share.asked > 0
        return (
            share.is_settled
            and is_asked
            and not self._is_set(_Due.ROUTER, segment)
            and not self._is_set(_Due.OVERFLOW, segment)
        )

    def is_router(self, segment: Segment) -> bool:
        """Whether a multicast router, or a switch that asks, is behind the port."""
        return self._is_set(_Due.ROUTER, segment)

    # --- inside ---------------------------------------------------------------------------------

    def _hear_query(
        self, segment: Segment, share: Share, query: Query, now: float, *, is_elected: bool
    ) -> None:
        if query.group:
            if query.group in share.groups and not query.suppresses:
                self._last_chance(segment, query.group, now + ROBUSTNESS * max(query.wait_s, 1.0))
            return
        if not is_elected:
            return
        share.other, share.asked = query.source, 0
        self._timers.cancel((_Due.QUERY, segment, b""))
        self._set(_Due.OTHER, segment, now + OTHER_QUERIER_S)
        self._settle(segment, share, now + query.wait_s)
        self.is_changed = True

    def _note_router(self, segment: Segment, until: float) -> None:
        """A router is behind the port, perhaps not the only one: so nothing ends this early."""
        before = self._timers.deadline((_Due.ROUTER, segment, b""))
        self._set(_Due.ROUTER, segment, max(until, before or until))
        self.is_changed = True

    def _may_ask(self, segment: Segment) -> bool:
        return self._asks and not (self._bridges and segment.version == IPV4)

    def _settle(self, segment: Segment, share: Share, answered: float) -> None:
        if not share.is_settled and not self._is_set(_Due.SETTLE, segment):
            self._set(_Due.SETTLE, segment, answered + SETTLE_S)

    def _query(self, segment: Segment, share: Share, now: float, *, is_silent: bool) -> None:
        """Ask who wants what."""
        if is_silent:
            self._set(_Due.QUERY, segment, now + QUERY_INTERVAL_S)
            return
        is_first = share.asked < len(STARTUP_S)
        wait_s = FAST_RESPONSE_S if is_first else RESPONSE_S
        pause = STARTUP_S[share.asked] if is_first else QUERY_INTERVAL_S
        self._ask(segment, b"", wait_s)
        share.asked += 1
        self._set(_Due.QUERY, segment, now + pause)
        if share.asked == ROBUSTNESS:
            self._settle(segment, share, now + wait_s)

    def _ask(self, segment: Segment, group: bytes, wait_s: float = FAST_RESPONSE_S) -> None:
        source = NO_IPV4 if segment.version == IPV4 else link_local(self._mac)
        frame = emit_query(self._mac, segment.vlan, source, wait_s=wait_s, group=group)
        self._frames.append(frame)

    def _take_over(self, segment: Segment, share: Share, now: float, *, is_silent: bool) -> None:
        """Whoever asked has fallen silent."""
        share.other = None
        if self._may_ask(segment):
            self._query(segment, share, now, is_silent=is_silent)
        else:
            share.is_settled = False

    def _join(self, segment: Segment, share: Share, group: bytes, now: float) -> None:
        if group not in share.groups:
            if sum(len(one.groups) for one in self.shares.values()) >= MAX_GROUPS:
                self._set(_Due.OVERFLOW, segment, now + MEMBERSHIP_S)
                self.is_changed = True
                return
            share.groups.add(group)
            self.is_changed = True
        self._timers.set((_Due.GROUP, segment, group), now + MEMBERSHIP_S)
        self._timers.cancel((_Due.ASK_AGAIN, segment, group))

    def _leave(self, segment: Segment, share: Share, group: bytes, now: float) -> None:
        if group not in share.groups or share.asked == 0:
            return
        if (_Due.ASK_AGAIN, segment, group) in self._timers:
            return
        self._ask(segment, group)
        self._timers.set((_Due.ASK_AGAIN, segment, group), now + FAST_RESPONSE_S)
        self._last_chance(segment, group, now + ROBUSTNESS * FAST_RESPONSE_S)

    def _last_chance(self, segment: Segment, group: bytes, until: float) -> None:
        """Nobody wants a group unless somebody says so until then."""
        key = (_Due.GROUP, segment, group)
        self._timers.set(key, min(until, self._timers.deadline(key) or until))

    def _forget(self, segment: Segment) -> None:
        share = self.shares.pop(segment)
        for due in _Due:
            self._timers.cancel((due, segment, b""))
        for group in share.groups:
            self._timers.cancel((_Due.GROUP, segment, group))
            self._timers.cancel((_Due.ASK_AGAIN, segment, group))

    def _set(self, due: _Due, segment: Segment, at: float) -> None:
        self._timers.set((due, segment, b""), at)

    def _is_set(self, due: _Due, segment: Segment) -> bool:
        return (due, segment, b"") in self._timers
