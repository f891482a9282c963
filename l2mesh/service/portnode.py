"""The node behind `open_port`: one network, whose port is a socket instead of a TAP device.

A pair of Unix sockets that keep message boundaries (SOCK_SEQPACKET) is the port: the engine has the
near end and reads and writes it as it would a TAP, the program has the far end. The kernel's socket
buffers are the queues, so they are bounded, cost no thread, and a program that does not read loses
frames of its own and holds up nobody.

The node runs on an event loop in a thread of its own; whoever opened the port never enters it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from l2mesh.address import format_network_id
from l2mesh.credential.joinstring import JoinTarget
from l2mesh.credential.world import World
from l2mesh.errors import L2meshError, StateError
from l2mesh.node.effects import ConfigureDevice, RemoveDevice
from l2mesh.node.views import NetworkView
from l2mesh.runtime.underlay import SO_SNDBUFFORCE
from l2mesh.service.process import loop_factory
from l2mesh.service.running import NodeOptions, RunningNode

__all__ = ["PortClosed", "PortNode", "PortThread", "PortTimeout", "with_token"]

logger = logging.getLogger(__name__)

R = TypeVar("R")

QUEUE_BYTES: Final = 4 * 1024 * 1024
"""Asked for in each direction; without privilege the kernel gives net.core.wmem_max, by default
room for some 150 full frames or 500 small ones."""
STOP_WITHIN_S: Final = 4.0
_REFUSED: Final = frozenset({"denied", "not_found", "error"})


class PortClosed(StateError):
    """The port is closed: by `close`, because the network let this member go, or because the
    engine that carries its frames has ended, which the text then says."""


class PortTimeout(L2meshError, TimeoutError):
    """What was waited for has not come in time."""


@dataclass(frozen=True, slots=True)
class Attached:
    """What the network gave its member."""

    mac: bytes
    mtu: int
    addresses: tuple[str, ...]


class PortNode(RunningNode):
    """A running node with one socket as its port."""

    def __init__(self, options: NodeOptions, target: JoinTarget) -> None:
        """Takes state, identity and sockets; ConfigError when one of them cannot be had."""
        super().__init__(options)
        self._target = target
        self._near, self.far = _socket_pair()
        self.attached: Attached | None = None
        """None until the network is up, and again when it is no more."""
        self.fault = ""
        """Why it is no more, if that was nobody's will."""

    async def join(self, wait: float) -> None:
        """Joins and waits until the port carries frames; StateError when refused, PortTimeout."""
        target = self._target
        if target.world is not None:
            self.adopt_world(World.parse(target.world, self.crypto))
        join = partial(
            self.node.join, target.network, fingerprint=target.fingerprint, token=target.token
        )
        self.call(join)
        try:
            async with asyncio.timeout(wait):
                while self.attached is None:
                    view = self.view()
                    if view is not None and view.status in _REFUSED:
                        raise StateError(view.reason or f"the network is {view.status}")
                    await self.network_changed()
        except TimeoutError:
            raise self._late() from None

    def view(self) -> NetworkView | None:
        """The network as the node sees it."""
        found = (view for view in self.node.networks() if view.id == self._target.network)
        return next(found, None)

    def counters(self) -> tuple[dict[str, int], dict[str, int]]:
        """Totals by name, and drops by reason."""
        drops = {reason.value: count for reason, count in self.engine.drops().items()}
        return {**self.engine.counters(), **self.driver.counters()}, drops

    def release(self) -> None:
        """Lets go of what `__init__` took."""
        super().release()
        self._close_near()

    def _late(self) -> PortTimeout:
        view = self.view()
        reason = (view.reason if view is not None else "") or "no answer from its controller yet"
        return PortTimeout(
            f"still waiting for network {format_network_id(self._target.network)}: {reason}",
            hint="a private network needs a token, or its controller's `member authorize`",
        )

    def _change_port(self, effect: ConfigureDevice | RemoveDevice) -> None:
        network = self._target.network
        if effect.network != network:
            return
        if isinstance(effect, RemoveDevice):
            logger.warning("network=%016x let this port go", network)
            self._close_near()
            return
        if self.attached is None and self._near.fileno() >= 0:
            self.driver.attach_port(network, self._near.fileno())
            self.call(self.node.device_ready, network, "port")
        self.attached = Attached(effect.mac, effect.mtu, effect.addresses)
        self._wake()

    async def _take_down(self) -> None:
        self._close_near()

    def _close_near(self) -> None:
        """What is in the queue stays readable at the far end, then it ends."""
        self.driver.detach_port(self._target.network)
        self.attached = None
        self._near.close()


class PortThread:
    """The thread that a port's node lives in."""

    def __init__(self, options: NodeOptions, target: JoinTarget, wait: float) -> None:
        """Starts it and returns when the port is up; raises what kept it from that."""
        self._options, self._target, self._wait = options, target, wait
        self._opened: Future[tuple[PortNode, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._run, name="l2mesh-port", daemon=True)
        self._thread.start()
        try:
            self.node, self._loop, self._stop = self._opened.result()
        except BaseException:
            self._thread.join()
            raise

    def call(self, function: Callable[[], R]) -> R:
        """The result of `function`, called where the node lives; PortClosed when it has ended."""
        result: Future[R] = Future()

        def answer() -> None:
            try:
                result.set_result(function())
            except Exception as error:  # noqa: BLE001 - it is the caller's
                result.set_exception(error)

        try:
            self._loop.call_soon_threadsafe(answer)
        except RuntimeError:
            raise PortClosed("the port is closed") from None
        return result.result()

    def close(self) -> None:
        """Ends the node in good order and waits for that; may be called twice."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._serve())
        except Exception as error:
            if self._opened.done():
                logger.exception("the node of a port has failed")
            else:
                self._opened.set_exception(error)

    async def _work(self, node: PortNode, stop: asyncio.Event) -> None:
        """Until the port is to be closed; what kept it from being opened."""
        await node.start()
        await node.join(self._wait)
        self._opened.set_result((node, asyncio.get_running_loop(), stop))
        await stop.wait()

    async def _serve(self) -> None:
        node, stop = PortNode(self._options, self._target), asyncio.Event()
        work = asyncio.ensure_future(self._work(node, stop))
        broken = asyncio.ensure_future(node.broken())
        try:
            await asyncio.wait({work, broken}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            node.fault = broken.result()
            if not self._opened.done():
                raise PortClosed(f"the port did not open: {node.fault}")
        finally:
            work.cancel()
            broken.cancel()
            if not self._opened.done():
                node.far.close()
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    await node.stop()
            except TimeoutError:
                logger.error("a port did not end within %g s", STOP_WITHIN_S)  # noqa: TRY400


def with_token(target: JoinTarget, token: bytes | None) -> JoinTarget:
    """The target with another token, if there is one."""
    if token is None:
        return target
    return JoinTarget(target.network, target.fingerprint, target.world, token)


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    """Near and far end, non-blocking."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in pair:
        end.setblocking(False)
        try:
            end.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, QUEUE_BYTES)
        except PermissionError:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
    return pair
