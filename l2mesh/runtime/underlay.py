"""The underlay: the UDP sockets that carry everything we send to other nodes.

One socket a family, and such a group for each worker of the engine, all on one port (SO_REUSEPORT):
the kernel gives all datagrams of one source to the same socket as long as none is opened or closed,
so they are opened and closed together.

``[::]:port`` becomes a v6-only and a v4 socket on the same port, so that an IPv4 peer has one
spelling (``192.0.2.1``, never ``::ffff:192.0.2.1``), and IPv4 alone where the host has no IPv6.
Datagrams leave with DF set and are never fragmented by us: the kernel refuses one that exceeds the
interface's MTU, which is counted; the path's size is for the core to find.

What the network does to a datagram is no error of ours: it is dropped and counted by its reason.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
from collections import Counter
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, NamedTuple, TypeAlias

from l2mesh.datapath.interface import Endpoint
from l2mesh.datapath.streams import is_stream
from l2mesh.errors import ConfigError
from l2mesh.runtime.clock import Clock, boot_clock
from l2mesh.runtime.offloads import Offloads
from l2mesh.runtime.streams.registry import Streams
from l2mesh.wire.datagram import OPENER, OPENER_TTL

__all__ = ["SOCKET_MARK", "SO_SNDBUFFORCE", "Listen", "Underlay", "parse_listen"]

logger = logging.getLogger(__name__)

SOCKET_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Asked for in each direction; about 2,000 datagrams, 20 ms of a gigabit."""
SHARED_PORT_TRIES: Final = 32
"""How often a port that IPv4 gave us is asked for in IPv6 as well."""

HIGHEST_PORT: Final = 0xFFFF

SOCKET_MARK: Final = 0x6C32
"""On all we send, where we may set it: routing rules keep our datagrams out of our own networks."""
DATAGRAM_BYTES: Final = 2048
"""Above the largest datagram of the protocol; a longer one is cut and fails to authenticate."""
TRAIN_BYTES: Final = 65535
"""What UDP_GRO merges at most."""
ANCILLARY_BYTES: Final = socket.CMSG_SPACE(4) + socket.CMSG_SPACE(20)
"""UDP_GRO and IPV6_PKTINFO."""
GSO_REFUSED_S: Final = 60.0
"""So long trains to an endpoint leave one by one after the kernel refused one."""
GSO_REFUSED_ENDPOINTS: Final = 1024
"""Remembered for that; then all are forgotten."""
SEND_TRIES: Final = 3
"""For a datagram for which the kernel has no memory at the moment."""

# Numbers of include/uapi/asm-generic/socket.h, linux/in.h and linux/in6.h that `socket` lacks.
SO_SNDBUFFORCE: Final = 32
SO_RCVBUFFORCE: Final = 33
SO_MARK: Final = 36
IP_PKTINFO: Final = 8
IP_MTU_DISCOVER: Final = 10
IPV6_MTU_DISCOVER: Final = 23
IPV6_RECVPKTINFO: Final = 49
IPV6_PKTINFO: Final = 50
SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
PMTUDISC_PROBE: Final = 3
"""Set DF and ignore what ICMP says of the path, which anybody could forge."""

