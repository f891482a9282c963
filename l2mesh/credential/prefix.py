"""IP addresses and prefixes inside signed bodies: text in the one form that `ipaddress` writes.

One value has one text, so that two members never differ over whether two addresses are the same.
Every function raises MalformedPacket for anything else.
"""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from l2mesh.errors import MalformedPacket

__all__ = ["IpText", "check_addresses", "check_interfaces", "check_prefixes", "check_route"]

IpText: TypeAlias = Annotated[str, Meta(min_length=2, max_length=43)]
"""An IP address, with or without a prefix length."""

_SHOWN_MAX: Final = 43


def check_interfaces(texts: Iterable[str]) -> None:
    """`10.9.0.7/24`: an address and the length of its prefix."""
    for text in texts:
        _check(text, "an address with a prefix length", ipaddress.ip_interface)


def check_prefixes(texts: Iterable[str]) -> None:
    """`10.9.0.0/24`: a prefix without host bits."""
    for text in texts:
        _check(text, "a prefix", ipaddress.ip_network)


def check_addresses(texts: Iterable[str]) -> None:
    """`10.9.0.1`: an address alone."""
    for text in texts:
        _check(text, "an address", ipaddress.ip_address)


def check_route(destination: str, via: str | None) -> None:
    """A prefix, and a gateway of the same family or none."""
    check_prefixes((destination,))
    if via is None:
        return
    check_addresses((via,))
    if ipaddress.ip_network(destination).version != ipaddress.ip_address(via).version:
        raise MalformedPacket(f"a route to {destination} does not go via {via}")


def _check(text: str, what: str, read: Callable[[str], object]) -> None:
    try:
        written = str(read(text))
    except ValueError:
        written = None
    if written != text or "%" in text:
        raise MalformedPacket(f"{text[:_SHOWN_MAX]!r} is not {what}")
