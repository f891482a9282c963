"""An Ethernet port of a network for a program: no root, no TAP device, no daemon.

::

    with l2mesh.open_port("l2mesh:...", state="~/.my-probe") as port:
        port.send(frame)
        reply = port.receive(timeout=1.0)

The node runs in this process, in a thread of its own, with its own identity: it is a member like
any other and has the same rights and limits. What is sent and received are whole Ethernet frames
without FCS, tags included, checksums complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from l2mesh.address import format_network_id
from l2mesh.credential.joinstring import parse_join_target
from l2mesh.errors import ConfigError
from l2mesh.runtime.underlay import parse_listen
from l2mesh.service.options import DEFAULT_WORLD
from l2mesh.service.portnode import Attached, PortClosed, PortThread, PortTimeout, with_token
from l2mesh.service.running import NodeOptions
from l2mesh.service.token import parse_token

__all__ = ["Port", "open_port", "open_port_async"]

WAIT_S: Final = 30.0
MIN_FRAME_BYTES: Final = 14
"""Two addresses and an ethertype (IEEE 802.3, clause 3.2.2); nobody pads on a mesh."""
OVERHEAD_BYTES: Final = 14 + 8
"""Ethernet and at most two tags, above the network's MTU."""
READ_BYTES: Final = 16384
_LOST: Final = "port_write_eagain"


def open_port(  # noqa: PLR0913 - one for each option
    network: str,
    *,
    state: str | os.PathLike[str] | None = None,
    token: str | None = None,
    world: str | os.PathLike[str] | None = None,
    listen: str = "[::]:0",
    engine: str = "auto",
    relay_only: bool = False,
    name: str = "",
    wait: float = WAIT_S,
) -> Port:
    """Joins a network and returns its port, up.

    `network` is what ``l2mesh join`` takes: an ID, ID@FINGERPRINT or a join string. `state` is a
    directory that keeps the identity, mode 0700, for one port at a time; without one the identity
    is new and forgotten at the end, so each run is another member. `world` names the planets
    (default: what the join string brings, else /etc/l2mesh/world). `name` is what others see.

    Raises ConfigError for an argument that cannot be used, StateError when the network refuses,
    PortTimeout when it is not up within `wait` seconds; the request then stays with the controller.
    """
    target = with_token(parse_join_target(network), parse_token(token) if token else None)
    if world is None and DEFAULT_WORLD.exists():
        world = DEFAULT_WORLD
    with contextlib.ExitStack() as undo:
        if state is None:
            state = undo.enter_context(tempfile.TemporaryDirectory(prefix="l2mesh-"))
        options = NodeOptions(
            state=Path(state).expanduser(),
            world=Path(world).expanduser() if world is not None else None,
            listen=parse_listen(listen),
            engine=_checked_engine(engine),
            relay_only=relay_only,
            name=name,
        )
        thread = PortThread(options, target, wait)
        return Port(format_network_id(target.network), thread, undo.pop_all())


async def open_port_async(network: str, **options: Any) -> Port:
    """As `open_port`, for asyncio: waits without blocking the loop. A cancelled one is closed."""
    opening = asyncio.ensure_future(asyncio.to_thread(open_port, network, **options))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise


class Port:
    """An open port. Any thread may use it; `fileno` is for select and event loops.

    Both queues are bounded. A program that reads too slowly loses the newest frames (`lost`
    counts them); one that sends too fast waits.
    """

    def __init__(self, network: str, thread: PortThread, undo: contextlib.ExitStack) -> None:
        self.network: Final = network
        """16 digits."""
        self._thread = thread
        self._node = thread.node
        self._socket: socket.socket = thread.node.far
        self._undo = undo

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "open"
        return f"<Port of {self.network}, {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    # --- what it is -----------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """This member's address, 10 digits."""
        return self._node.address.hex()

    @property
    def mac(self) -> bytes:
        """The signed MAC: without the right `bridge` frames leave from this one only."""
        return self._attached().mac

    @property
    def mtu(self) -> int:
        """Bytes above Ethernet."""
        return self._attached().mtu

    @property
    def addresses(self) -> tuple[str, ...]:
        """``ip/prefixlen`` that the controller assigned; using them is the program's business."""
        return self._attached().addresses

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._node.attached is None

    @property
    def lost(self) -> int:
        """Frames that came while the queue towards the program was full."""
        return self.counters()[0].get(_LOST, 0)

    def counters(self) -> tuple[dict[str, int], dict[str, int]]:
        """As ``l2mesh counters``: totals by name, drops by reason."""
        return self._thread.call(self._node.counters)

    # --- frames ---------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Readable when `receive` has something at once. Neither read nor written by others."""
        return self._socket.fileno()

    def send(self, frame: bytes, timeout: float | None = None) -> None:
        """Sends one frame; waits up to `timeout` seconds (None: without end) while the queue is
        full.

        ConfigError for what is no frame, PortClosed, PortTimeout.
        """
        self._check(frame)
        deadline = _deadline(timeout)
        while True:
            try:
                self._socket.send(frame)
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline, "room to send")
            except OSError as error:
                raise self._closed() from error
            else:
                return

    def receive(self, timeout: float | None = None) -> bytes:
        """The next frame; waits up to `timeout` seconds (None: without end).

        PortTimeout when none came, PortClosed when none will.
        """
        deadline = _deadline(timeout)
        while True:
            try:
                frame = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                self._wait(select.POLLIN, deadline, "a frame")
                continue
            except OSError as error:
                raise self._closed() from error
            if not frame:
                raise self._closed()
            return frame

    def __iter__(self) -> Iterator[bytes]:
        """Every frame until the port closes."""
        with contextlib.suppress(PortClosed):
            while True:
                yield self.receive()

    async def send_async(self, frame: bytes) -> None:
        """As `send`, for asyncio."""
        self._check(frame)
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, frame)
        except OSError as error:
            raise self._closed() from error

    async def receive_async(self) -> bytes:
        """As `receive`, for asyncio."""
        try:
            frame = await asyncio.get_running_loop().sock_recv(self._socket, READ_BYTES)
        except OSError as error:
            raise self._closed() from error
        if not frame:
            raise self._closed()
        return frame

    def close(self) -> None:
        """Leaves the mesh in good order (membership stays); may be called twice."""
        self._thread.close()
        self._socket.close()
        self._undo.close()

    # --- inside ---------------------------------------------------------------------------------

    def _attached(self) -> Attached:
        attached = self._node.attached
        if attached is None:
            raise self._closed()
        return attached

    def _check(self, frame: bytes) -> None:
        most = self.mtu + OVERHEAD_BYTES
        if not MIN_FRAME_BYTES <= len(frame) <= most:
            raise ConfigError(
                f"{len(frame)} bytes are no frame of this network",
                hint=f"{MIN_FRAME_BYTES} to {most} bytes: addresses, tags, ethertype and payload",
            )

    def _wait(self, event: int, deadline: float | None, what: str) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        if not poll.poll(left):
            raise PortTimeout(f"timed out waiting for {what}")

    def _closed(self) -> PortClosed:
        fault = self._node.fault
        return PortClosed(
            f"the port of network {self.network} is closed" + (f": {fault}" if fault else ""),
            hint="open another one" if fault else "",
        )


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _checked_engine(engine: str) -> str:
    if engine not in ("auto", "native", "reference"):
        raise ConfigError(f"no engine is called {engine!r}", hint="auto, native or reference")
    return engine


def _close_late(opening: asyncio.Future[Port]) -> None:
    """Closes a port that nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        asyncio.get_running_loop().run_in_executor(None, opening.result().close)
