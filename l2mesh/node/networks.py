"""The networks that this node has joined.

This part holds the list and the tools that the verbs share: find a network, carry out what a
meeting decided, keep what changed. What a message *does* stands in ``verbs/``, one file each.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from l2mesh.address import shorten
from l2mesh.credential.membership import MembershipCredential
from l2mesh.datapath.interface import FlushPeer, NeedSession, RemoveSend, Upcall
from l2mesh.errors import StateError
from l2mesh.identity import PublicIdentity
from l2mesh.network.join import JoinMachine, JoinState
from l2mesh.network.meeting import Accept, Action, Drop, Say
from l2mesh.network.state import NetworkState
from l2mesh.node import port
from l2mesh.node.candidates import Candidates
from l2mesh.node.core import BY_ROLE, Core
from l2mesh.node.effects import NetworkChanged, Persist
from l2mesh.node.files import network_file, save_at, write_network
from l2mesh.node.joined import Joined, Options
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.node.relays import Relays
from l2mesh.node.verbs import TABLE, join
from l2mesh.wire.control import Held
from l2mesh.wire.message import Indices, LaneIndex, Leave

__all__ = ["Networks"]

log = logging.getLogger(__name__)

MAX_NETWORKS: Final = 256
EXPIRY_CHECK_S: Final = 5.0
SAVE_ROSTER_S: Final = 0.5
"""A change of a large roster is on disk within this time."""


@dataclass(slots=True, eq=False)
class Networks(Part):
    """Joined networks by ID."""

    core: Core
    planets: Planets
    relays: Relays
    candidates: Candidates
    joined: dict[int, Joined] = field(default_factory=dict)
    generation: int = 0
    """Of our broadcasts (section 4.1): rises each time that the node starts."""
    name: str = ""
    """Our name for controllers to show; members see what the controller made of it."""
    on_met: list[Callable[[Joined, Peer, float], None]] = field(default_factory=list)
    """A member was accepted, or has told that it accepted us; often more than once."""
    on_parted: list[Callable[[Joined, bytes], None]] = field(default_factory=list)
    """Peer and we share the network no longer."""
    _expiry_at: float = 0.0

    def handlers(self) -> dict[type, Handler]:
        return {message: partial(handle, self) for message, handle in TABLE.items()}

    # --- the operator's verbs -------------------------------------------------------------------

    def add(
        self,
        network: int,
        *,
        wanted: bytes | None,
        token: bytes | None,
        options: Options,
        now: float,
    ) -> Joined:
        """Begin a join, or repeat one that has not led to membership with what is new in it."""
        held = self.joined.get(network)
        if held is not None:
            self._repeat(held, wanted=wanted, token=token, options=options, now=now)
            return held
        if len(self.joined) >= MAX_NETWORKS:
            raise StateError(f"this node is in {MAX_NETWORKS} networks already")
        machine = JoinMachine(network, self.core.settings.crypto, wanted=wanted)
        state = NetworkState(network, self.core.settings.crypto)
        joined = Joined(state, machine, options=options, token=token)
        joined.meetings.generation = self.generation
        self.joined[network] = joined
        self.keep(joined)
        self.seek(joined, now)
        return joined

    def leave(self, network: int, now: float) -> None:
        """Take a network off the list; StateError if it is not on it."""
        joined = self.require(network)
        for fingerprint in list(joined.meetings.accepted):
            if peer := self.core.peers.get(fingerprint):
                self.core.send(peer, Indices(network, ()), now)
                peer.sessions.withdraw(network, now)
                self.core.touch(peer, now)
        controller = self.core.peers.get(joined.controller or b"")
        if controller is not None and controller.is_live:
            self.core.send(controller, Leave(network=network), now)
        port.close(self.core, joined)
        del self.joined[network]
        self.bond_all(now)
        if controller is not None and not any(
            other.controller == controller.fingerprint for other in self.joined.values()
        ):
            controller.keep(BY_ROLE, wanted=False)
        self.core.emit(Persist(network_file(network), None))
        self.core.emit(NetworkChanged(network))

    def restore(self, joined: Joined, now: float) -> None:
        """A network that was joined before the restart: what is known needs nobody's consent."""
        self.joined[joined.network] = joined
        joined.meetings.generation = self.generation
        port.refresh(self.core, joined)
        if joined.state.controller is not None:
            self.connect_controller(joined, now)

    # --- tools of the verbs ---------------------------------------------------------------------

    def require(self, network: int) -> Joined:
        """The joined network; StateError where there is none."""
        joined = self.joined.get(network)
        if joined is None:
            raise StateError(f"network {network:016x} is not joined here", hint="l2mesh networks")
        return joined

    def from_controller(self, peer: Peer, network: int) -> Joined | None:
        """The joined network if ``peer`` is its controller; who else speaks for it is not heard."""
        joined = self.joined.get(network)
        if joined is None or joined.controller != peer.fingerprint:
            self.core.refuse("not_the_controller")
            return None
        return joined

    def keep(self, joined: Joined) -> None:
        """Write the state file of a network and wake those who wait for it."""
        joined.save_at = None
        self.core.emit(Persist(network_file(joined.network), write_network(joined)))
        self.core.emit(NetworkChanged(joined.network))

    def keep_roster(self, joined: Joined, now: float) -> None:
        """As `keep` after a change of the roster; a large one within half a second.

        The file holds the whole roster, and a roster of thousands changes many times a second.
        """
        entries = len(joined.state.roster)
        joined.save_at = save_at(entries, now, due=joined.save_at, within_s=SAVE_ROSTER_S)
        if joined.save_at <= now:
            self.keep(joined)

    def keep_all(self) -> None:
        """Write what was put off."""
        for joined in self.joined.values():
            if joined.save_at is not None:
                self.keep(joined)

    def refresh(self, joined: Joined) -> None:
        """After verified state has changed: keep it, then bring engine and host to it."""
        self.keep(joined)
        port.refresh(self.core, joined)

    def pin_controller(self, joined: Joined, public: PublicIdentity, now: float) -> None:
        """The directory has answered: this identity is the controller from now on."""
        joined.state.controller = public
        joined.join.controller_known()
        self.keep(joined)
        self.connect_controller(joined, now)

    def connect_controller(self, joined: Joined, now: float) -> None:
        """Have a session with the controller, for as long as the network is joined."""
        controller = joined.state.controller
        if controller is None:
            return
        if controller.fingerprint == self.core.settings.identity.public.fingerprint:
            return  # a controller that joins its own network needs no session with itself
        peer = self.core.add_peer(controller, now, always=True)
        peer.paths.set_always(True, rests=True)
        self.relays.want(peer, now)
        self.core.connect(peer, now)
        if peer.is_live:
            join.ask(self, joined, peer, now)

    def members(self) -> Iterator[bytes]:
        """Fingerprints of everybody else in the rosters of our networks."""
        ours = self.core.settings.identity.public.fingerprint
        for joined in self.joined.values():
            yield from (f for f in joined.state.roster.entries if f != ours)

    def connect_member(self, joined: Joined, fingerprint: bytes, now: float) -> None:
        """Have a session with a member from the roster."""
        entry = joined.state.roster.get(fingerprint)
        if entry is None or fingerprint == self.core.settings.identity.public.fingerprint:
            return
        peer = self.core.add_peer(entry.public, now)
        if peer.is_live:
            session = peer.sessions.current
            assert session is not None
            self.run(joined, joined.meetings.open(fingerprint, session, now, is_missing=True), now)
            return
        peer.since = now
        self.relays.want(peer, now)
        self.core.connect(peer, now)

    def seek(self, joined: Joined, now: float) -> None:
        """Ask the directory who the controller is, when that is due."""
        address = joined.join.poll_whois(now)
        if address is not None:
            self.planets.whois(address, now)

    def receive_claims(self, address: bytes, claims: list[PublicIdentity], now: float) -> None:
        """WHOIS_REPLY: for each network that seeks its controller at this address."""
        for joined in list(self.joined.values()):
            if not joined.join.is_seeking or joined.network >> 24 != int.from_bytes(address, "big"):
                continue
            before = joined.join.state
            controller = joined.join.receive_claims(claims)
            if controller is not None:
                self.pin_controller(joined, controller, now)
            elif joined.join.state is not before:
                self.core.emit(NetworkChanged(joined.network))

    def run(self, joined: Joined, actions: Iterable[Action], now: float) -> None:
        """Carry out what a meeting decided."""
        for action in actions:
            peer = self.core.peers.get(action.peer)
            match action:
                case Say(_, message) if peer is not None:
                    self.core.send(peer, message, now)
                case Accept(_, credential) if peer is not None:
                    self._count_as_member(joined, credential)
                    elided = port.elided_header(joined, credential)
                    peer.sessions.accept(joined.network, elided, now)
                    self.announce(joined, peer, now)
                    self.candidates.offer(peer, now)
                    self.bond(peer)
                    self.met(joined, peer, now)
                case Drop(fingerprint, reason):
                    log.info("member refused: fingerprint=%s %s", shorten(fingerprint), reason)
                    self.core.emit(RemoveSend(fingerprint, joined.network))
                    self._parted(joined, fingerprint)
                    self._uncount(joined, fingerprint)
                    if peer is not None:
                        peer.sessions.withdraw(joined.network, now)
                        self.core.touch(peer, now)
                case _:
                    pass  # the peer has gone meanwhile

    def part_from(self, joined: Joined, peer: Peer, now: float) -> None:
        """Peer and we share the network no longer, until we meet again. No word is said.

        Stations behind it may come up behind another bridge meanwhile.
        """
        joined.meetings.forget(peer.fingerprint)
        if joined.meetings.accepted.pop(peer.fingerprint, None) is not None:
            self._uncount(joined, peer.fingerprint)
        peer.sessions.withdraw(joined.network, now)
        self.core.emit(FlushPeer(joined.network, peer.fingerprint))
        self._parted(joined, peer.fingerprint)
        self.core.touch(peer, now)

    def bond(self, peer: Peer) -> None:
        """Spread flows to a peer over several uplinks, if a network that we share wants it."""
        shared = (j for j in self.joined.values() if peer.fingerprint in j.meetings.accepted)
        peer.paths.set_bond(any(joined.options.bond for joined in shared))

    def bond_all(self, now: float) -> None:
        """The same for all, after a change of what is wanted."""
        for peer in list(self.core.peers.values()):
            self.bond(peer)
            self.core.touch(peer, now)

    def met(self, joined: Joined, peer: Peer, now: float) -> None:
        """A member was accepted, or has told that it accepted us."""
        if peer.fingerprint in joined.meetings.accepted:
            for tell in self.on_met:
                tell(joined, peer, now)

    def _count_as_member(self, joined: Joined, credential: MembershipCredential) -> None:
        """A verified credential counts at once: its owner may be here before the roster's news."""
        entry = joined.state.roster.get(credential.fingerprint)
        if entry is None or entry.credential.serial < credential.serial:
            port.set_member(self.core, joined, credential)

    def _uncount(self, joined: Joined, fingerprint: bytes) -> None:
        """Whoever was a member by its credential alone is none without it."""
        if joined.port is not None and joined.state.roster.get(fingerprint) is None:
            port.remove_member(self.core, joined, fingerprint)

    def announce(self, joined: Joined, peer: Peer, now: float) -> None:
        """Tell an accepted peer our receive indices for the network, on each session its own."""
        for session in list(peer.channels):
            announcements = peer.sessions.announcements(session, joined.network)
            if announcements:
                indices = tuple(LaneIndex(each.lane, each.index) for each in announcements)
                self.core.send_on(peer, session, Indices(joined.network, indices), now)

    # --- hooks ----------------------------------------------------------------------------------

    def knows(self, peer: Peer) -> bool:
        fingerprint = peer.fingerprint
        return any(
            fingerprint in joined.meetings.accepted
            or fingerprint == joined.controller
            or (peer.is_wanted and joined.state.roster.get(fingerprint) is not None)
            for joined in self.joined.values()
        )

    def session_live(self, peer: Peer, session: int, now: float, *, initiator: bool) -> None:
        for network in peer.sessions.unannounced(session):
            if (untold := self.joined.get(network)) is not None:
                self.announce(untold, peer, now)
        for joined in list(self.joined.values()):
            if peer.fingerprint == joined.controller:
                join.ask(self, joined, peer, now)
            elif initiator and joined.state.roster.get(peer.fingerprint) is not None:
                self.run(joined, joined.meetings.open(peer.fingerprint, session, now), now)

    def session_lost(self, peer: Peer, now: float) -> None:
        peer.is_wanted = False
        for joined in self.joined.values():
            if joined.meetings.knows(peer.fingerprint):
                self.part_from(joined, peer, now)

    def connect_failed(self, peer: Peer, now: float) -> None:
        peer.is_wanted = False

    def held(self, peer: Peer) -> list[Held]:
        return [
            Held(joined.network, joined.state.revocation_revision)
            for joined in self.joined.values()
            if peer.fingerprint in joined.meetings.accepted
        ][:16]

    def receive_held(self, peer: Peer, held: Held, now: float) -> None:
        joined = self.joined.get(held.network)
        if joined is not None:
            self.run(joined, joined.meetings.receive_held(peer.fingerprint, held.revision), now)

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        if isinstance(upcall, NeedSession) and (joined := self.joined.get(upcall.network)):
            self.connect_member(joined, upcall.peer, now)

    def planet_live(self, peer: Peer, now: float) -> None:
        """A planet can be asked: look for every controller that is not known yet."""
        for joined in self.joined.values():
            joined.join.hurry(now)
            self.seek(joined, now)

    def next_timeout(self) -> float | None:
        due = [joined.join.next_timeout() for joined in self.joined.values()]
        due += [joined.meetings.next_timeout() for joined in self.joined.values()]
        due += [joined.save_at for joined in self.joined.values()]
        due += [self._expiry_at] if self._has_expiry() else []
        return min((at for at in due if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        self._expiry_at = now + EXPIRY_CHECK_S
        unix_now = self.core.settings.unix_now()
        for joined in list(self.joined.values()):
            before = joined.join.state
            self.seek(joined, now)
            if joined.join.state is not before:
                self.core.emit(NetworkChanged(joined.network))
            self.run(joined, joined.meetings.handle_timeout(now, unix_now), now)
            if joined.save_at is not None and now >= joined.save_at:
                self.keep(joined)
            if joined.port is not None and not joined.state.is_member(unix_now):
                port.close(self.core, joined)

    # --- inside ---------------------------------------------------------------------------------

    def _parted(self, joined: Joined, fingerprint: bytes) -> None:
        if (peer := self.core.peers.get(fingerprint)) is not None:
            self.bond(peer)
        for tell in self.on_parted:
            tell(joined, fingerprint)

    def _has_expiry(self) -> bool:
        return any(
            joined.state.credential is not None and joined.state.credential.expires is not None
            for joined in self.joined.values()
        )

    def _repeat(
        self,
        joined: Joined,
        *,
        wanted: bytes | None,
        token: bytes | None,
        options: Options,
        now: float,
    ) -> None:
        """Join again: a token, a fingerprint or a device name that was missing the first time."""
        if wanted is not None and joined.controller not in (None, wanted):
            raise StateError(
                f"network {joined.network:016x} is joined with another controller",
                hint=f"l2mesh leave {joined.network:016x}, then join again",
            )
        joined.token = token if token is not None else joined.token
        if options.device is not None:
            joined.options = replace(joined.options, device=options.device)
        if wanted is not None and joined.state.controller is None:
            joined.join = JoinMachine(joined.network, self.core.settings.crypto, wanted=wanted)
            self.seek(joined, now)
        elif joined.join.state is not JoinState.MEMBER:
            joined.join.repeat(now)
            self.seek(joined, now)
            self.connect_controller(joined, now)
        self.refresh(joined)
