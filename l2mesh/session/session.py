"""One session: its state, and the receive and send indices that belong to it.

States (protocol section 3.7). *initiating* is no session yet: see `l2mesh.session.connecting`.

    state        promise
    UNCONFIRMED  we answered an INIT, perhaps a replayed one. We receive; nothing is sent, nothing
                 displaced. Gone after 5 s.
    LIVE         both ends hold the keys. We may send on it.
    REPLACED     another session is preferred. We receive, and send for networks that one cannot
                 carry yet.
    DEAD         keys are erased. No way leads out.

    event        raised by
    CONFIRMED    the first authentic DATA (engine upcall), or our own RESPONSE accepted
    SUPERSEDED   the set, when it prefers another session
    PREFERRED    the set, when the preferred one has died and this is the best left
    ENDED        age, a CLOSE, the cap on sessions, or the set's end

A send index is handed to the engine **at most once**: the engine would count its packets from 0
again, and a counter must never meet the same key twice.
"""

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Final

from l2mesh.crypto import Cipher
from l2mesh.datapath.interface import InstallReceive, InstallSend
from l2mesh.session.handshake import Established
from l2mesh.session.keys import derive
from l2mesh.wire.handshake import MAX_LANES, Announcement

LANE: Final = 0
"""The lane that every network has in a session; others stand beside it."""
CONTROL: Final = 0
"""The network number of control."""
MAX_ANNOUNCED: Final = 64
"""Networks for which a peer's announcement is remembered; later ones are ignored."""
MAX_INSTALLED: Final = 1024
"""Send indices that a session ever installs; a peer that announces more gets a new session."""
MAX_RETIRED: Final = 8
"""Receive indices with an older ELIDED header that still receive; the oldest goes first."""


class State(Enum):
    """Where a session stands."""

    UNCONFIRMED = "unconfirmed"
    LIVE = "live"
    REPLACED = "replaced"
    DEAD = "dead"


class Event(Enum):
    """What moves a session on."""

    CONFIRMED = "confirmed"
    SUPERSEDED = "superseded"
    PREFERRED = "preferred"
    ENDED = "ended"


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.UNCONFIRMED, Event.CONFIRMED): State.LIVE,
    (State.UNCONFIRMED, Event.ENDED): State.DEAD,
    (State.LIVE, Event.SUPERSEDED): State.REPLACED,
    (State.LIVE, Event.ENDED): State.DEAD,
    (State.REPLACED, Event.PREFERRED): State.LIVE,
    (State.REPLACED, Event.ENDED): State.DEAD,
}


@dataclass(slots=True)
class ReceiveIndex:
    """An index of ours on which the peer may send frames of one network."""

    index: int
    elided: bytes | None
    """Destination MAC | source MAC (12 bytes) of ELIDED frames, None without such."""


