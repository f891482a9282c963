"""What a node holds of one network: verified objects, and nothing that was not verified.

Everything here came signed by the network's controller, whose identity is pinned once known. The
objects are kept as the exact bytes that were signed, so that they survive a restart and can be
shown to other members. Revocations and the minimum epoch only ever rise (section 8.2).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from l2mesh.credential.config import NetworkConfig, open_config
from l2mesh.credential.membership import MembershipCredential, open_membership
from l2mesh.credential.revocation import Revocations, open_revocations
from l2mesh.crypto import Crypto
from l2mesh.errors import CryptoError, MalformedPacket, StateError
from l2mesh.identity import PublicIdentity
from l2mesh.network.roster import Roster, RosterEntry

__all__ = ["NetworkState", "Refusal", "RefusedCredential"]


class Refusal(enum.StrEnum):
    """Why a credential does not count. For our own log; the peer hears one uniform REFUSE."""

    UNREADABLE = "unreadable"
    FORGED = "forged"
    FOREIGN = "foreign"  # of another network or another member
    REVOKED = "revoked"
    OLD_EPOCH = "old_epoch"
    EXPIRED = "expired"
    UNKNOWN_NETWORK = "unknown_network"


class RefusedCredential(Exception):
    """Raised by :meth:`NetworkState.judge`; never leaves the node."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(slots=True)
class NetworkState:
    """One network, as far as it is known here."""

    network: int
    crypto: Crypto
    controller: PublicIdentity | None = None
    """Pinned at the first join; None until the directory has answered."""
    config: NetworkConfig | None = None
    config_object: bytes = b""
    credential: MembershipCredential | None = None
    """Our own."""
    credential_object: bytes = b""
    revocations: Revocations | None = None
    revocations_object: bytes = b""
    roster: Roster = field(default_factory=Roster)

    @property
    def revocation_revision(self) -> int:
        """The newest revocations held; 0 for none."""
        return self.revocations.revision if self.revocations is not None else 0

    def take_config(self, data: bytes) -> bool:
        """Hold a signed config if it is newer; raises MalformedPacket or CryptoError if unsound."""
        config = open_config(data, self.network, self._signer(), self.crypto)
        if self.config is not None and config.revision <= self.config.revision:
            return False
        self.config, self.config_object = config, data
        return True

    def take_credential(self, data: bytes, fingerprint: bytes) -> bool:
        """Hold our own credential if it is newer; ``fingerprint`` is ours."""
        credential = self._open_membership(data)
        if credential.fingerprint != fingerprint:
            raise CryptoError("the credential names another member")
        if self.credential is not None and credential.serial <= self.credential.serial:
            return False
        self.credential, self.credential_object = credential, data
        return True

    def take_revocations(self, data: bytes) -> bool:
        """Hold revocations if they are newer. Serials and epoch that would fall are refused."""
        revocations = open_revocations(data, self.network, self._signer(), self.crypto)
        held = self.revocations
        if held is not None:
            if revocations.revision <= held.revision:
                return False
            if revocations.falls_behind(held):
                raise StateError("revocations fell behind what is already known")
        self.revocations, self.revocations_object = revocations, data
        return True

    def roster_entry(self, data: bytes, public: bytes) -> RosterEntry:
        """A verified entry for the roster; raises MalformedPacket or CryptoError if unsound."""
        credential = self._open_membership(data)
        identity = PublicIdentity.decode(public, self.crypto)
        if identity.fingerprint != credential.fingerprint:
            raise CryptoError("the identity is not the one that the credential names")
        return RosterEntry(identity, credential, data)

    def judge(self, fingerprint: bytes, data: bytes, unix_now: float) -> MembershipCredential:
        """The credential in ``data`` if it counts for ``fingerprint`` (section 8.2).

        Raises RefusedCredential. ``unix_now`` matters only where the network set a lifetime.
        """
        try:
            credential = self._open_membership(data)
        except CryptoError:
            raise RefusedCredential(Refusal.FORGED) from None
        except (MalformedPacket, StateError):
            raise RefusedCredential(Refusal.UNREADABLE) from None
        if credential.fingerprint != fingerprint:
            raise RefusedCredential(Refusal.FOREIGN)
        self.check(credential, unix_now)
        return credential

    def check(self, credential: MembershipCredential, unix_now: float) -> None:
        """Whether a credential that was sound once still counts; raises RefusedCredential."""
        if self.revocations is not None:
            revoked = self.revocations.revoked_serial(credential.fingerprint)
            if revoked is not None and credential.serial <= revoked:
                raise RefusedCredential(Refusal.REVOKED)
            if credential.epoch < self.revocations.minimum_epoch:
                raise RefusedCredential(Refusal.OLD_EPOCH)
        if credential.has_expired(unix_now):
            raise RefusedCredential(Refusal.EXPIRED)

    def is_member(self, unix_now: float) -> bool:
        """Whether we may take part: config and a credential of our own that counts."""
        if self.config is None or self.credential is None:
            return False
        try:
            self.check(self.credential, unix_now)
        except RefusedCredential:
            return False
        return True

    def _open_membership(self, data: bytes) -> MembershipCredential:
        return open_membership(data, self.network, self._signer(), self.crypto)

    def _signer(self) -> PublicIdentity:
        if self.controller is None:
            raise StateError("the controller of the network is not known yet")
        return self.controller
