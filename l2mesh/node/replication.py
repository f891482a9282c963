"""Broadcasts of big networks (section 10.4): whom we have carry on ours, and whose we carry on.

The machine of each network (``network/replication.py``) decides about our own; this part tells it
who is there and who answers, and has the engine do what it wants. For others we carry on what they
ask, if the controller has signed us the right ``relay`` and the operator lets us.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from l2mesh.credential.membership import MembershipCredential, Right
from l2mesh.datapath.interface import (
    AssignmentUnknown,
    NeedReplicators,
    RemoveSource,
    SetAssignment,
    SetReplication,
    SetSource,
    SourceStale,
    StopReplication,
    Upcall,
)
from l2mesh.network.replication import Assign, Replicators, Targets
from l2mesh.network.state import RefusedCredential
from l2mesh.node.core import Core
from l2mesh.node.joined import Joined
from l2mesh.node.networks import Networks
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.wire.message import Message, Replicate, Replicating

__all__ = ["Replication"]

FOLLOW_S: Final = 0.25
"""Changes of members are looked at so often, at most."""
WATCH_S: Final = 0.5
SILENT_S: Final = 1.5
"""A replicator that has answered nothing for so long after something was sent is given up."""
BUSY_S: Final = 5.0
"""A replicator is watched while a frame has passed in the last so many seconds."""
REST_S: Final = 600.0
REPORT_S: Final = 0.5
"""What cannot be reached is told so long after the first of several is seen."""
MAX_UNREACHABLE: Final = 4096


class Told(NamedTuple):
    """What the engine knows of a member's broadcasts."""

    signing: bytes
    relay: bool
    serial: int
    generation: int


@dataclass(slots=True, eq=False)
class Followed:
    """One network, as this part has brought the engine to it."""

    seen: tuple[object, ...]
    """From what it was made."""
    at: float
    told: dict[bytes, Told] = field(default_factory=dict)
    machine: Replicators | None = None