_NO_GSO: Final = frozenset(
    {errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT}
)
_NO_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class Listen(NamedTuple):
    """Where to listen: a numeric address, ``::`` for both families, and a port (0 picks one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> Listen:
    """Reads ``ADDR:PORT`` or ``[V6]:PORT``; ConfigError says what is wrong with it."""
    host, _, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    try:
        fits = isinstance(ip_address(host), IPv6Address) == bracketed
    except ValueError:
        fits = False
    if not fits or not (port.isascii() and port.isdecimal()) or int(port) > HIGHEST_PORT:
        raise ConfigError(
            f"{text!r} is no address to listen on",
            hint="write it like [::]:9993 or 192.0.2.1:9993",
        )
    return Listen(host, int(port))


class Underlay:
    """The open sockets. Belongs to the event loop's thread; never blocks."""

    __slots__ = (
        "_clock",
        "_refused",
        "_uplinks",
        "_v4",
        "_v6",
        "counters",
        "groups",
        "listen",
        "offloads",
        "port",
        "sockets",
        "streams",
    )

    def __init__(
        self,
        listen: Listen,
        offloads: Offloads | None = None,
        clock: Clock = boot_clock,
        *,
        workers: int = 1,
    ) -> None:
        """Binds; ConfigError with one clear line when that cannot be done.

        There is a group of sockets for each of `workers`; `sockets` are the first one's. What the
        kernel lacks of `offloads` (default: all of them) is switched off in there.
        """
        self.listen = listen
        self.offloads = offloads if offloads is not None else Offloads()
        self.groups = _open_groups(listen, workers)
        self.sockets = self.groups[0]
        by_family = {sock.family: sock for sock in self.sockets}
        self._v4 = by_family.get(socket.AF_INET)
        self._v6 = by_family.get(socket.AF_INET6)
        self.port: int = self.sockets[0].getsockname()[1]
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._refused: dict[Endpoint, float] = {}
        self._uplinks: frozenset[int] = frozenset()
        self.streams = Streams(self.counters)
        for group in self.groups:
            for sock in group:
                _set_offloads(sock, self.offloads)

    @property
    def has_ipv4(self) -> bool:
        """Whether IPv4 peers can be reached."""
        return self._v4 is not None

    @property
    def has_ipv6(self) -> bool:
        """Whether IPv6 peers can be reached."""
        return self._v6 is not None

    def name_uplinks(self, uplinks: tuple[int, ...]) -> None:
        """What comes by one of these interfaces is told as coming by that uplink from now on.

        With none of them the kernel is not asked any more by which interface a datagram came.
        """
        self._uplinks = frozenset(uplinks)
        for group in self.groups:
            for sock in group:
                level, option = socket.IPPROTO_IP, IP_PKTINFO
                if sock.family == socket.AF_INET6:
                    level, option = socket.IPPROTO_IPV6, IPV6_RECVPKTINFO
                sock.setsockopt(level, option, bool(uplinks))

    def send(self, datagram: bytes, endpoint: Endpoint) -> None:
        """Sends one datagram, or counts why it was not sent."""
        sock = self._v6 if ":" in endpoint[0] else self._v4
        if is_stream(endpoint):
            self.streams.send(datagram, endpoint)
            return
        if sock is None:
            self.counters["underlay_send_no_family"] += 1
            return
        try:
            _send_patiently(sock, datagram, endpoint)
        except OSError as error:
            self._count("send", error)
        except (ValueError, OverflowError):  # a host that is no address, a port out of range
            self.counters["underlay_send_bad_endpoint"] += 1

    def send_opener(self, endpoint: Endpoint) -> None:
        """Sends what opens our NAT towards an endpoint and dies on the way there."""
        sock = self._v6 if ":" in endpoint[0] else self._v4
        if sock is None:
            self.counters["underlay_send_no_family"] += 1
            return
        level, option = socket.IPPROTO_IP, socket.IP_TTL
        if sock is self._v6:
            level, option = socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT
        ttl = (level, option, OPENER_TTL.to_bytes(4, sys.byteorder))
        try:
            sock.sendmsg((OPENER,), [ttl, *_by_uplink(endpoint)], 0, endpoint.address)
        except OSError as error:
            self._count("send", error)

    def send_train(self, datagrams: bytes, stride: int, endpoint: Endpoint) -> None:
        """Sends datagrams of `stride` bytes each, the last perhaps shorter, at once if possible."""
        sock = self._v6 if ":" in endpoint[0] else self._v4
        if is_stream(endpoint):
            sock = None
        if sock is not None and self.offloads.udp_gso and self._may_train(endpoint):
            try:
                ancillary = [(SOL_UDP, UDP_SEGMENT, _u16(stride)), *_by_uplink(endpoint)]
                sock.sendmsg((datagrams,), ancillary, 0, endpoint.address)
            except OSError as error:
                if error.errno not in _NO_GSO:
                    self._count("send", error)
                    return
                self._refuse_train(endpoint, error)
            else:
                return
        for at in range(0, len(datagrams), stride):
            self.send(datagrams[at : at + stride], endpoint)

    def receive(self, sock: socket.socket) -> tuple[bytes, int, Any]:
        """One receipt from one of the sockets: datagrams, their stride (0: only one), source.

        The source is the socket's address, or an `Endpoint` where it came by a named uplink.
        OSError as the socket says it, BlockingIOError when nothing is there.
        """
        if not self.offloads.udp_gro and not self._uplinks:
            datagram, source = sock.recvfrom(DATAGRAM_BYTES)
            return datagram, 0, source
        datagrams, ancillary, _, source = sock.recvmsg(TRAIN_BYTES, ANCILLARY_BYTES)
        stride = uplink = 0
        for level, kind, value in ancillary:
            if level == SOL_UDP and kind == UDP_GRO:
                stride = int.from_bytes(value[:4], sys.byteorder)
            elif level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                uplink = int.from_bytes(value[:4], sys.byteorder)
            elif level == socket.IPPROTO_IPV6 and kind == IPV6_PKTINFO:
                uplink = int.from_bytes(value[16:20], sys.byteorder)
        if uplink in self._uplinks:
            source = Endpoint(source[0], source[1], uplink)
        return datagrams, stride, source

    def count_receive(self, error: OSError) -> None:
        """Counts what a receive call ended with, other than "nothing there"."""
        self._count("receive", error)

    def close(self) -> None:
        """Closes the sockets; may be called twice."""
        for group in self.groups:
            for sock in group:
                sock.close()

    def _may_train(self, endpoint: Endpoint) -> bool:
        if not self._refused or (until := self._refused.get(endpoint)) is None:
            return True
        if until > self._clock():
            return False
        del self._refused[endpoint]
        return True

    def _refuse_train(self, endpoint: Endpoint, error: OSError) -> None:
        """The kernel sends no train on this way (no checksum offload, IPsec, a smaller MTU).

        Its datagrams go one by one, for a while at once; EMSGSIZE tells of the path's size alone,
        which the single ones then tell, too.
        """
        self.counters["udp_gso_refused"] += 1
        if self.counters["udp_gso_refused"] == 1:
            logger.warning("underlay: trains to %s leave one by one: %s", endpoint.host, error)
        if error.errno == errno.EMSGSIZE:
            return
        if len(self._refused) >= GSO_REFUSED_ENDPOINTS:
            self._refused.clear()
        self._refused[endpoint] = self._clock() + GSO_REFUSED_S

    def _count(self, what: str, error: OSError) -> None:
        name = errno.errorcode.get(error.errno or 0, "unknown").lower()
        key = f"underlay_{what}_{name}"
        self.counters[key] += 1
        if self.counters[key] == 1:  # once each, the rest is in the counters
            logger.warning("underlay: %s failed: %s", what, error.strerror or error)


