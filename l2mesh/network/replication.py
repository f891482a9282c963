"""Who carries our broadcasts on, and to whom (section 10.4).

    idle --a broadcast waits--> asking --all have answered, or 2 s--> open --nothing to send--> idle

Members are shared out among a few replicators by highest random weight, so that one that comes or
goes moves no more of them than it must. Whoever no replicator answers for is sent to directly: a
new member, one that a replicator cannot reach, and all of a replicator that has gone. The machine
decides and tells; sessions and keys are not its business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeAlias

__all__ = ["Assign", "Output", "Replicators", "Targets"]

CHOSEN: Final = 8
"""Replicators in use at a time, at most."""
WAIT_S: Final = 2.0
"""Broadcasts wait for the first answers so long."""
ANSWER_S: Final = 1.0
TRIES: Final = 3
"""An assignment is sent so often, a second apart; then the replicator is given up."""
SHUNNED_S: Final = 60.0
"""One that was given up is not chosen for so long."""
SETTLE_S: Final = 1.0
"""Members are shared out anew so long after the first change."""


@dataclass(frozen=True, slots=True)
class Assign:
    """Ask a replicator to carry on to these members under this number."""

    replicator: bytes
    number: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Targets:
    """To whom we send ourselves, with assignments; None: broadcasts wait."""

    targets: tuple[tuple[bytes, int], ...] | None


Output: TypeAlias = Assign | Targets


@dataclass(slots=True, eq=False)
class Share:
    """What one replicator is asked for, and what it has agreed to."""

    number: int
    members: tuple[bytes, ...]
    asked_at: float
    tries: int = 1
    confirmed: int = 0
    """The newest number that it has answered."""
    carried: frozenset[bytes] = frozenset()
    """Members under that number that it reaches."""


class Replicators:
    """One network's, as this node uses them."""

    def __init__(self, me: bytes) -> None:
        self.shares: dict[bytes, Share] = {}
        self.is_open = False
        self._me = me
        self._members: tuple[bytes, ...] = ()
        self._volunteers: frozenset[bytes] = frozenset()
        self._shunned: dict[bytes, float] = {}
        self._deadline: float | None = None
        self._settle_at: float | None = None
        self._number = 0
        self._told: Targets | None = None
        self._outputs: deque[Output] = deque()

    # --- in -------------------------------------------------------------------------------------

    def set_members(
        self, members: Collection[bytes], volunteers: Collection[bytes], now: float
    ) -> None:
        """Who else is a member, and which of them may replicate."""
        if self._volunteers == frozenset(volunteers) and self._members == tuple(members):
            return
        self._members, self._volunteers = tuple(members), frozenset(volunteers)
        for gone in [each for each in self.shares if each not in self._volunteers]:
            del self.shares[gone]
        if self.is_active and self._settle_at is None:
            self._settle_at = now + SETTLE_S
        self._tell()

    def need(self, now: float) -> None:
        """A broadcast waits."""
        if not self.is_active:
            self._deadline = now + WAIT_S
            self._share_out(now)
            self._open_if_answered(now)

    def answered(
        self, replicator: bytes, number: int, missing: Collection[bytes], now: float
    ) -> None:
        """A replicator carries on under this number; 0: it carries nothing on for us."""
        share = self.shares.get(replicator)
        if share is None:
            return
        if number == share.number:
            share.confirmed = number
            share.carried = frozenset(share.members).difference(missing)
        elif number == 0:
            share.confirmed, share.carried = 0, frozenset()
            self._ask_again(replicator, share, now)
        self._open_if_answered(now)
        self._tell()

    def lost(self, replicator: bytes, now: float) -> None:
        """A replicator is gone, or silent: its members are sent to directly, then shared out."""
        if self.shares.pop(replicator, None) is None:
            return
        self._shunned[replicator] = now + SHUNNED_S
        self._settle_at = now
        self._tell()

    def rest(self) -> None:
        """Nothing is to be sent: forget who was asked, and begin anew with the next broadcast."""
        self.shares.clear()
        self.is_open, self._deadline, self._settle_at = False, None, None
        self._tell()

    def handle_timeout(self, now: float) -> None:
        """Ask again, give up, share out."""
        for replicator, share in list(self.shares.items()):
            if share.confirmed != share.number and now >= share.asked_at + ANSWER_S:
                self._ask_again(replicator, share, now)
        back = [each for each, until in self._shunned.items() if now >= until]
        for replicator in back:
            del self._shunned[replicator]
        if self.is_active and (back or (self._settle_at is not None and now >= self._settle_at)):
            self._share_out(now)
        self._open_if_answered(now)
        self._tell()

    # --- out ------------------------------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether broadcasts are sent, or about to be."""
        return self.is_open or self._deadline is not None

    def next_timeout(self) -> float | None:
        """When something is due."""
        if not self.is_active:
            return None
        due = [
            share.asked_at + ANSWER_S
            for share in self.shares.values()
            if share.confirmed != share.number
        ]
        due += self._shunned.values()
        due += [at for at in (self._deadline, self._settle_at) if at is not None]
        return min(due, default=None)

    def poll_output(self) -> Output | None:
        """What is to be done next."""
        return self._outputs.popleft() if self._outputs else None

    # --- inside ---------------------------------------------------------------------------------

    def _share_out(self, now: float) -> None:
        self._settle_at = None
        free = [each for each in self._volunteers if each not in self._shunned]
        chosen = sorted(free, key=lambda each: _weight(self._me, each))[-CHOSEN:]
        lists: dict[bytes, list[bytes]] = {each: [] for each in sorted(chosen)}
        for member in self._members:
            if chosen and member not in lists:
                lists[max(lists, key=lambda each: _weight(each, member))].append(member)
        for gone in [each for each in self.shares if each not in lists]:
            del self.shares[gone]
            self._number += 1
            self._outputs.append(Assign(gone, self._number, ()))
        for replicator, members in lists.items():
            self._assign(replicator, tuple(members), now)

    def _assign(self, replicator: bytes, members: tuple[bytes, ...], now: float) -> None:
        share = self.shares.get(replicator)
        if (share.members if share is not None else ()) == members:
            return
        self._number += 1
        new = Share(self._number, members, now)
        if share is not None:
            new.confirmed, new.carried = share.confirmed, share.carried
        self.shares[replicator] = new
        self._outputs.append(Assign(replicator, new.number, members))

    def _ask_again(self, replicator: bytes, share: Share, now: float) -> None:
        if share.tries >= TRIES:
            self.lost(replicator, now)
            return
        share.tries += 1
        share.asked_at = now
        self._outputs.append(Assign(replicator, share.number, share.members))

    def _open_if_answered(self, now: float) -> None:
        if self._deadline is None:
            return
        is_answered = all(share.confirmed for share in self.shares.values())
        if is_answered or now >= self._deadline:
            self.is_open, self._deadline = True, None
            self._tell()

    def _tell(self) -> None:
        targets = Targets(self._targets() if self.is_open else None)
        if targets != self._told:
            self._told = targets
            self._outputs.append(targets)

    def _targets(self) -> tuple[tuple[bytes, int], ...]:
        agreed = {each: share for each, share in self.shares.items() if share.confirmed}
        carried = frozenset[bytes]().union(*(share.carried for share in agreed.values()))
        direct = [(each, 0) for each in self._members if each not in agreed and each not in carried]
        return (*((each, share.confirmed) for each, share in agreed.items()), *direct)


def _weight(one: bytes, other: bytes) -> bytes:
    """A number that depends on both alone."""
    return blake2b(one + other, digest_size=8).digest()
