"""Members as a part of the controller's core: JOIN and LEAVE in, everything signed out.

Whoever has joined in a live session is online; for each we know what it was told and what it holds.
After any change of a network, everybody online in it is brought up to date: revocations first, then
the answer to its JOIN, then config, credential and roster. That happens at once, but again only
after a pause that grows with the network, so that a hundred changes in a row make a few deltas. Who
comes anew is told with all others, so that nobody is a member of whom the others do not know: what
they sent to everyone meanwhile would pass it by. What strangers may cost is in `controller.door`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from controller.book import Book
from controller.door import Door, Verdict
from controller.issuer import Issuer
from controller.model import Member, Network, Reported, Request, Standing
from controller.policy import clean_name
from controller.push import REASONS, STATUS, Attendance, View
from l2mesh.address import shorten
from l2mesh.errors import CryptoError, L2meshError, MalformedPacket, StateError
from l2mesh.identity import address_of
from l2mesh.node.core import Core
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.path.need import IDLE_S
from l2mesh.wire.message import Join, JoinReply, JoinStatus, Leave, Message, Revocations, Want

__all__ = ["Members"]

log = logging.getLogger(__name__)

SESSION_S: Final = 150.0
"""Longer than a session is the newest, so that its end has said JOIN once more."""
PUSH_EVERY_S: Final = 0.1
PUSH_MEMBER_S: Final = 0.001
PUSH_AT_LATEST_S: Final = 1.5
"""Between two pushes to a network: 0.1 s and 1 ms for each member online, at most 1.5 s."""
BAD_TOKEN: Final = "the token is unknown, used up or expired; waiting for an administrator"


class Members(Part):
    """Who is online, and what they are sent."""

    def __init__(
        self, core: Core, book: Book, issuer: Issuer, *, offer: Callable[[Peer, float], None]
    ) -> None:
        """`offer` tells a member our endpoints, for a direct path (section 8.4)."""
        self.core = core
        self.book = book
        self.issuer = issuer
        self._offer = offer
        self._online: dict[int, dict[bytes, Attendance]] = {}
        self._recorded = book.fingerprints()
        self._door = Door()
        self._asked: dict[tuple[int, bytes], Reported] = {}
        """(network, member) whose revocations we want back -> what it reported."""
        self._pushed: dict[int, float] = {}
        self._views: dict[int, View] = {}
        self._viewed = -1

    def is_online(self, network: int, fingerprint: bytes) -> bool:
        """Whether a member has a session in which it has joined this network."""
        peer = self.core.peers.get(fingerprint)
        is_here = fingerprint in self._online.get(network, {})
        return is_here and peer is not None and peer.is_live

    # --- hooks ----------------------------------------------------------------------------------

    def handlers(self) -> dict[type, Handler]:
        return {
            Join: self.receive_join,
            Leave: self.receive_leave,
            Revocations: self.receive_revocations,
        }

    def knows(self, peer: Peer) -> bool:
        return peer.fingerprint in self._recorded

    def session_lost(self, peer: Peer, now: float) -> None:
        self._forget(peer)

    def peer_removed(self, peer: Peer, now: float) -> None:
        self._forget(peer)
        self._door.forget(peer.fingerprint)

    def next_timeout(self) -> float | None:
        due = [self._push_due(network) for network in self.book.changed]
        if self._door.due is not None:
            due.append(self._door.due)
        return min(due, default=None)

    def handle_timeout(self, now: float) -> None:
        while (waiting := self._door.next_in(now)) is not None:
            peer = self.core.peers.get(waiting[0])
            if peer is not None and peer.is_live:
                self._admit(peer, waiting[1], now)
        self.refresh(now)

    # --- verbs ----------------------------------------------------------------------------------

    def receive_join(self, peer: Peer, join: Join, now: float) -> None:
        """Somebody asks to be let in, or a member says in a new session what it holds."""
        if not self._door.hears(peer.fingerprint, now):
            self.core.refuse("join_rate")
        elif self._network(join.network) is None:
            self._reply(peer, join.network, JoinStatus.NOT_FOUND, "no such network", now)
        elif self.book.member(join.network, peer.fingerprint) is not None:
            self._admit(peer, join, now)
        else:
            match self._door.knock(peer.fingerprint, join, now):
                case Verdict.ENTER:
                    self._admit(peer, join, now)
                case Verdict.FULL:
                    reason = "the controller has too many requests; this one is repeated later"
                    self._reply(peer, join.network, JoinStatus.ERROR, reason, now)
                case Verdict.WAIT:
                    pass

    def receive_leave(self, peer: Peer, leave: Leave, now: float) -> None:
        """It hears of this network no more; it stays a member and may come back."""
        self._online.get(leave.network, {}).pop(peer.fingerprint, None)
        online = any(peer.fingerprint in here for here in self._online.values())
        peer.paths.set_always(online, rests=True)

    def receive_revocations(self, peer: Peer, message: Revocations, now: float) -> None:
        """Revocations that we have lost and asked for; our own signature makes them true."""
        key = message.network, peer.fingerprint
        reported = self._asked.pop(key, None)
        if reported is None:
            self.core.refuse("unasked_revocations")
            return
        network = self._network(message.network)
        try:
            held = self.issuer.open_revocations(message.network, message.object)
        except (CryptoError, MalformedPacket):
            self.core.refuse("bad_revocations")
            return
        if network is not None and held.revision > network.numbers.revocations:
            log.warning(
                "network=%016x: revocations up to %d were lost and came back from fingerprint=%s",
                network.id,
                held.revision,
                shorten(peer.fingerprint),
            )
            self.book.merge_revocations(network.id, held)
            self.book.raise_above(network.id, peer.fingerprint, reported)
            self.refresh(now)

    # --- pushing --------------------------------------------------------------------------------

    def refresh(self, now: float) -> None:
        """Brings members up to date in every network that has changed; call after any change."""
        for network in list(self.book.changed):
            if now >= self._push_due(network):
                self.book.changed.discard(network)
                self._pushed[network] = now
                self._push(network, now)

    def _push_due(self, network: int) -> float:
        """When a change may be pushed; seldom for many, since each costs all of them a message."""
        pause = PUSH_EVERY_S + PUSH_MEMBER_S * len(self._online.get(network, ()))
        return self._pushed.get(network, 0.0) + min(pause, PUSH_AT_LATEST_S)

    def _push(self, network: int, now: float) -> None:
        online = self._online.get(network)
        if not online:
            return
        view = self._view(network)
        gone = []
        # everybody hears of revocations before anybody hears of anything else
        for fingerprint, held in list(online.items()):
            peer = self.core.peers.get(fingerprint)
            if peer is None:
                gone.append(fingerprint)
            elif view is not None and held.told is JoinStatus.OK:
                self._send(peer, view.revocations(held), now)
        for fingerprint, held in list(online.items()):
            if (peer := self.core.peers.get(fingerprint)) is None:
                continue
            if view is None or view.network.is_deleted:
                self._reply(peer, network, JoinStatus.NOT_FOUND, "the network was deleted", now)
                gone.append(fingerprint)
            elif not self._update(view, peer, held, now):
                gone.append(fingerprint)
        for fingerprint in gone:
            online.pop(fingerprint, None)

    def _update(self, view: View, peer: Peer, held: Attendance, now: float) -> bool:
        """Tells one member what is new; False when it is no member of any kind any more."""
        member = view.members.get(peer.fingerprint)
        if member is None:
            reason = "removed by an administrator of the network"
            self._reply(peer, view.network.id, JoinStatus.DENIED, reason, now)
            return False
        status = STATUS[member.standing]
        if held.told is not status:
            held.told = status
            if status is JoinStatus.OK:
                self._send(peer, view.revocations(held), now)
            self._reply(peer, view.network.id, status, REASONS[member.standing], now)
        if status is JoinStatus.OK:
            self._send(peer, view.membership(held, member), now)
            self._offer(peer, now)
        return True

    # --- joining --------------------------------------------------------------------------------

    def _admit(self, peer: Peer, join: Join, now: float) -> None:
        before = self.book.generation
        try:
            member = self._record(peer, join)
        except L2meshError as error:
            if not isinstance(error, StateError):
                log.error("JOIN of fingerprint=%s failed: %s", shorten(peer.fingerprint), error)  # noqa: TRY400
            self._reply(peer, join.network, JoinStatus.ERROR, str(error)[:200], now)
            return
        if member is None:
            self._reply(peer, join.network, JoinStatus.DENIED, "not an admissible identity", now)
            return
        if member.fingerprint not in self._recorded:
            log.info(
                "joined: network=%016x peer=%s %s",
                join.network,
                member.address.hex(),
                member.standing.value,
            )
        self._recorded.add(peer.fingerprint)
        is_news = self.book.generation != before and member.standing is Standing.AUTHORIZED
        reported = Reported(join.config, join.roster, join.serial, join.epoch, join.revocations)
        self._online.setdefault(join.network, {})[peer.fingerprint] = held = Attendance.of(reported)
        self._keep(peer, now)
        if member.standing is Standing.AUTHORIZED:
            self._compare(peer, member, reported, now)
        if member.standing is Standing.PENDING and join.token is not None:
            held.told = JoinStatus.PENDING
            self._reply(peer, join.network, JoinStatus.PENDING, BAD_TOKEN, now)
        self.refresh(now)
        if not is_news and (view := self._view(join.network)) is not None:
            self._update(view, peer, held, now)

    def _record(self, peer: Peer, join: Join) -> Member | None:
        """The row of who asks, made or brought up to date; None for an identity without address."""
        known = self.book.member(join.network, peer.fingerprint)
        address = known.address if known else address_of(peer.fingerprint, self.issuer.crypto)
        if address is None:
            return None
        request = Request(
            fingerprint=peer.fingerprint,
            address=address,
            public=peer.public.encode(),
            name=clean_name(join.name),
            token=join.token,
        )
        return self.book.record(join.network, request, self.core.settings.unix_now())

    @staticmethod
    def _keep(peer: Peer, now: float) -> None:
        """Our end keeps a direct path as long as its end does, which says JOIN by it in each new
        session, and rests on the relay when that does."""
        peer.paths.set_always(True, rests=True)
        if peer.last_path is not None and not peer.last_path.relay:
            peer.paths.note_need(now + SESSION_S - IDLE_S)

    def _compare(self, peer: Peer, member: Member, reported: Reported, now: float) -> None:
        """A member that holds more than we issued tells us that our store is an old backup.

        Lost revocations are fetched first, so that nobody whom they void is issued anything.
        """
        network = self._network(member.network)
        if network is None:
            return
        ours = network.numbers
        if reported.revocations > ours.revocations:
            self._asked[network.id, peer.fingerprint] = reported
            self.core.send(peer, Want(network.id, ours.revocations), now)
            return
        is_ahead = (
            reported.config > ours.config
            or reported.roster > ours.roster
            or reported.serial > member.serial
            or reported.epoch > ours.epoch
        )
        if is_ahead:
            self.book.raise_above(network.id, peer.fingerprint, reported)

    # --- inside ---------------------------------------------------------------------------------

    def _network(self, network: int) -> Network | None:
        held = self.book.network(network)
        return None if held is None or held.is_deleted else held

    def _view(self, network: int) -> View | None:
        """The network as it is now; read and signed once for each change of the book."""
        generation = self.book.generation
        if generation != self._viewed:
            self._views.clear()
            self._viewed = generation
        if network not in self._views and (held := self.book.network(network)) is not None:
            members = {member.fingerprint: member for member in self.book.members(network)}
            revoked = self.book.revoked(network)
            self._views[network] = View(held, members, revoked, self.issuer)
        return self._views.get(network)

    def _send(self, peer: Peer, messages: Iterable[Message], now: float) -> None:
        for message in messages:
            self.core.send(peer, message, now)

    def _reply(self, peer: Peer, network: int, status: JoinStatus, reason: str, now: float) -> None:
        self.core.send(peer, JoinReply(network, status, reason), now)

    def _forget(self, peer: Peer) -> None:
        for online in self._online.values():
            online.pop(peer.fingerprint, None)
        for key in [key for key in self._asked if key[1] == peer.fingerprint]:
            del self._asked[key]
