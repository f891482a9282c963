"""The networks in which we accept one peer: our indices there, and which session carries each.

Frames of a network leave on one session at a time, its *carrier*: the best that knows an index of
the peer's never used before. A carrier goes on until a better one can take over, so a rekey leaves
no gap; an index that was left is not taken up again (`l2mesh.session.session`).
"""

from collections import deque
from collections.abc import Collection, Iterable

from l2mesh.datapath.interface import RemoveReceive, RemoveSend
from l2mesh.errors import StateError
from l2mesh.session.indices import IndexAllocator
from l2mesh.session.outputs import SessionOutput
from l2mesh.session.session import CONTROL, LANE, MAX_RETIRED, ReceiveIndex, Session
from l2mesh.wire.handshake import Announcement


class Networks:
    """What is accepted, for all sessions of one peer; commands go to the set's `outputs`."""

    __slots__ = ("_carriers", "_indices", "_lanes", "_outputs", "_peer", "accepted")

    def __init__(
        self,
        peer: bytes,
        indices: IndexAllocator,
        outputs: deque[SessionOutput],
        lanes: int = 1,
    ) -> None:
        """`peer` is the fingerprint; frames leave by up to `lanes` lanes of their carrier."""
        self.accepted: dict[int, bytes | None] = {}
        """The peer's ELIDED header (12 bytes) or None, by network."""
        self._carriers: dict[int, tuple[Session, int]] = {}
        self._lanes = lanes
        self._peer = peer
        self._indices = indices
        self._outputs = outputs

    def clear(self) -> None:
        """Nothing is accepted any more, and nothing carried."""
        self.accepted.clear()
        self._carriers.clear()

    # --- our indices ------------------------------------------------------------------------------

    def allocate(self, now: float) -> int | None:
        """A receive index, None when all are in use."""
        try:
            return self._indices.allocate(now)
        except StateError:
            return None

    def release(self, indices: Iterable[int], now: float) -> None:
        """Gives receive indices back; those that are not ours are ignored."""
        for index in indices:
            self._indices.release(index, now)

    def reserve(self, now: float) -> dict[int, int]:
        """A receive index for each accepted network, as far as there are any."""
        found = ((network, self.allocate(now)) for network in self.accepted)
        return {network: index for network, index in found if index is not None}

    def install(
        self, session: Session, receive: dict[int, int], told: Collection[Announcement]
    ) -> None:
        """Enters the receive indices of a new session; its handshake `told` the peer of some.

        Those of further lanes are always told afterwards.
        """
        self._outputs.append(session.install_receive(CONTROL, session.control_index, None))
        told_indices = {each.index for each in told}
        for network, index in receive.items():
            self._enter(session, network, index, session.born)
            if index in told_indices and len(session.lanes_of(network)) == 1:
                session.unannounced.discard(network)

    def accept(
        self, network: int, elided: bytes | None, sessions: Iterable[Session], now: float
    ) -> None:
        """New indices for a network; those before go on receiving what is under way."""
        self.accepted[network] = elided
        for session in sessions:
            index = self.allocate(now)
            if index is None:
                continue
            session.retire(network)
            while len(session.retired) > MAX_RETIRED * session.established.lanes:
                self._remove([session.retired.pop(0)[1]], now)
            self._enter(session, network, index, now)

    def withdraw(self, network: int, sessions: Iterable[Session], now: float) -> None:
        """Takes a network's indices from the engine."""
        self.accepted.pop(network, None)
        for session in sessions:
            self._remove(session.indices_of(network), now)
            session.forget(network)

    def _enter(self, session: Session, network: int, index: int, now: float) -> None:
        elided = self.accepted[network]
        session.receive[network] = ReceiveIndex(index, elided)
        session.unannounced.add(network)
        self._outputs.append(session.install_receive(network, index, elided))
        further = session.further_receive[network] = []
        for lane in range(LANE + 1, session.established.lanes):
            if (another := self.allocate(now)) is None:
                return
            further.append(another)
            self._outputs.append(session.install_receive(network, another, elided, lane))

    def _remove(self, indices: list[int], now: float) -> None:
        self._outputs.extend(RemoveReceive(index) for index in indices)
        self.release(indices, now)

    # --- the peer's indices -----------------------------------------------------------------------

    def route_all(self, ranked: list[Session]) -> None:
        """Every network to the best of the sessions that can send, the best first."""
        for network in {**self.accepted, **self._carriers}:
            self.route(network, ranked)

    def route(self, network: int, ranked: list[Session]) -> None:
        """One network to the best session that can carry it.

        Without any the engine holds frames and asks, unless the peer withdrew or we did.
        """
        carrier = self._carriers.get(network)
        for session in ranked if network in self.accepted else ():
            index = session.send.get(network)
            if index is None:
                continue
            if carrier == (session, index):
                self._widen(session, network)
                return
            if session.may_begin(network):
                self._carriers[network] = session, index
                self._outputs.append(session.install_send(network, self._elided_to(network)))
                self._widen(session, network)
                return
        if carrier is not None:
            del self._carriers[network]
            if carrier[0].can_send:
                self._outputs.append(RemoveSend(self._peer, network))

    def _widen(self, session: Session, network: int) -> None:
        """Frames leave by further lanes of their carrier, as many as it has and we want."""
        for lane in range(LANE + 1, self._lanes):
            if session.untried(network, lane) is not None:
                elided = self._elided_to(network)
                self._outputs.append(session.install_send(network, elided, lane))

    def _elided_to(self, network: int) -> bytes | None:
        """The header that frames to the peer need not have: that from the peer, the other way."""
        header = self.accepted[network]
        return None if header is None else header[6:] + header[:6]

    def is_stuck(self, network: int, current: Session) -> bool:
        """Whether nothing carries a network because the index that we know was left before."""
        return (
            network in self.accepted
            and network not in self._carriers
            and network in current.send
            and not current.may_begin(network)
        )
