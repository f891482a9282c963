"""A controller's pen for tests: signs credentials, configs and revocations with cheap keys."""

from __future__ import annotations

from random import Random

from l2mesh.address import network_id
from l2mesh.credential.config import NetworkConfig, seal_config
from l2mesh.credential.membership import MembershipCredential, seal_membership
from l2mesh.credential.revocation import Revocations, Revoked, seal_revocations
from l2mesh.identity import Identity, address_of
from l2mesh.network.state import NetworkState
from tests.simulator.cheap import CheapCrypto

__all__ = ["Authority"]


class Authority:
    """One controller, one network, and any number of identities."""

    def __init__(self, seed: int = 1) -> None:
        self.crypto = CheapCrypto()
        self._random = Random(seed).randbytes
        self.controller = self.identity()
        address = address_of(self.controller.fingerprint, self.crypto)
        assert address is not None
        self.network = network_id(address, 1)

    def identity(self) -> Identity:
        return Identity.generate(self.crypto, self._random)

    def state(self) -> NetworkState:
        """What a new member knows: who the controller is."""
        return NetworkState(self.network, self.crypto, controller=self.controller.public)

    def credential(
        self,
        member: Identity,
        *,
        serial: int = 1,
        epoch: int = 0,
        expires: int | None = None,
        rights: tuple[str, ...] = (),
    ) -> bytes:
        address = address_of(member.fingerprint, self.crypto)
        assert address is not None
        body = MembershipCredential(
            network=self.network,
            fingerprint=member.fingerprint,
            address=address,
            mac=b"\x02" + address,
            name=f"member-{address.hex()}",
            rights=rights,
            serial=serial,
            epoch=epoch,
            expires=expires,
        )
        return seal_membership(body, self.controller, self.crypto)

    def config(self, revision: int = 1, *, replicate_above: int = 250) -> bytes:
        body = NetworkConfig(
            network=self.network, revision=revision, replicate_above=replicate_above
        )
        return seal_config(body, self.controller, self.crypto)

    def revocations(
        self, revision: int, revoked: dict[bytes, int] | None = None, *, epoch: int = 0
    ) -> bytes:
        entries = tuple(Revoked(f, serial) for f, serial in sorted((revoked or {}).items()))
        body = Revocations(
            network=self.network, revision=revision, minimum_epoch=epoch, revoked=entries
        )
        return seal_revocations(body, self.controller, self.crypto)
