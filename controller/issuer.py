"""Signed objects out of rows and the signing identity.

Nothing here is kept: Ed25519 is deterministic, so the same row gives the same bytes on every
controller that has the key. A cache spares signing a credential for each member that hears of it.

**After a restore.** Members say in JOIN what they hold. Where that is above our own numbers, the
store is an old backup, and what it would issue would be refused as stale or, worse, bring back
somebody who was deauthorised. So the store raises its numbers above what was reported and issues
everything anew (`controller.store.networks`). Revocations are not believed by number: we ask
the member for them (WANT), see our own signature, and take them back (`open_revocations`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from controller.model import Member, Network, Revoked
from l2mesh.credential.config import Bpdu, Guard, NetworkConfig, Route, seal_config
from l2mesh.credential.membership import MembershipCredential, seal_membership
from l2mesh.credential.revocation import Revocations, open_revocations, seal_revocations
from l2mesh.credential.revocation import Revoked as RevokedEntry
from l2mesh.crypto import Crypto
from l2mesh.identity import Identity

__all__ = ["Issuer"]

MAX_CACHED: Final = 65_536
"""Credentials of about 300 bytes; then the cache begins anew."""


class Issuer:
    """Signs for all networks of one controller."""

    def __init__(self, identity: Identity, crypto: Crypto) -> None:
        self.identity = identity
        self.crypto = crypto
        self._credentials: dict[tuple[int, bytes], tuple[int, bytes]] = {}

    def credential(self, network: Network, member: Member) -> bytes:
        """The member's credential under its serial and the network's epoch."""
        key = network.id, member.fingerprint
        held = self._credentials.get(key)
        if held is not None and held[0] == member.serial:
            return held[1]
        body = MembershipCredential(
            network=network.id,
            fingerprint=member.fingerprint,
            address=member.address,
            mac=member.mac,
            name=member.name,
            addresses=member.addresses,
            rights=tuple(sorted(member.rights)),
            groups=member.groups,
            tags=dict(sorted(member.tags.items())),
            serial=member.serial,
            epoch=network.numbers.epoch,
        )
        data = seal_membership(body, self.identity, self.crypto)
        if len(self._credentials) >= MAX_CACHED:
            self._credentials.clear()
        self._credentials[key] = member.serial, data
        return data

    def config(self, network: Network) -> bytes:
        """The network's config under its revision."""
        settings = network.settings
        body = NetworkConfig(
            network=network.id,
            revision=network.numbers.config,
            name=settings.name,
            mtu=settings.mtu,
            pools=settings.pools,
            routes=tuple(Route(each.destination, each.via) for each in settings.routes),
            dns=settings.dns,
            guard=Guard(settings.guard),
            broadcast=settings.broadcast,  # type: ignore[arg-type]  # the text was checked
            multicast=settings.multicast,  # type: ignore[arg-type]
            unknown_unicast=settings.unknown_unicast,  # type: ignore[arg-type]
            arp=settings.arp,  # type: ignore[arg-type]
            nd=settings.nd,  # type: ignore[arg-type]
            discovery=settings.discovery,  # type: ignore[arg-type]
            bpdu=Bpdu(settings.bpdu),
            snooping=settings.snooping,
            querier=settings.querier,
            unknown_groups=settings.unknown_groups,  # type: ignore[arg-type]
            replicate_above=settings.replicate_above,
            public=settings.public,
        )
        return seal_config(body, self.identity, self.crypto)

    def revocations(self, network: Network, revoked: Iterable[Revoked]) -> bytes:
        """The whole of what is revoked, under its revision."""
        body = Revocations(
            network=network.id,
            revision=network.numbers.revocations,
            minimum_epoch=network.numbers.minimum_epoch,
            revoked=tuple(sorted(RevokedEntry(each.fingerprint, each.serial) for each in revoked)),
        )
        return seal_revocations(body, self.identity, self.crypto)

    def open_revocations(self, network: int, data: bytes) -> Revocations:
        """Revocations that we signed ourselves; raises MalformedPacket or CryptoError if not."""
        return open_revocations(data, network, self.identity.public, self.crypto)
