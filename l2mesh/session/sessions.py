"""All sessions with one peer: begun, renewed before their keys are worn out, erased in time.

The rules are those of protocol section 3.7; the states of one session are in
`l2mesh.session.session`, the retries in `l2mesh.session.connecting`. Three promises:

* **No frame is lost at a rekey.** Receive keys are installed before the datagram that announces
  them leaves and stay until their session is dead. A send key is installed only when the session is
  live, and per network: while the new session lacks an index for one, the older one carries it.
* **Nothing unproved displaces anything.** An answered INIT makes an unconfirmed session, four at a
  time, which changes nothing but the table of receive indices until its first authentic DATA.
* **Both ends end up on one session.** If two handshakes cross, the one whose initiator has the
  smaller fingerprint is used; otherwise the newer one.

The set is free of I/O: verbs change it, `poll_output` gives engine commands and events in order.
"""

from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from typing import Final

from l2mesh.crypto import Cipher
from l2mesh.datapath.interface import Path, RemoveSession
from l2mesh.errors import CryptoError, HandshakeError
from l2mesh.session.connecting import Connecting
from l2mesh.session.crossing import UNHEARD_S, heard_instead, is_preferred, ranked
from l2mesh.session.handshake import Initiation, OpenedInit, Refusal, refuse
from l2mesh.session.indices import IndexAllocator
from l2mesh.session.networks import Networks
from l2mesh.session.offering import Offering
from l2mesh.session.outputs import (
    ConnectFailed,
    SendHandshake,
    SessionCurrent,
    SessionDead,
    SessionLive,
    SessionOutput,
)
from l2mesh.session.renewal import Renewal
from l2mesh.session.session import CONTROL, Event, Session, State
from l2mesh.wire.handshake import Announcement

__all__ = ["SessionSet"]

DEAD_S: Final = 180.0
OVERLAP_S: Final = 60.0
"""For so long a session still receives after another one has taken over."""
UNCONFIRMED_S: Final = 5.0
MAX_UNCONFIRMED: Final = 4
COOKIE_S: Final = 120.0
MAX_LIVE: Final = 8
"""Sessions that receive, confirmed ones; when there are more, the oldest one not in use dies."""
MAX_INDEX: Final = (1 << 24) - 1