_Group: TypeAlias = tuple[socket.socket, ...]


def _open_groups(listen: Listen, count: int) -> tuple[_Group, ...]:
    """As many groups of sockets, on one port.

    The first group is bound alone, so that a port that somebody has is refused; only then it is
    shared. From then on the kernel lets nobody but programs of our own user join.
    """
    with contextlib.ExitStack() as undo:
        try:
            groups = [_open_sockets(listen)]
            for sock in groups[0]:
                undo.callback(sock.close)
                if count > 1:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            for _ in range(1, count):
                groups.append(tuple(_open_beside(sock) for sock in groups[0]))
                for sock in groups[-1]:
                    undo.callback(sock.close)
        except OSError as error:
            raise _cannot_listen(listen, error) from error
        undo.pop_all()
    return tuple(groups)


def _open_sockets(listen: Listen) -> _Group:
    """The sockets of `listen`, IPv6 first."""
    if listen.host == "::":
        return _open_both(listen.port)
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    return (_open_socket(family, listen.host, listen.port),)


def _open_beside(first: socket.socket) -> socket.socket:
    """Another socket on the address and port of one that shares them."""
    host, port = first.getsockname()[:2]
    return _open_socket(first.family, host, port, is_shared=True)


def _open_both(port: int) -> _Group:
    """A socket of each family on one port; only IPv4 where there is no IPv6."""
    tries = SHARED_PORT_TRIES if port == 0 else 1
    for remaining in reversed(range(tries)):
        v4 = _open_socket(socket.AF_INET, "0.0.0.0", port)
        try:
            v6 = _open_socket(socket.AF_INET6, "::", v4.getsockname()[1])
        except OSError as error:
            if error.errno in _NO_FAMILY:
                logger.info("underlay: no IPv6 here, listening on IPv4 alone")
                return (v4,)
            v4.close()
            if error.errno != errno.EADDRINUSE or not remaining:
                raise
        else:
            return (v6, v4)
    raise OSError(errno.EADDRINUSE, "no port is free in both families")


