"""The membership credential: what a controller says about one member (section 9.2)."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

from msgspec import Meta
from msgspec.structs import force_setattr

from l2mesh.address import is_address
from l2mesh.credential.prefix import IpText, check_interfaces
from l2mesh.credential.signed import NetworkBody, open_signed, seal
from l2mesh.crypto import Crypto
from l2mesh.errors import MalformedPacket
from l2mesh.identity import Identity, PublicIdentity
from l2mesh.wire.fields import Address, Fingerprint, Name, Uint

__all__ = ["MembershipCredential", "Right", "open_membership", "seal_membership"]

KIND: Final = "credential"
_GROUP_BIT: Final = 0x01

Mac: TypeAlias = Annotated[bytes, Meta(min_length=6, max_length=6)]


class Right(StrEnum):
    """What a member may do beyond sending from its signed MAC. Later versions may know more."""

    BRIDGE = "bridge"
    ROUTER = "router"
    DHCP = "dhcp"
    RA = "ra"
    RELAY = "relay"


class MembershipCredential(NetworkBody, frozen=True, kw_only=True):
    """Says that `fingerprint` is a member. Deeply immutable.

    `mac` is unicast; `addresses` are `ip/prefixlen`; `serial` and `epoch` are judged against the
    revocations (section 8.2); `expires` is in Unix seconds, None = never.
    """

    fingerprint: Fingerprint
    address: Address
    mac: Mac
    name: Name = ""
    addresses: Annotated[tuple[IpText, ...], Meta(max_length=64)] = ()
    rights: Annotated[tuple[Name, ...], Meta(max_length=32)] = ()
    groups: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    tags: Annotated[Mapping[Name, Name], Meta(max_length=64)] = MappingProxyType({})
    serial: Uint
    epoch: Uint = 0
    expires: Uint | None = None

    def __post_init__(self) -> None:
        if not is_address(self.address):
            raise MalformedPacket("the address is none that a node can have")
        if not any(self.mac) or self.mac[0] & _GROUP_BIT:
            raise MalformedPacket("the MAC is not that of one station")
        check_interfaces(self.addresses)
        force_setattr(self, "tags", MappingProxyType(dict(self.tags)))

    def has_right(self, right: Right) -> bool:
        """Whether the controller granted `right`."""
        return right in self.rights

    def has_expired(self, unix_now: float) -> bool:
        """Whether `unix_now` (wall clock) is past `expires`."""
        return self.expires is not None and unix_now > self.expires


def seal_membership(
    credential: MembershipCredential, controller: Identity, crypto: Crypto
) -> bytes:
    """The signed object of a credential."""
    return seal(KIND, credential.network, credential, controller, crypto)


def open_membership(
    data: bytes, network: int, controller: PublicIdentity, crypto: Crypto
) -> MembershipCredential:
    """A credential that `controller` signed for `network`, not yet judged by section 8.2.

    Raises as `open_signed`. Whose session it came on, and revocations, are for the caller.
    """
    return open_signed(data, KIND, network, controller, MembershipCredential, crypto)
