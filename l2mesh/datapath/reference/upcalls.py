"""Upcalls on their way to the control plane: bounded queues, fair for each peer (section 11).

The order of polling is: confirmations of sessions, control, events, handshakes of strangers. So a
flood from outside delays nothing authentic, and a session is always confirmed before what it
carried is told. Confirmations need no bound of their own: there is one for each session installed.
"""

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from l2mesh.datapath.interface import (
    AssignmentUnknown,
    BeaconHeard,
    ControlReceived,
    DropReason,
    GroupTalkHeard,
    HandshakeReceived,
    KeySpent,
    MacLearned,
    NeedReplicators,
    NeedSession,
    Offence,
    SessionConfirmed,
    SourceSeen,
    SourceStale,
    Upcall,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.counters import Counters

OwnEvent = BeaconHeard | NeedReplicators
PeerEvent = (
    NeedSession
    | SourceSeen
    | MacLearned
    | GroupTalkHeard
    | Offence
    | KeySpent
    | AssignmentUnknown
    | SourceStale
)
Event = OwnEvent | PeerEvent

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """At most `capacity` items, taken out in turn from each source that has some.

    When it is full, the longest backlog loses its newest item to a source that has at least two
    fewer, so whoever fills the queue displaces nobody but himself. Pushing and popping take
    constant time, pushing when full a look at all sources.
    """

    __slots__ = ("_backlogs", "_capacity", "_size")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._backlogs: dict[Hashable, deque[Item]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, source: Hashable, item: Item) -> Item | None:
        """Append an item; what had to be dropped for lack of space: it, another's, or None."""
        dropped = None
        backlog = self._backlogs.get(source)
        if self._size >= self._capacity:
            longest = max(self._backlogs.values(), key=len, default=backlog)
            if longest is None or len(backlog or ()) + 1 >= len(longest):
                return item
            dropped = longest.pop()
            self._size -= 1
        if backlog is None:
            backlog = self._backlogs[source] = deque()
        backlog.append(item)
        self._size += 1
        return dropped

    def pop(self) -> Item | None:
        """The next item, None when there is none."""
        if not self._size:
            return None
        source = next(iter(self._backlogs))
        backlog = self._backlogs.pop(source)
        item = backlog.popleft()
        if backlog:
            self._backlogs[source] = backlog
        self._size -= 1
        return item


class Upcalls:
    """All of them. Each `push_*` says whether the upcall will be heard; what is lost is counted."""

    __slots__ = ("_confirmed", "_control", "_counters", "_events", "_handshakes")

    def __init__(self, bounds: Bounds, counters: Counters) -> None:
        self._counters = counters
        self._confirmed: deque[SessionConfirmed] = deque()
        self._control: FairQueue[ControlReceived] = FairQueue(bounds.control_upcalls)
        self._events: FairQueue[Event] = FairQueue(bounds.event_upcalls)
        self._handshakes: FairQueue[HandshakeReceived] = FairQueue(bounds.handshake_upcalls)

    def push_confirmed(self, upcall: SessionConfirmed) -> None:
        """Once for each session."""
        self._confirmed.append(upcall)

    def push_control(self, upcall: ControlReceived) -> bool:
        """Fair for each peer."""
        return self._push(self._control, upcall.peer, upcall)

    def push_own(self, upcall: OwnEvent) -> bool:
        """As an event of this node's own."""
        return self._push(self._events, None, upcall)

    def push_event(self, upcall: PeerEvent) -> bool:
        """Fair for each peer; this node counts as one."""
        return self._push(self._events, upcall.peer, upcall)

    def push_handshake(self, upcall: HandshakeReceived) -> bool:
        """Fair for each relay and each address that handshakes come from."""
        source = upcall.path.relay or upcall.path.endpoint.host
        return self._push(self._handshakes, source, upcall)

    def poll(self) -> Upcall | None:
        """The most urgent one."""
        if self._confirmed:
            return self._confirmed.popleft()
        return self._control.pop() or self._events.pop() or self._handshakes.pop()

    def _push(self, queue: FairQueue[Item], source: Hashable, upcall: Item) -> bool:
        dropped = queue.push(source, upcall)
        if dropped is not None:
            self._counters.drop(DropReason.UPCALL_OVERFLOW)
        return dropped is not upcall
