"""Address pools: the lowest free host address of each, and what may be set by hand.

A pool is a prefix. Its network address (for IPv6: the subnet-router anycast address of RFC 4291
section 2.6.1) and the IPv4 broadcast address are never handed out. Addresses are compared as hosts:
two members never have the same one, whatever their prefix lengths.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Final, TypeAlias

from l2mesh.errors import ConfigError

__all__ = ["Host", "Pool", "check_manual", "host_of", "lowest_free", "parse_pools"]

Pool: TypeAlias = IPv4Network | IPv6Network
Host: TypeAlias = IPv4Address | IPv6Address
Interface: TypeAlias = IPv4Interface | IPv6Interface

MAX_POOLS: Final = 16
MAX_ADDRESSES: Final = 16
"""Of one member, set by hand."""
MIN_HOST_BITS: Final = 2
"""A smaller pool has no host address beside the network's and the broadcast one."""


def parse_pools(texts: Iterable[str]) -> tuple[Pool, ...]:
    """Pools in the order given; ConfigError for one that cannot be a pool or overlaps another."""
    pools: list[Pool] = []
    for text in texts:
        pool = _parse_pool(text)
        for other in pools:
            if pool.version == other.version and pool.overlaps(other):
                raise ConfigError(f"the pools {other} and {pool} overlap")
        pools.append(pool)
    if len(pools) > MAX_POOLS:
        raise ConfigError(f"{len(pools)} pools; {MAX_POOLS} are the most")
    return tuple(pools)


def lowest_free(pool: Pool, taken: Collection[Host]) -> str | None:
    """The lowest host address that nobody has, as ``ip/prefixlen``; None when the pool is full."""
    host = int(pool.network_address) + 1
    last = int(pool.broadcast_address) - (1 if pool.version == 4 else 0)  # noqa: PLR2004
    used = {int(address) for address in taken if address.version == pool.version}
    while host in used:
        host += 1
    return f"{pool[host - int(pool.network_address)]}/{pool.prefixlen}" if host <= last else None


def check_manual(texts: Sequence[str], pools: Sequence[Pool]) -> tuple[str, ...]:
    """Addresses given by hand, as ``ip/prefixlen``; without a length, that of their pool."""
    if len(texts) > MAX_ADDRESSES:
        raise ConfigError(f"{len(texts)} addresses; a member may have {MAX_ADDRESSES}")
    addresses: dict[Host, str] = {}
    for text in texts:
        interface = _parse_interface(text, pools)
        _check_host(interface, pools)
        if interface.ip in addresses:
            raise ConfigError(f"the address {interface.ip} is given twice")
        addresses[interface.ip] = str(interface)
    return tuple(addresses.values())


def host_of(address: str) -> Host:
    """The host part of ``ip/prefixlen``."""
    return ip_address(address.partition("/")[0])


def _parse_pool(text: str) -> Pool:
    try:
        pool = ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(
            f"{text[:60]!r} is no address pool", hint="write it like 10.9.0.0/24 or fd00:9::/64"
        ) from None
    if "/" not in text or ip_interface(text).ip != pool.network_address:
        raise ConfigError(
            f"{text[:60]!r} names a host, not a pool",
            hint=f"say {pool}" if "/" in text else "add the prefix length, as in 10.9.0.0/24",
        )
    if pool.max_prefixlen - pool.prefixlen < MIN_HOST_BITS:
        raise ConfigError(
            f"the pool {pool} has no room for two members", hint="take a shorter prefix"
        )
    if pool.is_multicast or pool.is_loopback or pool.is_unspecified or pool.prefixlen == 0:
        raise ConfigError(f"nobody can have addresses of {pool}", hint="take a private prefix")
    return pool


def _parse_interface(text: str, pools: Sequence[Pool]) -> Interface:
    try:
        interface = ip_interface(text)
    except ValueError:
        raise ConfigError(
            f"{text[:60]!r} is no address", hint="write addresses=10.9.0.7/24,fd00:9::7/64"
        ) from None
    if "/" in text:
        return interface
    around = _pool_of(interface.ip, pools)
    if around is None:
        raise ConfigError(f"{text} lacks a prefix length", hint=f"write {text}/24, for example")
    return ip_interface(f"{text}/{around.prefixlen}")


def _check_host(interface: Interface, pools: Sequence[Pool]) -> None:
    host = interface.ip
    if host.is_multicast or host.is_loopback or host.is_unspecified:
        raise ConfigError(f"no member can have the address {host}")
    for prefix in (interface.network, _pool_of(host, pools)):
        if prefix is None or prefix.max_prefixlen - prefix.prefixlen < MIN_HOST_BITS:
            continue
        if host == prefix.network_address:
            raise ConfigError(f"{host} is the network address of {prefix}")
        if host == prefix.broadcast_address and host.version == 4:  # noqa: PLR2004
            raise ConfigError(f"{host} is the broadcast address of {prefix}")


def _pool_of(host: Host, pools: Sequence[Pool]) -> Pool | None:
    return next((p for p in pools if p.version == host.version and host in p), None)