def _open_socket(family: int, host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """A bound, non-blocking, close-on-exec UDP socket. No SO_REUSEADDR: it would share the port."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, SOCKET_MARK)
        _set_buffer(sock, SO_RCVBUFFORCE, socket.SO_RCVBUF)
        _set_buffer(sock, SO_SNDBUFFORCE, socket.SO_SNDBUF)
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _set_offloads(sock: socket.socket, offloads: Offloads) -> None:
    """Probes for trains and asks for merged receipt; what is not there is switched off."""
    try:
        sock.getsockopt(SOL_UDP, UDP_SEGMENT)
    except OSError:
        offloads.leave_out("udp_gso", "the kernel does not know it")
    if not offloads.udp_gro:
        return
    try:
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    except OSError:
        offloads.leave_out("udp_gro", "the kernel does not know it")


def _send_patiently(sock: socket.socket, datagram: bytes, endpoint: Endpoint) -> None:
    """One datagram; a kernel that is short of memory is asked again at once, few times."""
    ancillary, address = _by_uplink(endpoint), endpoint.address
    for remaining in reversed(range(SEND_TRIES)):
        try:
            if ancillary:
                sock.sendmsg((datagram,), ancillary, 0, address)
            else:
                sock.sendto(datagram, address)
        except OSError as error:
            if error.errno != errno.ENOBUFS or not remaining:
                raise
        else:
            return


def _by_uplink(endpoint: Endpoint) -> tuple[tuple[int, int, bytes], ...]:
    """What has a datagram leave by a named uplink: struct in_pktinfo (index and two addresses) or
    struct in6_pktinfo (an address and the index). The kernel chooses an address of that uplink."""
    if not endpoint[2]:
        return ()
    index = endpoint[2].to_bytes(4, sys.byteorder)
    if ":" in endpoint[0]:
        return ((socket.IPPROTO_IPV6, IPV6_PKTINFO, bytes(16) + index),)
    return ((socket.IPPROTO_IP, IP_PKTINFO, index + bytes(8)),)


def _u16(value: int) -> bytes:
    return value.to_bytes(2, sys.byteorder)


def _set_buffer(sock: socket.socket, force: int, ask: int) -> None:
    """Enlarges a buffer beyond the system's limit where we may, else up to that limit."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, SOCKET_BUFFER_BYTES)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, ask, SOCKET_BUFFER_BYTES)


def _cannot_listen(listen: Listen, error: OSError) -> ConfigError:
    hints = {
        errno.EADDRINUSE: "another program has it; choose one with --listen, 0 picks a free one",
        errno.EADDRNOTAVAIL: "no interface of this host has that address",
        errno.EACCES: "ports below 1024 need the right to bind them",
    }
    reason = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror
    return ConfigError(f"cannot listen on {listen}: {reason}", hint=hints.get(error.errno or 0, ""))
