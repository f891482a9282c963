"""PCP and NAT-PMP over UDP: a request is repeated a few times, and the router's answer is taken."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, TypeVar

from l2mesh.datapath.interface import Endpoint
from l2mesh.runtime.underlay import SO_MARK, SOCKET_MARK
from l2mesh.service.portmap import natpmp, pcp
from l2mesh.service.portmap.lease import Lease, NoAnswer, Refused, Wish

__all__ = ["map_by_natpmp", "map_by_pcp"]

AnswerT = TypeVar("AnswerT")

WAITS_S: Final = (0.25, 0.5, 1.0, 2.0)
"""For an answer after each try (RFC 6886, section 3.1); a router on the LAN answers at once."""
_MAX_READ: Final = 2048


async def map_by_pcp(wish: Wish) -> Lease:
    """Asks for a port, renews it, or with lifetime 0 gives it back.

    Raises NoAnswer where nobody speaks PCP, Refused when the router does not grant it.
    """
    request = pcp.PcpRequest(wish.own, wish.nonce, wish.lifetime_s, wish.outside)

    def take(data: bytes) -> pcp.PcpResponse | None:
        if data[:1] == b"\0":
            raise NoAnswer("the router speaks NAT-PMP only")
        answer = pcp.parse_response(data)
        return answer if answer is not None and answer.answers(request) else None

    answer = await _ask(wish, request.encode(), take)
    if answer.result:
        raise Refused(f"PCP: {pcp.RESULTS.get(answer.result, f'result {answer.result}')}")
    return Lease(answer.outside, answer.lifetime_s, answer.epoch_s)


async def map_by_natpmp(wish: Wish) -> Lease:
    """As `map_by_pcp`, in two exchanges: the outside address, then the port."""
    wanted = wish.outside.port if wish.outside is not None else wish.own.port

    def take_address(data: bytes) -> natpmp.AddressResponse | None:
        answer = natpmp.parse_response(data)
        return answer if isinstance(answer, natpmp.AddressResponse) else None

    def take_port(data: bytes) -> natpmp.PortResponse | None:
        answer = natpmp.parse_response(data)
        fits = isinstance(answer, natpmp.PortResponse) and answer.own_port == wish.own.port
        return answer if isinstance(answer, natpmp.PortResponse) and fits else None

    address = await _ask(wish, natpmp.ADDRESS_REQUEST, take_address)
    _check(address.result)
    request = natpmp.encode_port_request(wish.own.port, wanted, wish.lifetime_s)
    answer = await _ask(wish, request, take_port)
    _check(answer.result)
    outside = Endpoint(address.host, answer.outside_port)
    return Lease(outside, answer.lifetime_s, answer.epoch_s)


def _check(result: int) -> None:
    if result:
        raise Refused(f"NAT-PMP: {natpmp.RESULTS.get(result, f'result {result}')}")


async def _ask(wish: Wish, request: bytes, take: Callable[[bytes], AnswerT | None]) -> AnswerT:
    """The first datagram from the router's port that `take` takes. Four tries in 3.75 s."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in wish.own.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, SOCKET_MARK)
        try:
            sock.bind((wish.own.host, 0))
            # the kernel hands over the router's answers alone
            sock.connect(_place_of(wish.gateway))
            for wait_s in WAITS_S:
                await loop.sock_sendall(sock, request)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        return await _first(sock, take)
        except OSError as error:
            raise NoAnswer(f"{wish.gateway}: {error.strerror or error}") from error
    raise NoAnswer(f"{wish.gateway} does not answer")


def _place_of(gateway: str) -> tuple[str, int] | tuple[str, int, int, int]:
    """For a socket; ``fe80::1%eth0`` is on that device. OSError when there is none."""
    host, _, device = gateway.partition("%")
    if not device:
        return host, pcp.PORT
    return host, pcp.PORT, 0, socket.if_nametoindex(device)


async def _first(sock: socket.socket, take: Callable[[bytes], AnswerT | None]) -> AnswerT:
    loop = asyncio.get_running_loop()
    while True:
        answer = take(await loop.sock_recv(sock, _MAX_READ))
        if answer is not None:
            return answer
