"""Finding the prefix by which a host without IPv4 reaches it."""

import asyncio
import errno
import socket
import threading
from dataclasses import dataclass, field
from ipaddress import IPv6Network
from typing import Any

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.path.nat64 import Nat64
from l2mesh.service import nat64 as module
from l2mesh.service.nat64 import AGAIN_S, SOON_S, Nat64Finder, ask_resolver, has_ipv6_alone

PREFIX = IPv6Network("2001:db8:64::/96")
ANSWER = ("2001:db8:64::c000:aa", "2001:db8:64::c000:ab")


@dataclass
class Host:
    """A resolver, and the node that hears what comes of it."""

    answer: tuple[str, ...] | OSError | None = ANSWER
    """None: nothing is heard."""
    is_needed: bool = True
    questions: list[asyncio.Future[tuple[str, ...]]] = field(default_factory=list)
    heard: list[Nat64 | None] = field(default_factory=list)

    def finder(self) -> Nat64Finder:
        return Nat64Finder(lambda: self.is_needed, self.heard.append, self.ask)

    def ask(self) -> asyncio.Future[tuple[str, ...]]:
        question: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self.questions.append(question)
        if isinstance(self.answer, OSError):
            question.set_exception(self.answer)
        elif self.answer is not None:
            question.set_result(self.answer)
        return question


@pytest.mark.asyncio
async def test_prefix_is_told_once_and_asked_for_again() -> None:
    host = Host()
    finder = host.finder()
    assert await finder.round() == AGAIN_S and await finder.round() == AGAIN_S
    assert host.heard == [Nat64(PREFIX)] and len(host.questions) == 2
    assert finder.status.is_needed and finder.status.prefix == PREFIX and not finder.status.problem


@pytest.mark.asyncio
async def test_host_with_ipv4_asks_nothing_and_uses_no_prefix() -> None:
    host = Host()
    finder = host.finder()
    await finder.round()
    host.is_needed = False
    assert await finder.round() == AGAIN_S
    assert host.heard == [Nat64(PREFIX), None] and len(host.questions) == 1
    assert not finder.status.is_needed


@pytest.mark.asyncio
async def test_network_without_nat64_is_told_apart_from_a_silent_resolver() -> None:
    host = Host(answer=())
    finder = host.finder()
    assert await finder.round() == AGAIN_S
    assert "knows no prefix" in str(finder.status.problem) and host.heard == []
    host.answer = OSError(errno.EAGAIN, "try again")
    assert await finder.round() == SOON_S
    assert "does not answer: try again" in str(finder.status.problem)


@pytest.mark.asyncio
async def test_prefix_outlives_a_resolver_that_fails_and_the_questions_become_rarer() -> None:
    host = Host()
    finder = host.finder()
    await finder.round()
    host.answer = OSError(errno.EAGAIN, "try again")
    waits = [await finder.round() for _ in range(9)]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 600, 600] and finder.status.prefix == PREFIX
    finder.look_again()
    assert await finder.round() == SOON_S and host.heard == [Nat64(PREFIX)]


@pytest.mark.asyncio
async def test_no_second_question_while_the_first_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.0)
    host = Host(answer=None)
    finder = host.finder()
    assert await finder.round() == SOON_S
    await finder.round()
    assert len(host.questions) == 1 and "nothing heard" in str(finder.status.problem)
    host.questions[0].set_result(ANSWER)
    await finder.round()
    assert host.heard == [Nat64(PREFIX)]


@pytest.mark.asyncio
async def test_task_looks_again_when_addresses_change() -> None:
    told = asyncio.Event()
    host = Host(answer=())
    finder = Nat64Finder(lambda: True, lambda _: told.set(), host.ask)
    finder.start()
    host.answer = ANSWER
    finder.look_again()
    await asyncio.wait_for(told.wait(), 10)
    await finder.close()


@pytest.mark.asyncio
async def test_resolver_is_asked_for_ipv6_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def answer(*question: Any) -> list[Any]:
        assert threading.current_thread().daemon
        asked.append(question)
        return [(0, 0, 0, "", (address, 9, 0, 0)) for address in ANSWER]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert await ask_resolver() == ANSWER
    assert asked == [("ipv4only.arpa.", 9, socket.AF_INET6, socket.SOCK_DGRAM)]


@pytest.mark.asyncio
async def test_name_without_ipv6_is_an_answer_and_a_failure_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors = [socket.gaierror(socket.EAI_NODATA, "no"), socket.gaierror(socket.EAI_AGAIN, "later")]

    def fail(*_: Any) -> list[Any]:
        raise errors.pop(0)

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert await ask_resolver() == ()
    with pytest.raises(OSError, match="later"):
        await ask_resolver()


@pytest.mark.parametrize(
    ("local", "route", "alone"),
    [
        (["2001:db8::1"], None, True),
        (["2001:db8::1"], "192.168.1.2", False),
        (["192.168.1.2", "2001:db8::1"], None, True),
        (["192.168.1.2"], None, False),
        (["::1"], None, False),
        ([], None, False),
    ],
)
def test_host_is_without_ipv4_where_no_route_leads_to_it(
    monkeypatch: pytest.MonkeyPatch, local: list[str], route: str | None, *, alone: bool
) -> None:
    monkeypatch.setattr(module, "source_towards", lambda _: route)
    assert has_ipv6_alone(tuple(Endpoint(host, 1) for host in local)) is alone