class SessionSet:
    """The sessions with one peer."""

    def __init__(
        self,
        offering: Offering,
        *,
        indices: IndexAllocator,
        next_id: Callable[[], int],
        always: bool = False,
    ) -> None:
        """`next_id` gives unused session ids."""
        self.peer = offering.peer
        self.always = always
        """Renew sessions although no frames pass (planets, controllers)."""
        self._offering = offering
        self._next_id = next_id
        self._sessions: dict[int, Session] = {}
        self._current: Session | None = None
        self._doubted: Session | None = None
        self._connecting: Connecting | None = None
        self._cookie: tuple[bytes, float] | None = None
        self._renewal = Renewal()
        self._outputs: deque[SessionOutput] = deque()
        self._networks = Networks(self.peer.fingerprint, indices, self._outputs, offering.lanes)

    # --- what the node asks ---------------------------------------------------------------------

    @property
    def accepted(self) -> dict[int, bytes | None]:
        """Networks in which we accepted the peer: its ELIDED header (12 bytes) or None."""
        return self._networks.accepted

    @property
    def current(self) -> int | None:
        """The session to send on, None without one."""
        return None if self._current is None else self._current.id

    @property
    def cipher(self) -> Cipher | None:
        """The AEAD of the current session."""
        return None if self._current is None else self._current.cipher

    @property
    def software(self) -> str:
        """What the peer said it runs, "" without a current session."""
        return "" if self._current is None else self._current.established.software

    @property
    def is_connecting(self) -> bool:
        """Whether an INIT of ours waits for its answer."""
        return self._connecting is not None

    def announcements(self, session: int, network: int) -> tuple[Announcement, ...]:
        """Our receive indices of a network in a session, for INDICES; empty: not accepted there."""
        found = self._sessions.get(session)
        if found is None or network not in found.receive:
            return ()
        lanes = enumerate(found.lanes_of(network))
        return tuple(Announcement(network, lane, index) for lane, index in lanes)

    def unannounced(self, session: int) -> tuple[int, ...]:
        """Accepted networks whose indices the session's handshake has not told the peer."""
        found = self._sessions.get(session)
        return () if found is None else tuple(sorted(found.unannounced))

    def poll_output(self) -> SessionOutput | None:
        """The next command or event, in order; None when there is none."""
        return self._outputs.popleft() if self._outputs else None

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is next needed, None: not at all."""
        due = [self._ends(session) for session in self._sessions.values()]
        heard = heard_instead(self._current, self._sessions.values())
        if heard is not None and self._current is not None:
            due.append(self._current.live_since + UNHEARD_S)
        if self._connecting is not None:
            due.append(self._connecting.next_timeout)
        elif (renewal := self._renewal.due(self._current, always=self.always)) is not None:
            due.append(renewal)
        return min(due, default=None)

    # --- beginning ------------------------------------------------------------------------------

    def connect(self, now: float) -> None:
        """Sees to it that there is a session to send on, or an INIT under way."""
        self.note_frame(now)
        if self._current is None and self._connecting is None:
            self._begin(now)

    def restart(self, now: float) -> None:
        """The peer has gone silent: asks for another session, each 5 s at most."""
        self._doubted = self._current
        if self._connecting is None:
            self._renewal.ask_restart(now)
            self._renew(now)

    def key_spent(self, session: int, now: float) -> None:
        """An index of a session has carried 2^31 packets."""
        if self._current is not None and self._current.id == session:
            self._current.is_spent = True
            self._renew(now)

    def note_frame(self, at: float) -> None:
        """A frame passed at `at`, in either direction; 0.0 and earlier mean never."""
        self._renewal.note_frame(at)
        if self._current is not None and at > self._current.born:
            self._current.used_at = min(self._current.used_at, at)

    def handle_timeout(self, now: float) -> None:
        """Ends what is too old, repeats what was not answered, renews what is due."""
        for session in list(self._sessions.values()):
            if now >= self._ends(session):
                self._end(session, now)
        self._yield_unheard(now)
        if self._connecting is not None:
            if self._connecting.is_over(now):
                self._give_up(now)
            elif now >= self._connecting.retry:
                self._attempt(self._connecting, now)
        self._renew(now)

    def _renew(self, now: float) -> None:
        renewal = self._renewal.due(self._current, always=self.always)
        if self._connecting is None and renewal is not None and now >= renewal:
            self._begin(now)

    def _begin(self, now: float) -> None:
        self._renewal.restart_at = None
        control_index = self._networks.allocate(now)
        if control_index is None:
            self._give_up(now)
            return
        connecting = Connecting(control_index, now)
        connecting.receive = self._networks.reserve(now)
        self._connecting = connecting
        self._renewal.begun_at = now
        try:
            self._attempt(connecting, now)
        except CryptoError:  # the peer's key is of low order: nobody has such a key in earnest
            self._give_up(now)

    def _attempt(self, connecting: Connecting, now: float) -> None:
        cookie = None
        if self._cookie is not None and now < self._cookie[1]:
            cookie = self._cookie[0]
        attempt = self._offering.initiate(connecting, cookie)
        works = self._current is not None and self._current is not self._doubted
        is_renewal = works and connecting.is_new
        connecting.add(attempt, now, self._offering.random)
        self._outputs.append(
            SendHandshake(attempt.datagram, attempt.handshake, None, is_renewal=is_renewal)
        )

    def _give_up(self, now: float) -> None:
        self._stop_connecting(now)
        self._renewal.gave_up_at = now
        self._outputs.append(ConnectFailed())

    def _stop_connecting(self, now: float) -> None:
        if self._connecting is not None:
            self._networks.release(self._connecting.indices, now)
            self._connecting = None

    # --- handshake datagrams --------------------------------------------------------------------

    def receive_init(self, opened: OpenedInit, now: float, path: Path) -> None:
        """The peer asks for a session: answers by `path`.

        A duplicate, as comes by a second path, is answered alike. HandshakeError for another peer,
        no common cipher, more than four unconfirmed sessions, or without a free index.
        """
        if opened.peer.fingerprint != self.peer.fingerprint:
            refuse(Refusal.FOREIGN_IDENTITY)
        for session in self._sessions.values():
            if session.ephemeral == opened.ephemeral:
                if session.state is State.UNCONFIRMED:
                    self._outputs.append(SendHandshake(session.response, None, path))
                return
        waiting = [each for each in self._sessions.values() if each.state is State.UNCONFIRMED]
        if len(waiting) >= MAX_UNCONFIRMED:
            refuse(Refusal.UNCONFIRMED)
        session = self._answer(opened, now)
        self._outputs.append(SendHandshake(session.response, None, path))

    def _answer(self, opened: OpenedInit, now: float) -> Session:
        """The unconfirmed session that answers an INIT, its receive indices installed."""
        control_index = self._networks.allocate(now)
        if control_index is None:
            refuse(Refusal.EXHAUSTED)
        receive = self._networks.reserve(now)
        try:
            response, established, told = self._offering.answer(opened, control_index, receive)
        except HandshakeError:
            self._networks.release([control_index, *receive.values()], now)
            raise
        session = Session(
            id=self._next_id(),
            established=established,
            is_initiator=False,
            asked_at=now,
            born=now,
            control_index=control_index,
            ephemeral=opened.ephemeral,
            response=response,
        )
        self._install(session, receive, told)
        return session

    def receive_response(self, datagram: bytes, now: float) -> None:
        """The peer answers: a live session. HandshakeError when it answers nothing of ours."""
        connecting, attempt = self._attempt_of(datagram)
        established = attempt.read_response(datagram)
        session = Session(
            id=self._next_id(),
            established=established,
            is_initiator=True,
            asked_at=self._renewal.begun_at,
            born=now,
            control_index=connecting.control_index,
        )
        self._connecting = None
        self._install(session, connecting.receive, attempt.offer.announcements)
        self._come_alive(session, now)

    def receive_cookie(self, datagram: bytes, now: float) -> None:
        """The peer is under load: shows its cookie for 120 s, beginning now with the same INIT.

        HandshakeError when it is no answer to an INIT of ours.
        """
        connecting, attempt = self._attempt_of(datagram)
        cookie = attempt.read_cookie(datagram)
        self._cookie = cookie, now + COOKIE_S
        if connecting.resend(attempt):
            attempt.show(cookie)
            self._outputs.append(SendHandshake(attempt.datagram, attempt.handshake, None))

    def _attempt_of(self, datagram: bytes) -> tuple[Connecting, Initiation]:
        """The attempt that a RESPONSE or COOKIE answers by its number, bytes 4 to 7."""
        if self._connecting is None:
            refuse(Refusal.UNKNOWN)
        attempt = self._connecting.find(int.from_bytes(datagram[4:8], "big"))
        if attempt is None:
            refuse(Refusal.UNKNOWN)
        return self._connecting, attempt

    def _install(
        self, session: Session, receive: dict[int, int], told: tuple[Announcement, ...]
    ) -> None:
        """Enters a new session, and its receive indices into the engine."""
        self._sessions[session.id] = session
        session.learn(session.established.announcements)
        self._networks.install(session, receive, told)

    # --- life and death -------------------------------------------------------------------------

    def confirmed(self, session: int, now: float) -> None:
        """The first authentic DATA has come on a session."""
        found = self._sessions.get(session)
        if found is None:
            return
        found.heard_at = min(found.heard_at, now)
        if found.state is State.UNCONFIRMED:
            self._stop_connecting(now)
            self._come_alive(found, now)

    def _come_alive(self, session: Session, now: float) -> None:
        session.move(Event.CONFIRMED)
        session.live_since = now
        session.response = b""
        self._outputs.append(session.install_send(CONTROL))
        self._outputs.append(SessionLive(session.id, session.is_initiator))
        older = self._current
        if older is None or self._is_preferred(session, older):
            if older is not None:
                older.move(Event.SUPERSEDED)
            self._set_current(session)
        else:
            session.move(Event.SUPERSEDED)
        self._networks.route_all(self._ranked())
        self._enforce_cap(now)

    def _is_preferred(self, newer: Session, older: Session) -> bool:
        ours_is_smaller = self._offering.local.fingerprint < self.peer.fingerprint
        is_doubted = older is self._doubted
        return is_doubted or is_preferred(newer, older, ours_is_smaller=ours_is_smaller)

    def _yield_unheard(self, now: float) -> None:
        """Its peer may have died as soon as it had answered: nobody there knows the session."""
        heard = heard_instead(self._current, self._sessions.values())
        if heard is None or self._current is None or now < self._current.live_since + UNHEARD_S:
            return
        self._current.move(Event.SUPERSEDED)
        heard.move(Event.PREFERRED)
        self._set_current(heard)
        self._networks.route_all(self._ranked())

    def _set_current(self, session: Session) -> None:
        self._current = session
        self._doubted = self._renewal.restart_at = None
        self._outputs.append(SessionCurrent(session.id))

    def _enforce_cap(self, now: float) -> None:
        usable = [each for each in self._sessions.values() if each.can_send]
        idle = [each for each in usable if each is not self._current]
        if len(usable) > MAX_LIVE:
            self._end(min(idle, key=lambda each: each.live_since), now)

    def _ends(self, session: Session) -> float:
        """When a session is dead: a minute after it was, or should have been, renewed."""
        if session.state is State.UNCONFIRMED:
            return session.born + UNCONFIRMED_S
        renewed = -inf
        if session is self._current:
            renewed = self._renewal.worn_at(session, always=self.always)
        elif self._current is not None:
            renewed = self._current.live_since
        return max(session.born + DEAD_S, renewed + OVERLAP_S)

    def drop(self, session: int, now: float) -> None:
        """The peer has closed one session, or its channel is broken: ends it."""
        if (found := self._sessions.get(session)) is not None:
            self._end(found, now)

    def close(self, now: float) -> None:
        """Ends every session and forgets what was accepted."""
        self._renewal.restart_at = None
        self._stop_connecting(now)
        self._networks.clear()
        for session in sorted(self._sessions.values(), key=lambda each: each is self._current):
            self._end(session, now)

    def _end(self, session: Session, now: float) -> None:
        """Erases a session; what it carried goes to another one where there is one."""
        was_live = session.can_send
        session.move(Event.ENDED)
        del self._sessions[session.id]
        if session is self._doubted:
            self._doubted = None
        if session is self._current:
            self._current = None
            rest = [each for each in self._sessions.values() if each.can_send]
            if rest:
                best = max(rest, key=lambda each: each.live_since)
                best.move(Event.PREFERRED)
                self._set_current(best)
        self._networks.route_all(self._ranked())
        self._outputs.append(RemoveSession(session.peer, session.id))
        self._networks.release(session.indices, now)
        if was_live:
            self._outputs.append(SessionDead(session.id))

    # --- networks -----------------------------------------------------------------------------

    def accept(self, network: int, elided: bytes | None, now: float) -> None:
        """We accept the peer in a network: it gets receive indices in every session.

        Repeating it changes nothing, except that another `elided` makes new indices: announce them.
        """
        if network in self.accepted and self.accepted[network] == elided:
            return
        self._networks.accept(network, elided, self._sessions.values(), now)
        if self._connecting is not None:
            self._networks.release([self._connecting.receive.pop(network, 0)], now)
            if (index := self._networks.allocate(now)) is not None:
                self._connecting.receive[network] = index
        self._route(network, now)

    def announced(
        self, session: int, network: int, indices: Iterable[tuple[int, int]], now: float
    ) -> None:
        """The peer's INDICES: (lane, index) of one network in a session; none of them withdraws.

        Remembered for later where we have not accepted the peer, for at most 64 networks.
        """
        found = self._sessions.get(session)
        listed = list(indices)
        if found is None or network == CONTROL:
            return
        if not listed:
            for each in self._sessions.values():
                each.unlearn(network)
        for lane, index in sorted(listed):
            if 0 < index <= MAX_INDEX:
                found.remember(network, index, lane)
        self._route(network, now)

    def withdraw(self, network: int, now: float) -> None:
        """The peer counts no more in a network: it is neither heard nor sent to, from now on."""
        self._networks.withdraw(network, self._sessions.values(), now)
        if self._connecting is not None:
            self._networks.release([self._connecting.receive.pop(network, 0)], now)
        self._route(network, now)

    def _route(self, network: int, now: float) -> None:
        """Lets the best session carry a network; asks for another one if none has a fresh index."""
        self._networks.route(network, self._ranked())
        session = self._current
        if session is not None and self._networks.is_stuck(network, session):
            session.is_spent = True
            self._renew(now)

    def _ranked(self) -> list[Session]:
        return ranked(self._current, self._sessions.values())
