"""Asking a router by UDP: what it grants, what it refuses, and who is no router."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.service.portmap import exchange
from l2mesh.service.portmap.exchange import map_by_natpmp, map_by_pcp
from l2mesh.service.portmap.lease import NoAnswer, Refused, Wish
from l2mesh.service.portmap.pcp import PORT

ROUTER, OWN = "127.51.0.1", "127.51.0.2"
WISH = Wish(ROUTER, Endpoint(OWN, 9993), bytes(range(12)))
OUTSIDE = bytes(10) + b"\xff\xff\xc6\x33\x64\x01"

Answer = Callable[[bytes], list[bytes]]


@contextmanager
def router(answer: Answer, address: str = ROUTER) -> Iterator[list[bytes]]:
    """A router that gives these answers to each request; yields the requests."""
    heard: list[bytes] = []
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, PORT))
        sock.setblocking(False)

        def receive() -> None:
            data, source = sock.recvfrom(2048)
            heard.append(data)
            for each in answer(data):
                sock.sendto(each, source)

        loop.add_reader(sock, receive)
        yield heard
        loop.remove_reader(sock)


def pcp_response(request: bytes, result: int = 0) -> bytes:
    head = b"\x02\x81\0" + bytes([result]) + b"\0\0\x02\x58\0\0\x0e\x10" + bytes(12)
    return head + request[24:42] + b"\x27\x0a" + OUTSIDE


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "WAITS_S", (0.02, 0.02))


@pytest.mark.asyncio
async def test_pcp_grants_a_port() -> None:
    with router(lambda request: [pcp_response(request)]) as heard:
        lease = await map_by_pcp(WISH)
    assert lease.outside == Endpoint("198.51.100.1", 9994)
    assert (lease.lifetime_s, lease.epoch_s, len(heard)) == (600, 3600, 1)


@pytest.mark.asyncio
async def test_lost_request_is_repeated() -> None:
    tries = iter([False, True])
    with router(lambda request: [pcp_response(request)] if next(tries) else []) as heard:
        await map_by_pcp(WISH)
    assert len(heard) == 2


@pytest.mark.asyncio
async def test_answers_to_others_and_rubbish_are_passed_over() -> None:
    def answer(request: bytes) -> list[bytes]:
        other = bytearray(pcp_response(request))
        other[24] ^= 1  # another one's nonce
        return [b"\x02rubbish", bytes(other), pcp_response(request)]

    with router(answer):
        assert (await map_by_pcp(WISH)).outside.port == 9994


@pytest.mark.asyncio
async def test_pcp_refuses() -> None:
    with router(lambda request: [pcp_response(request, 8)]), pytest.raises(Refused, match="no res"):
        await map_by_pcp(WISH)


@pytest.mark.asyncio
async def test_router_that_speaks_nat_pmp_alone_is_no_pcp_server() -> None:
    with router(lambda _: [b"\0\x81\0\1\0\0\0\0"]), pytest.raises(NoAnswer, match="NAT-PMP"):
        await map_by_pcp(WISH)


@pytest.mark.asyncio
async def test_nobody_there() -> None:
    for ask in (map_by_pcp, map_by_natpmp):
        with pytest.raises(NoAnswer):
            await ask(WISH)


@pytest.mark.asyncio
async def test_silence_is_borne_for_a_few_tries() -> None:
    with router(lambda _: []) as heard, pytest.raises(NoAnswer, match="does not answer"):
        await map_by_pcp(WISH)
    assert len(heard) == 2


@pytest.mark.asyncio
async def test_nat_pmp_grants_a_port() -> None:
    def answer(request: bytes) -> list[bytes]:
        if request == b"\0\0":
            return [bytes.fromhex("0080000000000e10c6336401")]
        return [bytes.fromhex("0081000000000e102709270a000004b0")]

    with router(answer) as heard:
        lease = await map_by_natpmp(WISH)
    assert lease.outside == Endpoint("198.51.100.1", 9994) and lease.lifetime_s == 1200
    assert heard[1].hex() == "0001000027092709000004b0"


@pytest.mark.asyncio
async def test_nat_pmp_refuses() -> None:
    answer = bytes.fromhex("0080000200000e1000000000")
    with router(lambda _: [answer]), pytest.raises(Refused, match="not authorized"):
        await map_by_natpmp(WISH)


@pytest.mark.parametrize("gateway", ["::1", "::1%lo"])
@pytest.mark.asyncio
async def test_ipv6_router_lets_in_what_is_for_our_own_port(gateway: str) -> None:
    """It grants what it was asked for: no address is translated."""

    def grant(request: bytes) -> list[bytes]:
        head = b"\x02\x81\0\0\0\0\x04\xb0\0\0\x0e\x10" + bytes(12)
        return [head + request[24:42] + request[40:42] + request[8:24]]

    wish = Wish(gateway, Endpoint("::1", 9993), bytes(range(12)))
    with router(grant, "::1") as heard:
        lease = await map_by_pcp(wish)
        assert lease.outside == wish.own and lease.lifetime_s == 1200
        await map_by_pcp(replace(wish, outside=lease.outside, lifetime_s=0))
    assert heard[1][4:8] == bytes(4) and heard[1][42:] == bytes(18)


@pytest.mark.asyncio
async def test_device_that_has_gone_is_no_router() -> None:
    with pytest.raises(NoAnswer, match="no interface"):
        await map_by_pcp(Wish("fe80::1%l2m-gone", Endpoint("::1", 9993), bytes(12)))
