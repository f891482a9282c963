"""The network config: what holds for every member of a network (section 9.3)."""

from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from l2mesh.credential.prefix import IpText, check_addresses, check_prefixes, check_route
from l2mesh.credential.signed import NetworkBody, open_signed, seal
from l2mesh.crypto import Crypto
from l2mesh.identity import Identity, PublicIdentity
from l2mesh.wire.fields import Name, Revision

__all__ = [
    "DEFAULT_FRAMES_PER_SECOND",
    "DEFAULT_MTU",
    "Bpdu",
    "Guard",
    "NetworkConfig",
    "Rate",
    "Route",
    "frames_per_second",
    "open_config",
    "seal_config",
]

KIND: Final = "config"
DEFAULT_MTU: Final = 1500
DEFAULT_FRAMES_PER_SECOND: Final = 500
DEFAULT_REPLICATE_ABOVE: Final = 250
"""Members."""

Rate: TypeAlias = Literal["pass", "drop"] | Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""What a network lets pass of a class of frames, per source; a number is frames a second."""


class Guard(StrEnum):
    """How strictly signed addresses are held to."""

    DEFAULT = "default"
    STRICT = "strict"
    OFF = "off"


class Bpdu(StrEnum):
    """What happens to frames for 01-80-C2-00-00-00..0F."""

    BLOCK = "block"
    PASS = "pass"
    TUNNEL = "tunnel"
    """From bridges to bridges."""


class Route(Struct, frozen=True):
    """A prefix that is reached through the network, `via` a gateway (None: it is on the link)."""

    destination: IpText
    via: IpText | None = None

    def __post_init__(self) -> None:
        check_route(self.destination, self.via)


class NetworkConfig(NetworkBody, frozen=True, kw_only=True):
    """The rules of a network. Deeply immutable; the highest `revision` wins.

    `mtu` is in bytes above Ethernet, 576 to 9000. `pools` are prefixes, `dns` addresses. `arp`,
    `nd` and `discovery` (mDNS, SSDP, LLMNR) are no part of `broadcast` and `multicast`. `snooping`,
    `querier` and `unknown_groups` are about IP groups (section 10.2): whether members learn who
    wants which, whether they ask their hosts, and what becomes of one that nobody has asked for.
    With more members than `replicate_above` broadcasts are replicated (section 10.4); 0: never.
    """

    revision: Revision
    name: Name = ""
    mtu: Annotated[int, Meta(ge=576, le=9000)] = DEFAULT_MTU
    pools: Annotated[tuple[IpText, ...], Meta(max_length=64)] = ()
    routes: Annotated[tuple[Route, ...], Meta(max_length=256)] = ()
    dns: Annotated[tuple[IpText, ...], Meta(max_length=8)] = ()
    guard: Guard = Guard.DEFAULT
    broadcast: Rate = DEFAULT_FRAMES_PER_SECOND
    multicast: Rate = DEFAULT_FRAMES_PER_SECOND
    unknown_unicast: Rate = DEFAULT_FRAMES_PER_SECOND
    arp: Rate = DEFAULT_FRAMES_PER_SECOND
    nd: Rate = DEFAULT_FRAMES_PER_SECOND
    discovery: Rate = DEFAULT_FRAMES_PER_SECOND
    bpdu: Bpdu = Bpdu.BLOCK
    snooping: bool = True
    querier: bool = True
    unknown_groups: Literal["flood", "drop"] = "flood"
    replicate_above: Annotated[int, Meta(ge=0, le=2**32 - 1)] = DEFAULT_REPLICATE_ABOVE
    public: bool = False

    def __post_init__(self) -> None:
        check_prefixes(self.pools)
        check_addresses(self.dns)


def frames_per_second(rate: Rate) -> int | None:
    """A rate as the engines take it: None = no limit, 0 = drop."""
    if rate == "pass":
        return None
    return 0 if rate == "drop" else rate


def seal_config(config: NetworkConfig, controller: Identity, crypto: Crypto) -> bytes:
    """The signed object of a config."""
    return seal(KIND, config.network, config, controller, crypto)


def open_config(
    data: bytes, network: int, controller: PublicIdentity, crypto: Crypto
) -> NetworkConfig:
    """A config that `controller` signed for `network`; raises as `open_signed`."""
    return open_signed(data, KIND, network, controller, NetworkConfig, crypto)