@dataclass(slots=True, eq=False)
class Session:
    """Keys and indices shared with one peer by one handshake."""

    id: int
    established: Established = field(repr=False)
    is_initiator: bool
    """Whether the INIT was ours."""
    born: float
    """When the handshake was done at our end; ages count from here."""
    control_index: int
    """Our receive index for network 0."""
    asked_at: float
    """When the INIT came, or when we began with ours."""
    state: State = State.UNCONFIRMED
    heard_at: float = inf
    """When the first authentic DATA came."""
    live_since: float = 0.0
    used_at: float = inf
    """When the first frame passed while it was the one in use."""
    is_spent: bool = False
    """An index carried 2^31 packets, or one that is needed was given up before: renew now."""
    receive: dict[int, ReceiveIndex] = field(default_factory=dict)
    """Ours, by network."""
    retired: list[tuple[int, int]] = field(default_factory=list)
    """(network, index) of ours with an ELIDED header that holds no more, the oldest first."""
    unannounced: set[int] = field(default_factory=set)
    """Networks whose index the handshake did not tell the peer."""
    send: dict[int, int] = field(default_factory=dict)
    """The peer's, by network, whether or not we have accepted it there."""
    further_receive: dict[int, list[int]] = field(default_factory=dict)
    """Ours for lanes 1, 2 ..., by network: as many as the peer would use."""
    further_send: dict[tuple[int, int], int] = field(default_factory=dict)
    """The peer's, by network and lane, beside those in `send`."""
    installed: set[tuple[int, int]] = field(default_factory=set)
    """(network, index) that the engine has had for sending."""
    ephemeral: bytes = b""
    """Responder: Noise e of the INIT, which tells a duplicate."""
    response: bytes = b""
    """Responder, unconfirmed: what a duplicate INIT is answered with."""

    @property
    def peer(self) -> bytes:
        """Fingerprint of the peer."""
        return self.established.peer.fingerprint

    @property
    def cipher(self) -> Cipher:
        """The AEAD of all its indices."""
        return self.established.cipher

    @property
    def can_send(self) -> bool:
        """Whether frames and control may leave on it."""
        return self.state in {State.LIVE, State.REPLACED}

    @property
    def indices(self) -> list[int]:
        """Every receive index of ours."""
        current = [each.index for each in self.receive.values()]
        further = [index for each in self.further_receive.values() for index in each]
        return [self.control_index, *current, *further, *(index for _, index in self.retired)]

    def indices_of(self, network: int) -> list[int]:
        """Our receive indices of one network, the retired ones first."""
        old = [index for each, index in self.retired if each == network]
        return [*old, *self.lanes_of(network)]

    def lanes_of(self, network: int) -> list[int]:
        """Our receive indices of one network by lane, the retired ones left out."""
        if network not in self.receive:
            return []
        return [self.receive[network].index, *self.further_receive.get(network, ())]

    def retire(self, network: int) -> None:
        """Our indices of a network only receive what is under way."""
        self.retired += [(network, index) for index in self.lanes_of(network)]
        self.further_receive.pop(network, None)

    def forget(self, network: int) -> None:
        """Our receive indices of a network are no more."""
        self.receive.pop(network, None)
        self.further_receive.pop(network, None)
        self.retired = [each for each in self.retired if each[0] != network]
        self.unannounced.discard(network)

    def move(self, event: Event) -> None:
        """Takes the transition for `event`; KeyError, with nothing changed, where there is none."""
        self.state = TRANSITIONS[self.state, event]

    def learn(self, announcements: tuple[Announcement, ...]) -> None:
        """Remembers the peer's indices from a handshake."""
        for each in announcements:
            if each.lane == LANE:
                self.remember(each.network, each.index)

    def remember(self, network: int, index: int, lane: int = LANE) -> None:
        """Remembers the peer's index for a network, for at most 64 networks and 8 lanes each."""
        if lane == LANE:
            if network in self.send or len(self.send) < MAX_ANNOUNCED:
                self.send[network] = index
        elif lane < MAX_LANES and network in self.send:
            self.further_send[network, lane] = index

    def unlearn(self, network: int) -> None:
        """The peer takes its indices of a network back."""
        self.send.pop(network, None)
        for lane in range(LANE + 1, MAX_LANES):
            self.further_send.pop((network, lane), None)

    def may_begin(self, network: int) -> bool:
        """Whether sending frames of a network may begin: we know an index never used before."""
        return (
            self.can_send
            and network in self.send
            and (network, self.send[network]) not in self.installed
            and len(self.installed) < MAX_INSTALLED
        )

    def untried(self, network: int, lane: int) -> int | None:
        """The peer's index for a further lane, if it was never used before."""
        index = self.further_send.get((network, lane))
        is_fresh = (network, index) not in self.installed and len(self.installed) < MAX_INSTALLED
        return index if self.can_send and is_fresh else None

    def install_receive(
        self, network: int, index: int, elided: bytes | None, lane: int = LANE
    ) -> InstallReceive:
        """The engine command for one of our indices."""
        derived = derive(self.established.keys.receive, network, lane, index)
        return InstallReceive(
            peer=self.peer,
            session=self.id,
            network=network,
            index=index,
            cipher=self.cipher,
            key=derived.key,
            salt=derived.salt,
            elided=elided,
        )

    def install_send(
        self, network: int, elided: bytes | None = None, lane: int = LANE
    ) -> InstallSend:
        """The engine command for the peer's index of a network and lane. Once for each index.

        `elided`: the peer's MAC and ours, which it will put before frames sent without them.
        """
        if network == CONTROL:
            index = self.established.control_index
        else:
            index = self.send[network] if lane == LANE else self.further_send[network, lane]
        assert (network, index) not in self.installed
        self.installed.add((network, index))
        derived = derive(self.established.keys.send, network, lane, index)
        return InstallSend(
            peer=self.peer,
            session=self.id,
            network=network,
            index=index,
            cipher=self.cipher,
            key=derived.key,
            salt=derived.salt,
            elided=elided,
            lane=lane,
        )
