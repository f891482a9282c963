"""Who else is in a network: the controller's list of members, each entry signed on its own.

The list itself carries no signature. It comes through the controller's session, and what matters is
signed in every credential; a controller can leave a member out, which it could do anyway by not
issuing. Section 6 (ROSTER) and 8 of docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from l2mesh.credential.membership import MembershipCredential
from l2mesh.identity import PublicIdentity

__all__ = ["MAX_MEMBERS", "Roster", "RosterEntry"]

MAX_MEMBERS: Final = 65_536
"""More than this and a controller is lying; further entries are refused."""


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One member as the controller told it; the identity hashes to the credential's fingerprint."""

    public: PublicIdentity
    credential: MembershipCredential
    object: bytes
    """The signed credential as it came, to be kept and shown again."""


@dataclass(slots=True)
class Roster:
    """Members by fingerprint. An older serial never replaces a newer one."""

    revision: int = 0
    entries: dict[bytes, RosterEntry] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[RosterEntry]:
        return iter(self.entries.values())

    def get(self, fingerprint: bytes) -> RosterEntry | None:
        """The entry of one member."""
        return self.entries.get(fingerprint)

    def put(self, entry: RosterEntry) -> bool:
        """Add or renew an entry; False when it says nothing newer than what is held."""
        held = self.entries.get(entry.credential.fingerprint)
        if held is not None and held.credential.serial >= entry.credential.serial:
            return False
        if held is None and len(self.entries) >= MAX_MEMBERS:
            return False
        self.entries[entry.credential.fingerprint] = entry
        return True

    def remove(self, fingerprints: Iterable[bytes]) -> list[RosterEntry]:
        """Take members off; answers with those that were on it."""
        gone = (self.entries.pop(fingerprint, None) for fingerprint in fingerprints)
        return [entry for entry in gone if entry is not None]

    def find(self, text: str) -> list[RosterEntry]:
        """Members whose name, or address in hex, is ``text``. Names need not be unique."""
        return [
            entry
            for entry in self
            if entry.credential.name == text or entry.credential.address.hex() == text
        ]
