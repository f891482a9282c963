"""Finds out by which NAT64 prefix this host reaches IPv4, if it has none of its own (RFC 7050).

| the host                               | then                                             |
|----------------------------------------|--------------------------------------------------|
| has a route to IPv4, or no IPv6        | nothing is asked, no prefix                      |
| has IPv6 alone, the resolver answers   | the prefix in the answer, or none; asked again   |
|                                        | after 10 min                                     |
| has IPv6 alone, the resolver does not  | what was known holds; asked again after 5 s, 10  |
|                                        | s and so on, at most 10 min                      |
| has got other addresses                | all this at once                                 |

Prefixes that routers announce (PREF64, RFC 8781) are not heard: the kernel keeps none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Network
from threading import Thread
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.path.nat64 import WELL_KNOWN_NAME, Nat64, prefix_in
from l2mesh.service.addresses import source_towards

__all__ = ["Nat64Finder", "Nat64Status", "ask_resolver", "has_ipv6_alone"]

logger = logging.getLogger(__name__)

AGAIN_S: Final = 600.0
SOON_S: Final = 5.0
"""After the first question without an answer."""
GAP_S: Final = 1.0
"""Between any two questions."""
ANSWER_S: Final = 5.0
"""For an answer."""
_NO_SUCH: Final = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})
_SOMEWHERE: Final = Endpoint("192.0.0.170", 9)
"""In IPv4, on nobody's LAN; nothing is sent there."""

Answers = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nat64Status:
    """What `l2mesh netcheck` shows."""

    is_needed: bool = False
    """Whether the host has IPv6 alone."""
    prefix: IPv6Network | None = None
    problem: str | None = None
    """Why there is none although it is needed."""


class Nat64Finder:
    """Keeps the prefix; its task lives on the event loop."""

    def __init__(
        self,
        is_needed: Callable[[], bool],
        on_change: Callable[[Nat64 | None], None],
        ask: Callable[[], asyncio.Future[Answers]] | None = None,
    ) -> None:
        """`on_change` hears of each other prefix, and of none; `ask` is for tests."""
        self.status = Nat64Status()
        self._is_needed = is_needed
        self._on_change = on_change
        self._ask = ask or ask_resolver
        self._question: asyncio.Future[Answers] | None = None
        self._wait_s = SOON_S
        self._change = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="NAT64")

    def look_again(self) -> None:
        """The host's addresses have changed."""
        self._wait_s = SOON_S
        self._change.set()

    async def close(self) -> None:
        """Look no more; a question that is under way ends by itself."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._change.clear()
            wait_s = await self.round()
            await asyncio.sleep(GAP_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s - GAP_S):
                    await self._change.wait()

    async def round(self) -> float:
        """Ask once, where there is anything to ask; seconds until the next time."""
        if not self._is_needed():
            self._settle(Nat64Status())
            return AGAIN_S
        try:
            prefix = prefix_in(await self._answers())
        except OSError as failure:
            why = f"the resolver does not answer: {failure.strerror or failure}"
            self._settle(Nat64Status(True, self.status.prefix, why))
            wait_s, self._wait_s = self._wait_s, min(AGAIN_S, 2 * self._wait_s)
            return wait_s
        self._wait_s = SOON_S
        problem = None if prefix else f"the resolver knows no prefix ({WELL_KNOWN_NAME})"
        self._settle(Nat64Status(True, prefix, problem))
        return AGAIN_S

    async def _answers(self) -> Answers:
        """One question at a time, whatever becomes of it."""
        if self._question is None:
            self._question = self._ask()
        done, _ = await asyncio.wait([self._question], timeout=ANSWER_S)
        if not done:
            raise TimeoutError("nothing heard")
        question, self._question = self._question, None
        return question.result()

    def _settle(self, status: Nat64Status) -> None:
        before, self.status = self.status, status
        if before.prefix == status.prefix:
            return
        logger.info("NAT64 prefix: %s", status.prefix or "none any more")
        self._on_change(None if status.prefix is None else Nat64(status.prefix))


def has_ipv6_alone(local: tuple[Endpoint, ...]) -> bool:
    """Whether a host with these endpoints of its own has IPv6 and no route to IPv4."""
    has_ipv6 = any(":" in endpoint.host and endpoint.host != "::1" for endpoint in local)
    return has_ipv6 and source_towards(_SOMEWHERE) is None


def ask_resolver() -> asyncio.Future[Answers]:
    """The IPv6 addresses of ``ipv4only.arpa``; OSError when nobody can tell.

    The C library asks, as the host has been told to. It cannot be interrupted, so it does so in a
    thread of its own that holds up no end of the daemon.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answers] = loop.create_future()

    def settle(answers: Answers, failure: OSError | None) -> None:
        if future.cancelled():
            return
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(answers)

    def ask() -> None:
        answers: Answers = ()
        failure: OSError | None = None
        try:
            found = socket.getaddrinfo(f"{WELL_KNOWN_NAME}.", 9, socket.AF_INET6, socket.SOCK_DGRAM)
            answers = tuple(str(entry[4][0]) for entry in found)
        except OSError as error:
            if error.errno not in _NO_SUCH:
                failure = error
        with contextlib.suppress(RuntimeError):  # the daemon has ended
            loop.call_soon_threadsafe(settle, answers, failure)

    Thread(target=ask, name="NAT64", daemon=True).start()
    return future
