"""What a member is sent, given what it holds: signed objects that are newer, and roster deltas.

A `View` is one network at one moment. Making it signs what is new; every member that holds the same
roster then gets the same bytes. A roster delta is cut into pieces in the order of change, so that
each piece ends at a revision from which the next delta can go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from controller.issuer import Issuer
from controller.model import Member, Network, Reported, Revoked, Standing
from l2mesh.wire.message import (
    Config,
    Credential,
    JoinStatus,
    Message,
    Revocations,
    Roster,
    RosterMember,
)

__all__ = ["REASONS", "STATUS", "Attendance", "View"]

MAX_PIECE_BYTES: Final = 768 * 1024
MAX_PIECE_ENTRIES: Final = 2048
PUBLIC_BYTES: Final = 128
ENTRY_OVERHEAD: Final = 16
"""MessagePack around an entry, rounded up."""

STATUS: Final = {
    Standing.AUTHORIZED: JoinStatus.OK,
    Standing.PENDING: JoinStatus.PENDING,
    Standing.DENIED: JoinStatus.DENIED,
}
REASONS: Final = {
    Standing.AUTHORIZED: "",
    Standing.PENDING: "waiting until an administrator authorizes this node",
    Standing.DENIED: "refused by an administrator of the network",
}


@dataclass(slots=True)
class Attendance:
    """Somebody who is online in a network: what it was told last, and what it holds."""

    told: JoinStatus | None = None
    config: int = 0
    roster: int = 0
    serial: int = 0
    revocations: int = 0

    @classmethod
    def of(cls, reported: Reported) -> Attendance:
        """As the member says itself."""
        return cls(
            config=reported.config,
            roster=reported.roster,
            serial=reported.serial,
            revocations=reported.revocations,
        )


@dataclass(frozen=True, slots=True)
class _Item:
    """One change of the roster: an entry, or somebody who is gone."""

    changed: int
    entry: RosterMember | None
    gone: bytes = b""

    @property
    def size(self) -> int:
        if self.entry is None:
            return len(self.gone) + ENTRY_OVERHEAD
        return len(self.entry.credential) + PUBLIC_BYTES + ENTRY_OVERHEAD


@dataclass(slots=True)
class View:
    """A network, its members by fingerprint and its revocations, as read together."""

    network: Network
    members: dict[bytes, Member]
    revoked: Sequence[Revoked]
    issuer: Issuer
    _config: bytes | None = None
    _revocations: bytes | None = None
    _rosters: dict[int, list[Roster]] = field(default_factory=dict)
    _items: list[_Item] | None = None

    def revocations(self, held: Attendance) -> Iterator[Message]:
        """REVOCATIONS if they are newer than what is held."""
        ours = self.network.numbers.revocations
        if ours > held.revocations:
            held.revocations = ours
            if self._revocations is None:
                self._revocations = self.issuer.revocations(self.network, self.revoked)
            yield Revocations(self.network.id, self._revocations)

    def membership(self, held: Attendance, member: Member) -> Iterator[Message]:
        """CONFIG, CREDENTIAL and ROSTER, each if it is newer than what is held."""
        numbers = self.network.numbers
        if numbers.config > held.config:
            held.config = numbers.config
            if self._config is None:
                self._config = self.issuer.config(self.network)
            yield Config(self.network.id, self._config)
        if member.serial > held.serial:
            held.serial = member.serial
            yield Credential(self.network.id, self.issuer.credential(self.network, member))
        if numbers.roster != held.roster:
            base, held.roster = held.roster, numbers.roster
            yield from self._roster(base)

    def _roster(self, base: int) -> list[Roster]:
        """What takes a roster from `base` to ours; the whole when `base` is none of ours."""
        numbers = self.network.numbers
        if base < numbers.roster_floor or base > numbers.roster:
            base = 0
        if base not in self._rosters:
            items = [
                item
                for item in self._all_items()
                if item.changed > base and (base or item.entry is not None)
            ]
            self._rosters[base] = list(self._pieces(base, items))
        return self._rosters[base]

    def _all_items(self) -> list[_Item]:
        if self._items is None:
            entries = {m.fingerprint: m for m in self.members.values() if _is_listed(m)}
            listed = (_Item(m.changed, self._entry(m)) for m in entries.values())
            gone = (
                _Item(each.changed, None, each.fingerprint)
                for each in self.revoked
                if each.fingerprint not in entries
            )
            self._items = sorted((*listed, *gone), key=lambda item: item.changed)
        return self._items

    def _entry(self, member: Member) -> RosterMember:
        assert member.public is not None
        return RosterMember(self.issuer.credential(self.network, member), member.public)

    def _pieces(self, base: int, items: list[_Item]) -> Iterator[Roster]:
        batches = list(_batches(items)) or [[]]
        for batch in batches[:-1]:
            yield self._piece(base, batch[-1].changed, batch)
            base = batch[-1].changed
        yield self._piece(base, self.network.numbers.roster, batches[-1])

    def _piece(self, base: int, revision: int, items: Iterable[_Item]) -> Roster:
        items = list(items)
        return Roster(
            network=self.network.id,
            base=base,
            revision=revision,
            members=tuple(item.entry for item in items if item.entry is not None),
            removed=tuple(item.gone for item in items if item.entry is None),
        )


def _is_listed(member: Member) -> bool:
    return member.standing is Standing.AUTHORIZED and member.public is not None


def _batches(items: list[_Item]) -> Iterator[list[_Item]]:
    """Cuts into messages; every change has a revision of its own, so any cut will do."""
    batch: list[_Item] = []
    size = 0
    for item in items:
        if batch and (size + item.size > MAX_PIECE_BYTES or len(batch) >= MAX_PIECE_ENTRIES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch
