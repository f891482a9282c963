"""How two members of a network come to accept each other (section 8.3).

    stranger --MEET sent--> met --valid MEET received--> accepted --revoked--> stranger
        `--MEET received, but it names newer revocations--> waiting --they come, or 2 s--> judged

The machine holds, for one network, who is accepted and who waits. It answers with actions: messages
to say, peers to accept and peers to drop. Keys follow from that and are not its business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from l2mesh.credential.membership import MembershipCredential
from l2mesh.network.state import NetworkState, Refusal, RefusedCredential
from l2mesh.wire.message import Meet, Message, Refuse, Revocations, Want

__all__ = ["Accept", "Action", "Drop", "Meetings", "Say"]

WAIT_FOR_REVOCATIONS_S: Final = 2.0
"""How long a MEET that names newer revocations than ours may wait for them."""
MEET_AGAIN_S: Final = 2.0
"""A MEET is repeated in a session no sooner, and only where one seems to have missed its aim."""
MAX_WAITING: Final = 256


@dataclass(frozen=True, slots=True)
class Say:
    """Send a message to a peer over its session."""

    peer: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class Accept:
    """The peer is a member by this credential: announce indices to it. May repeat."""

    peer: bytes
    credential: MembershipCredential


@dataclass(frozen=True, slots=True)
class Drop:
    """The peer does not count any more: withdraw its indices at once."""

    peer: bytes
    reason: Refusal


Action: TypeAlias = Say | Accept | Drop


@dataclass(slots=True)
class Meetings:
    """Acceptance of peers in one network."""

    state: NetworkState
    accepted: dict[bytes, MembershipCredential] = field(default_factory=dict)
    generation: int = 0
    """Of the broadcasts that we sign, for others to know."""
    _waiting: dict[bytes, tuple[int, Meet, float]] = field(default_factory=dict)
    """peer -> (session, its MEET, deadline)"""
    _met: dict[bytes, tuple[int, float]] = field(default_factory=dict)
    """peer -> the session in which we have sent our MEET, and when"""
    _held: dict[bytes, int] = field(default_factory=dict)
    """peer -> the newest revocations that it is known to hold"""

    def open(
        self, peer: bytes, session: int, now: float, *, is_missing: bool = False
    ) -> list[Action]:
        """Show our credential, once in a session.

        ``is_missing``: the peer acts as if it had not seen it, because it was no member yet when
        it came, or we were none when its answer came; then it is shown again after 2 s.
        """
        if not self.state.credential_object:
            return []
        met, at = self._met.get(peer, (None, 0.0))
        if met == session and not (is_missing and now >= at + MEET_AGAIN_S):
            return []
        self._met[peer] = session, now
        meet = Meet(
            network=self.state.network,
            revocations=self.state.revocation_revision,
            credential=self.state.credential_object,
            generation=self.generation,
        )
        return [Say(peer, meet)]

    def receive_meet(
        self, peer: bytes, session: int, meet: Meet, *, now: float, unix_now: float
    ) -> list[Action]:
        """A peer shows its credential."""
        self._held[peer] = max(self._held.get(peer, 0), meet.revocations)
        ours = self.state.revocation_revision
        if meet.revocations > ours and len(self._waiting) < MAX_WAITING:
            self._waiting[peer] = (session, meet, now + WAIT_FOR_REVOCATIONS_S)
            return [Say(peer, Want(network=self.state.network, revocations=ours))]
        return self._teach(peer) + self._judge(peer, session, meet, now, unix_now)

    def receive_want(self, peer: bytes, revision: int) -> list[Action]:
        """A peer asks for newer revocations than it holds."""
        self._held[peer] = revision
        return self._teach(peer)

    def receive_held(self, peer: bytes, revision: int) -> list[Action]:
        """A peer's heartbeat says what it holds; only accepted peers are heard."""
        if peer not in self.accepted:
            return []
        self._held[peer] = revision
        ours = self.state.revocation_revision
        if revision > ours:
            return [Say(peer, Want(network=self.state.network, revocations=ours))]
        return self._teach(peer)

    def revocations_changed(self, now: float, unix_now: float) -> list[Action]:
        """Newer revocations are held: judge everybody again, then tell those who hold less."""
        actions: list[Action] = []
        for peer, credential in list(self.accepted.items()):
            try:
                self.state.check(credential, unix_now)
            except RefusedCredential as refused:
                actions += self._drop(peer, refused.reason)
        for peer, (session, meet, _) in list(self._waiting.items()):
            if meet.revocations <= self.state.revocation_revision:
                del self._waiting[peer]
                actions += self._judge(peer, session, meet, now, unix_now)
        for peer in list(self.accepted):
            actions += self._teach(peer)
        return actions

    def credential_changed(self, peer: bytes, credential: MembershipCredential) -> list[Action]:
        """The roster brought a newer credential for somebody who is accepted already."""
        held = self.accepted.get(peer)
        if held is None or held.serial >= credential.serial:
            return []
        self.accepted[peer] = credential
        return [Accept(peer, credential)]

    def knows(self, peer: bytes) -> bool:
        """Whether anything has passed between the peer and us in this network."""
        return any(peer in table for table in (self.accepted, self._met, self._held, self._waiting))

    def forget(self, peer: bytes) -> None:
        """The last session with a peer is gone; it stays accepted until judged again."""
        self._met.pop(peer, None)
        self._held.pop(peer, None)
        self._waiting.pop(peer, None)

    def expel(self, peer: bytes) -> list[Action]:
        """The roster lost a member without a revocation: accept it no longer."""
        return self._drop(peer, Refusal.REVOKED) if peer in self.accepted else []

    def handle_timeout(self, now: float, unix_now: float) -> list[Action]:
        """Judge those who waited long enough, and see credentials expire."""
        actions: list[Action] = []
        for peer, (session, meet, deadline) in list(self._waiting.items()):
            if now >= deadline:
                del self._waiting[peer]
                actions += self._judge(peer, session, meet, now, unix_now)
        for peer, credential in list(self.accepted.items()):
            if credential.expires is not None and unix_now > credential.expires:
                actions += self._drop(peer, Refusal.EXPIRED)
        return actions

    def next_timeout(self) -> float | None:
        """When somebody has waited long enough."""
        return min((deadline for _, _, deadline in self._waiting.values()), default=None)

    def _teach(self, peer: bytes) -> list[Action]:
        """REVOCATIONS to a peer that holds less than we do."""
        ours = self.state.revocation_revision
        if ours <= self._held.get(peer, 0):
            return []
        self._held[peer] = ours
        message = Revocations(network=self.state.network, object=self.state.revocations_object)
        return [Say(peer, message)]

    def _judge(
        self, peer: bytes, session: int, meet: Meet, now: float, unix_now: float
    ) -> list[Action]:
        try:
            credential = self.state.judge(peer, meet.credential, unix_now)
        except RefusedCredential as refused:
            return [*self._drop(peer, refused.reason), Say(peer, Refuse(network=meet.network))]
        held = self.accepted.get(peer)
        if held is not None and held.serial > credential.serial:
            credential = held
        self.accepted[peer] = credential
        opening = self.open(peer, session, now, is_missing=held is not None)
        return [*opening, Accept(peer, credential)]

    def _drop(self, peer: bytes, reason: Refusal) -> list[Action]:
        if self.accepted.pop(peer, None) is None:
            return []
        self._met.pop(peer, None)
        return [Drop(peer, reason)]
