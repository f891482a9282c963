"""Who claims which address (section 7.2 of ``docs/protocol.md``).

An address has 40 bits, so two identities may share one by chance or by work. The directory answers
with all it knows, at most four, the oldest first, and decides nothing. The first claim is never
displaced and outlives restarts; the others count while their owners are here, and make room for
newcomers once they are gone. It holds no endpoint of anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from l2mesh.identity import PublicIdentity

__all__ = ["MAX_ADDRESSES", "MAX_CLAIMS", "Directory", "FirstClaim"]

MAX_CLAIMS: Final = 4
"""Claims for one address."""
MAX_ADDRESSES: Final = 262_144
"""Addresses remembered: about 150 MB of memory, 36 MB of file. The longest unseen goes first."""


class FirstClaim(NamedTuple):
    """A row worth remembering: the first identity (128 bytes) to claim an address (5 bytes)."""

    address: bytes
    public: bytes


@dataclass(slots=True)
class _Claim:
    fingerprint: bytes
    public: bytes
    is_present: bool


class Directory:
    """Claims by address."""

    def __init__(self) -> None:
        self._claims: dict[bytes, list[_Claim]] = {}
        self._news: list[FirstClaim] = []

    def __len__(self) -> int:
        return len(self._claims)

    def restore(self, rows: Iterable[FirstClaim]) -> None:
        """First claims of an earlier run, oldest first. Of two for one address the first counts."""
        for address, public in rows:
            fingerprint = PublicIdentity(public[:32], public[32:64], public[64:]).fingerprint
            self._make_room(address)
            self._claims.setdefault(address, [_Claim(fingerprint, public, is_present=False)])

    def admit(self, public: PublicIdentity, address: bytes) -> bool:
        """The owner of ``public`` is here, and ``address`` was checked to be its own.

        False when four others claim the address: then it is here, but WHOIS does not name it.
        """
        claims = self._claims.pop(address, None)
        if claims is None:
            self._make_room(address)
            claims = []
            self._news.append(FirstClaim(address, public.encode()))
        self._claims[address] = claims  # the dict's order is that of the latest sight
        for claim in claims:
            if claim.fingerprint == public.fingerprint:
                claim.is_present = True
                return True
        if len(claims) >= MAX_CLAIMS and not _drop_one_absent(claims):
            return False
        claims.append(_Claim(public.fingerprint, public.encode(), is_present=True))
        return True

    def gone(self, fingerprint: bytes, address: bytes) -> None:
        """The owner is not here any more; its claim stays until its place is needed."""
        for claim in self._claims.get(address, ()):
            if claim.fingerprint == fingerprint:
                claim.is_present = False

    def claims(self, address: bytes) -> tuple[bytes, ...]:
        """The public identities (128 bytes each) that claim an address, oldest first."""
        return tuple(claim.public for claim in self._claims.get(address, ()))

    def first_claims(self) -> Iterator[FirstClaim]:
        """All rows worth remembering, to write the file anew."""
        for address, claims in self._claims.items():
            yield FirstClaim(address, claims[0].public)

    def poll_news(self) -> list[FirstClaim]:
        """First claims since the last call: rows to append."""
        news, self._news = self._news, []
        return news

    def _make_room(self, address: bytes) -> None:
        if address in self._claims or len(self._claims) < MAX_ADDRESSES:
            return
        for known, claims in self._claims.items():
            if not any(claim.is_present for claim in claims):
                del self._claims[known]
                return


def _drop_one_absent(claims: list[_Claim]) -> bool:
    """Forget the oldest claim, other than the first, whose owner is not here."""
    for index, claim in enumerate(claims[1:], start=1):
        if not claim.is_present:
            del claims[index]
            return True
    return False
