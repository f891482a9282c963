"""Revocations: which credentials of a network no longer count (section 9.4).

They are the whole of what is revoked, not a change to it, so that one object decides without the
controller. Section 8.2 says how a credential is judged by them.
"""

from bisect import bisect_left
from itertools import pairwise
from typing import Annotated, Final, NamedTuple, Self

from msgspec import Meta

from l2mesh.credential.membership import MembershipCredential
from l2mesh.credential.signed import NetworkBody, open_signed, seal
from l2mesh.crypto import Crypto
from l2mesh.errors import MalformedPacket
from l2mesh.identity import Identity, PublicIdentity
from l2mesh.wire.fields import U32, Fingerprint, Uint

__all__ = ["MAX_REVOKED", "Revocations", "Revoked", "open_revocations", "seal_revocations"]

KIND: Final = "revocations"
MAX_REVOKED: Final = 16_384
"""Entries; beyond that a controller raises the epoch and begins again with none."""


class Revoked(NamedTuple):
    """Of `fingerprint`, credentials up to and including `serial` are void."""

    fingerprint: Fingerprint
    serial: Uint


class Revocations(NetworkBody, frozen=True, kw_only=True):
    """What is revoked; the highest `revision` wins. `revoked` is sorted, each fingerprint once."""

    revision: U32
    minimum_epoch: Uint = 0
    revoked: Annotated[tuple[Revoked, ...], Meta(max_length=MAX_REVOKED)] = ()

    def __post_init__(self) -> None:
        names = (entry.fingerprint for entry in self.revoked)
        if any(left >= right for left, right in pairwise(names)):
            raise MalformedPacket("revoked fingerprints are not sorted, or one occurs twice")

    @classmethod
    def nothing(cls, network: int) -> Self:
        """What holds while a network's revocations are unknown: revision 0, all counts."""
        return cls(network=network, revision=0)

    def revoked_serial(self, fingerprint: bytes) -> int | None:
        """The highest void serial of a fingerprint, None when it has none. O(log n)."""
        place = bisect_left(self.revoked, fingerprint, key=_name)
        if place == len(self.revoked) or self.revoked[place].fingerprint != fingerprint:
            return None
        return self.revoked[place].serial

    def voids(self, credential: MembershipCredential) -> bool:
        """Whether a credential of this network no longer counts: its serial or its epoch is old."""
        serial = self.revoked_serial(credential.fingerprint)
        is_revoked = serial is not None and credential.serial <= serial
        return is_revoked or credential.epoch < self.minimum_epoch

    def falls_behind(self, older: Self) -> bool:
        """Whether something that `older` voids would count again, which must never be.

        Entries may go once the minimum epoch has risen, because that voids what they voided.
        """
        if self.minimum_epoch != older.minimum_epoch:
            return self.minimum_epoch < older.minimum_epoch
        serials = dict(self.revoked)
        return any(serials.get(fingerprint, -1) < serial for fingerprint, serial in older.revoked)


def _name(entry: Revoked) -> bytes:
    return entry.fingerprint


def seal_revocations(revocations: Revocations, controller: Identity, crypto: Crypto) -> bytes:
    """The signed object of revocations."""
    return seal(KIND, revocations.network, revocations, controller, crypto)


def open_revocations(
    data: bytes, network: int, controller: PublicIdentity, crypto: Crypto
) -> Revocations:
    """Revocations that `controller` signed for `network`; raises as `open_signed`."""
    return open_signed(data, KIND, network, controller, Revocations, crypto)
