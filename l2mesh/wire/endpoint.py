"""UDP endpoints: their text and their 18 bytes.

Text is `192.0.2.1:9993` or `[2001:db8::1]:9993`. The binary form (sections 3.5 and 6) is

     0  16   IPv6 address, or IPv4 mapped into ::ffff:0:0/96 (RFC 4291 section 2.5.5.2)
    16  u16  port

and all zero where no endpoint is known. A mapped address is always shown as the IPv4 address that
it is, so that one place has one `Endpoint`.
"""

import ipaddress
from typing import Final

from l2mesh.datapath.endpoint import Endpoint
from l2mesh.errors import ConfigError, MalformedPacket
from l2mesh.wire.cursor import Reader

__all__ = [
    "ENDPOINT_BYTES",
    "Endpoint",
    "decode_endpoint",
    "encode_endpoint",
    "format_endpoint",
    "parse_endpoint",
]

ENDPOINT_BYTES: Final = 18
IPV6_BYTES: Final = 16
MAX_PORT: Final = 0xFFFF
ENDPOINT_TEXT_MAX: Final = 64
"""Characters; the longest valid text has 47."""

_UNKNOWN: Final = bytes(ENDPOINT_BYTES)
_MAPPED: Final = bytes(10) + b"\xff\xff"
_EXAMPLE: Final = "write 192.0.2.1:9993 or [2001:db8::1]:9993"


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint of `text`; ConfigError for a name, a scope or a port outside 1..65535."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if len(text) > ENDPOINT_TEXT_MAX or not colon:
        raise _unreadable(text, "it is not ADDRESS:PORT")
    if not (port.isascii() and port.isdigit() and len(port) <= len("65535")):
        raise _unreadable(text, "the port is not a number")
    try:
        return _endpoint(_parse_host(host, bracketed=bracketed), int(port))
    except ValueError as error:
        raise _unreadable(text, str(error)) from None


def format_endpoint(endpoint: Endpoint) -> str:
    """The text of an endpoint, which `parse_endpoint` reads back."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def encode_endpoint(endpoint: Endpoint | None) -> bytes:
    """The 18 bytes of an endpoint; zeros for None. ConfigError when it is not a numeric one."""
    if endpoint is None:
        return _UNKNOWN
    try:
        host = ipaddress.ip_address(endpoint.host).packed
        checked = _endpoint(host, endpoint.port)
    except ValueError as error:
        raise _unreadable(format_endpoint(endpoint), str(error)) from None
    mapped = host if len(host) == IPV6_BYTES else _MAPPED + host
    return mapped + checked.port.to_bytes(2, "big")


def decode_endpoint(data: bytes) -> Endpoint | None:
    """The endpoint in 18 bytes, None when all are zero; MalformedPacket for anything else."""
    reader = Reader(data)
    host, port = reader.take(IPV6_BYTES), reader.u16()
    reader.done()
    if data == _UNKNOWN:
        return None
    try:
        return _endpoint(host, port)
    except ValueError as error:
        raise MalformedPacket(f"endpoint: {error}") from None


def _parse_host(text: str, *, bracketed: bool) -> bytes:
    if not bracketed:
        return ipaddress.IPv4Address(text).packed
    if "%" in text:
        raise ValueError("a scope means nothing to another host")
    return ipaddress.IPv6Address(text[1:-1]).packed


def _endpoint(host: bytes, port: int) -> Endpoint:
    """Checks and normalises 4 or 16 address bytes and a port; ValueError."""
    if not 1 <= port <= MAX_PORT:
        raise ValueError(f"port {port} is not in 1..65535")
    if not any(host):
        raise ValueError("the unspecified address is no destination")
    if len(host) == IPV6_BYTES and host.startswith(_MAPPED):
        return _endpoint(host[len(_MAPPED) :], port)
    return Endpoint(str(ipaddress.ip_address(host)), port)


def _unreadable(text: str, reason: str) -> ConfigError:
    shown = text[:ENDPOINT_TEXT_MAX]
    return ConfigError(f"{shown!r} is not an endpoint: {reason}", hint=_EXAMPLE)
