"""The way out through an HTTP proxy: CONNECT (RFC 9110 section 9.3.6) on a socket of our own.

The socket is one of `dial`, so that it carries our routing mark: where one of our networks has the
default route, the way to the proxy must not lead through it. What the proxy says is hostile input:
one head of at most 8 KiB within 4 s, and nothing behind it.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import ConfigError, L2meshError
from l2mesh.runtime.dial import dial
from l2mesh.wire.endpoint import format_endpoint

__all__ = ["Proxy", "ProxyError", "connect", "judge", "parse_proxy"]

ANSWER_S: Final = 4.0
"""For the answer to CONNECT: the proxy reaches the planet meanwhile."""
MAX_HEAD: Final = 8192
"""Bytes of status line and header fields."""
MAX_ADDRESSES: Final = 4
"""Of a proxy that is given by name; they are tried in turn."""
_DEFAULT_PORT: Final = 80
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_END: Final = b"\r\n\r\n"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: ([^\r\n]*))?\r\n")
_SHOWN: Final = 60
_NEEDS_PASSWORD: Final = 407


class ProxyError(L2meshError):
    """The proxy does not lead on; the message says why, without its credentials."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    """A name or a numeric address."""
    port: int
    basic: str | None = field(default=None, repr=False)
    """User name and password for the Basic scheme (RFC 7617), in base64."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def parse_proxy(url: str) -> Proxy:
    """The proxy of ``http://[USER:PASSWORD@]HOST[:PORT]``, port 80 by default; else ConfigError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _bad(str(error)) from None
    if parts.scheme != "http":
        raise _bad("it does not begin with http://")
    if not _HOST.fullmatch(host or "") or parts.path not in {"", "/"} or "?" in url or "#" in url:
        raise _bad("it is not http://[USER:PASSWORD@]HOST[:PORT]")
    return Proxy(host or "", _DEFAULT_PORT if port is None else port, _basic(parts))


async def connect(proxy: Proxy, target: Endpoint) -> socket.socket:
    """A connected socket that leads to the target; ProxyError when the proxy does not let us.

    The caller sets the time for all of it, and owns the socket.
    """
    sock = await _reach(proxy)
    try:
        async with asyncio.timeout(ANSWER_S):
            await _ask(sock, proxy, target)
    except TimeoutError:
        sock.close()
        raise ProxyError(f"the proxy {proxy} did not answer within {ANSWER_S:g} s") from None
    except BaseException:
        sock.close()
        raise
    return sock


async def _reach(proxy: Proxy) -> socket.socket:
    """A socket to the first address of the proxy that takes us."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # a label of a name may be too long
        reason = getattr(error, "strerror", None) or "it is no name"
        raise ProxyError(f"the proxy {proxy} is not known: {reason}") from error
    reason = "it has no address"
    for *_, address in found[:MAX_ADDRESSES]:
        try:
            return await dial(Endpoint(str(address[0]), int(address[1])))
        except OSError as error:
            reason = error.strerror or str(error)
    raise ProxyError(f"the proxy {proxy} cannot be reached: {reason}")


async def _ask(sock: socket.socket, proxy: Proxy, target: Endpoint) -> None:
    """CONNECT, and an answer that says yes."""
    loop, place = asyncio.get_running_loop(), format_endpoint(target)
    fields = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.basic is not None:
        fields.append(f"Proxy-Authorization: Basic {proxy.basic}")
    try:
        await loop.sock_sendall(sock, "\r\n".join([*fields, "", ""]).encode("ascii"))
        head = await _head(sock, proxy)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ProxyError(f"the proxy {proxy} broke off: {reason}") from error
    judge(head, proxy, place)


async def _head(sock: socket.socket, proxy: Proxy) -> bytes:
    """Status line and fields, with the empty line. A planet says nothing before we do, so nothing
    may follow."""
    loop, head = asyncio.get_running_loop(), b""
    while _END not in head:
        if len(head) >= MAX_HEAD:
            raise ProxyError(f"the answer of the proxy {proxy} has no end within {MAX_HEAD} bytes")
        data = await loop.sock_recv(sock, MAX_HEAD - len(head))
        if not data:
            raise ProxyError(f"the proxy {proxy} closed the connection without an answer")
        head += data
        if not b"HTTP/".startswith(head[:5]):
            raise ProxyError(f"what answers at {proxy} is no HTTP proxy")
    return head


def judge(head: bytes, proxy: Proxy, place: str) -> None:
    """Raises ProxyError unless the answer is one of success, and nothing more."""
    status = _STATUS.match(head)
    if status is None:
        raise ProxyError(f"what answers at {proxy} is no HTTP proxy")
    code = int(status[1])
    if code == _NEEDS_PASSWORD:
        wanted = "wants a user name and a password" if proxy.basic is None else "refuses ours"
        raise ProxyError(
            f"the proxy {proxy} {wanted}", hint="write --proxy http://USER:PASSWORD@HOST:PORT"
        )
    if not 200 <= code < 300:  # noqa: PLR2004 - the class of status codes that mean success
        text = (status[2] or b"").decode("ascii", "replace")[:_SHOWN]
        shown = "".join(each if each.isprintable() else "?" for each in text)
        raise ProxyError(f"the proxy {proxy} does not lead to {place}: {code} {shown}".rstrip())
    if not head.endswith(_END) or head.count(_END) != 1:
        raise ProxyError(f"the proxy {proxy} speaks for the planet")


def _basic(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    user, password = unquote(parts.username), unquote(parts.password or "")
    if ":" in user:
        raise _bad("a user name may not hold a colon")
    try:
        return base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    except UnicodeEncodeError:
        raise _bad("user name and password are no text") from None


def _bad(reason: str) -> ConfigError:
    """The URL is not shown: a password may be in it."""
    return ConfigError(
        f"the URL of the proxy is not usable: {reason}", hint="write http://192.0.2.5:3128"
    )