@dataclass(slots=True, eq=False)
class Replication(Part):
    """All networks'."""

    core: Core
    networks: Networks
    generation: int
    """Of our own broadcasts: rises each time that we start."""
    carried: dict[tuple[int, bytes], tuple[int, frozenset[bytes]]] = field(default_factory=dict)
    """(network, source) -> assignment and members, of those for whom we carry on."""
    _followed: dict[int, Followed] = field(default_factory=dict)
    _unreachable: set[bytes] = field(default_factory=set)
    _changed: set[bytes] = field(default_factory=set)
    """Peers that came to be reached, or not, since sources were told."""
    _report_at: float | None = None
    _watch_at: float = 0.0
    _silent_since: dict[bytes, float] = field(default_factory=dict)

    def handlers(self) -> dict[type, Handler]:
        return {Replicate: self._replicate, Replicating: self._replicating}

    def replicators(self, network: int) -> list[bytes]:
        """Those who carry our broadcasts on."""
        followed = self._followed.get(network)
        if followed is None or followed.machine is None:
            return []
        return [each for each, share in followed.machine.shares.items() if share.confirmed]

    # --- verbs ----------------------------------------------------------------------------------

    def _replicate(self, peer: Peer, message: Replicate, now: float) -> None:
        """A member asks us to carry its broadcasts on."""
        joined, source = self.networks.joined.get(message.network), peer.fingerprint
        if joined is None or source not in joined.meetings.accepted:
            self.core.refuse("not_a_member")
            return
        network, number, members = message.network, message.assignment, message.receivers
        if not members:
            self.carried.pop((network, source), None)
            self.core.emit(SetAssignment(network, source, number, ()))
            return
        if not number or not self._is_willing(joined, source, now):
            self.core.send(peer, Replicating(network=network, assignment=0), now)
            return
        self.core.emit(SetAssignment(network, source, number, members))
        self.carried[network, source] = number, frozenset(members)
        self._answer(peer, network, now)

    def _replicating(self, peer: Peer, message: Replicating, now: float) -> None:
        """A replicator says under which assignment it carries on, and whom it does not reach."""
        followed = self._followed.get(message.network)
        if followed is not None and followed.machine is not None:
            followed.machine.answered(peer.fingerprint, message.assignment, message.missing, now)
            self._drain(message.network, followed.machine, now)

    # --- hooks ----------------------------------------------------------------------------------

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        match upcall:
            case NeedReplicators(network):
                followed = self._followed.get(network)
                if followed is not None and followed.machine is not None:
                    followed.machine.need(now)
                    self._drain(network, followed.machine, now)
            case AssignmentUnknown(source, network):
                self.carried.pop((network, source), None)
                if (peer := self.core.peers.get(source)) is not None:
                    self.core.send(peer, Replicating(network=network, assignment=0), now)
            case SourceStale(source, network):
                if (joined := self.networks.joined.get(network)) is not None:
                    self.networks.connect_member(joined, source, now)
            case _:
                pass  # for other parts

    def connect_failed(self, peer: Peer, now: float) -> None:
        if len(self._unreachable) < MAX_UNREACHABLE and self._is_asked_for(peer.fingerprint):
            self._unreachable.add(peer.fingerprint)
            self._note(peer, now)

    def session_live(self, peer: Peer, session: int, now: float, *, initiator: bool) -> None:
        if peer.fingerprint in self._unreachable:
            self._unreachable.remove(peer.fingerprint)
            self._note(peer, now)

    def session_lost(self, peer: Peer, now: float) -> None:
        self._lose(peer.fingerprint, now)

    def next_timeout(self) -> float | None:
        due = [self._follow_at(joined) for joined in self.networks.joined.values()]
        due += [0.0 for network in self._followed if network not in self.networks.joined]
        due += [self._report_at]
        for _, machine in self._machines():
            due.append(machine.next_timeout())
            if machine.is_open:
                due.append(self._watch_at)
        return min((at for at in due if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        for network in [each for each in self._followed if each not in self.networks.joined]:
            del self._followed[network]
        for joined in list(self.networks.joined.values()):
            at = self._follow_at(joined)
            if at is not None and now >= at:
                self._follow(joined, now)
        if now >= self._watch_at:
            self._watch_at = now + WATCH_S
            self._watch(now)
        for network, machine in self._machines():
            due = machine.next_timeout()
            if due is not None and now >= due:
                machine.handle_timeout(now)
                self._drain(network, machine, now)
        if self._report_at is not None and now >= self._report_at:
            self._report(now)

    # --- whom we know ---------------------------------------------------------------------------

    def _follow_at(self, joined: Joined) -> float | None:
        """When to look at a network again; None: it is as it was."""
        followed = self._followed.get(joined.network)
        if followed is None:
            return 0.0 if joined.port is not None else None
        return None if followed.seen == _seen(joined) else followed.at + FOLLOW_S

    def _follow(self, joined: Joined, now: float) -> None:
        """Bring engine and machine to the members that there are."""
        network, seen = joined.network, _seen(joined)
        followed = self._followed.get(network)
        if followed is None or joined.port is None:
            followed = self._followed[network] = Followed(seen, now)
        followed.seen, followed.at = seen, now
        if joined.port is None or joined.state.config is None:
            return
        above = joined.state.config.replicate_above
        members = dict(self._members(joined))
        self._believe(network, followed, members if above else {})
        volunteers = [each for each, told in members.items() if told.relay]
        if above and len(members) + 1 > above and volunteers:
            if followed.machine is None:
                followed.machine = Replicators(self._me)
                self._send_through(network, Targets(None))
            followed.machine.set_members(members, volunteers, now)
            self._drain(network, followed.machine, now)
        elif followed.machine is not None:
            followed.machine = None
            self.core.emit(StopReplication(network))

    def _members(self, joined: Joined) -> Iterator[tuple[bytes, Told]]:
        """All others whose credentials count, by the roster or because we have met."""
        unix_now = self.core.settings.unix_now()
        known: dict[bytes, tuple[MembershipCredential, bytes]] = {}
        for fingerprint, credential in joined.meetings.accepted.items():
            if (peer := self.core.peers.get(fingerprint)) is not None:
                known[fingerprint] = credential, peer.public.signing
        for entry in joined.state.roster:
            fingerprint = entry.credential.fingerprint
            held = known.get(fingerprint)
            if held is None or held[0].serial < entry.credential.serial:
                known[fingerprint] = entry.credential, entry.public.signing
        known.pop(self._me, None)
        for fingerprint, (credential, signing) in sorted(known.items()):
            try:
                joined.state.check(credential, unix_now)
            except RefusedCredential:
                continue
            generation = joined.generations.get(fingerprint, 0)
            relay = credential.has_right(Right.RELAY)
            yield fingerprint, Told(signing, relay, credential.serial, generation)

    def _believe(self, network: int, followed: Followed, members: dict[bytes, Told]) -> None:
        """Have the engine believe the broadcasts of these members, and of nobody else."""
        before, followed.told = followed.told, members
        for gone in before.keys() - members.keys():
            self.core.emit(RemoveSource(network, gone))
        for fingerprint, told in members.items():
            held = before.get(fingerprint)
            if told != held:
                is_news = held is None or held.generation != told.generation
                generation = told.generation if is_news else 0
                self.core.emit(
                    SetSource(network, fingerprint, told.signing, told.relay, generation)
                )

    # --- our own --------------------------------------------------------------------------------

    @property
    def _me(self) -> bytes:
        return self.core.settings.identity.public.fingerprint

    def _machines(self) -> list[tuple[int, Replicators]]:
        return [
            (network, followed.machine)
            for network, followed in self._followed.items()
            if followed.machine is not None
        ]

    def _drain(self, network: int, machine: Replicators, now: float) -> None:
        joined = self.networks.joined.get(network)
        while (output := machine.poll_output()) is not None:
            if isinstance(output, Targets):
                self._send_through(network, output)
            elif joined is not None:
                self._ask(joined, output, now)

    def _ask(self, joined: Joined, output: Assign, now: float) -> None:
        replicator, network = output.replicator, joined.network
        message = Replicate(network=network, assignment=output.number, receivers=output.members)
        if output.members:
            self.networks.connect_member(joined, replicator, now)
        elif replicator not in joined.meetings.accepted:
            return
        self._send(replicator, message, now)

    def _send_through(self, network: int, targets: Targets) -> None:
        secret = self.core.settings.identity.signing_secret
        command = SetReplication(network, self._me, secret, self.generation, targets.targets)
        self.core.emit(command)

    def _watch(self, now: float) -> None:
        """Give up replicators that are silent; rest when nothing has been sent for long."""
        for network, machine in self._machines():
            shares = list(machine.shares)
            traffic = {each: self.core.settings.activity(each) for each in shares}
            if (
                machine.is_open
                and shares
                and all(now - each.frame > REST_S for each in traffic.values())
            ):
                machine.rest()
                self._drain(network, machine, now)
                continue
            for fingerprint, activity in traffic.items():
                since = self._silent_since.pop(fingerprint, None)
                if activity.sent <= activity.received or now - activity.frame > BUSY_S:
                    continue
                if since is None or activity.received > since:
                    since = now
                if now - since < SILENT_S:
                    self._silent_since[fingerprint] = since
                else:
                    self._lose(fingerprint, now)

    def _lose(self, fingerprint: bytes, now: float) -> None:
        for network, machine in self._machines():
            if fingerprint not in machine.shares:
                continue
            if now - self.core.settings.activity(fingerprint).frame > REST_S / 2:
                machine.rest()
            else:
                machine.lost(fingerprint, now)
            self._drain(network, machine, now)

    # --- others' --------------------------------------------------------------------------------

    def _is_willing(self, joined: Joined, source: bytes, now: float) -> bool:
        """Whether we carry on for a source: it must be known to the engine, too."""
        ours = joined.state.credential
        if ours is None or not ours.has_right(Right.RELAY) or not joined.options.replicate:
            return False
        followed = self._followed.get(joined.network)
        if followed is None or source not in followed.told:
            self._follow(joined, now)
            followed = self._followed[joined.network]
        return source in followed.told

    def _is_asked_for(self, fingerprint: bytes) -> bool:
        return any(fingerprint in members for _, members in self.carried.values())

    def _answer(self, peer: Peer, network: int, now: float) -> None:
        number, members = self.carried[network, peer.fingerprint]
        missing = tuple(sorted(members & self._unreachable))
        self.core.send(peer, Replicating(network=network, assignment=number, missing=missing), now)

    def _note(self, peer: Peer, now: float) -> None:
        self._changed.add(peer.fingerprint)
        self._report_at = self._report_at or now + REPORT_S

    def _report(self, now: float) -> None:
        """Tell sources whom we do not reach, or reach again."""
        changed, self._changed, self._report_at = self._changed, set(), None
        for (network, source), (_, members) in list(self.carried.items()):
            peer = self.core.peers.get(source)
            if peer is None or not peer.is_live:
                if source not in self.core.peers:
                    del self.carried[network, source]
            elif members & changed:
                self._answer(peer, network, now)

    def _send(self, fingerprint: bytes, message: Message, now: float) -> None:
        if (peer := self.core.peers.get(fingerprint)) is not None:
            self.core.send(peer, message, now)


def _seen(joined: Joined) -> tuple[object, ...]:
    """What changes when members do, and costs nothing to look at."""
    state = joined.state
    return (
        joined.port is not None,
        state.config.revision if state.config is not None else 0,
        state.revocation_revision,
        state.roster.revision,
        len(state.roster),
        len(joined.meetings.accepted),
        joined.tellings,
    )
