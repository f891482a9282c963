"""A running node: its engine, sockets and state on the event loop, whatever its ports are.

`Daemon` adds TAP devices and the local API, `open_port` a socket for one program. `start` says what
cannot work before anything is changed; `stop` undoes it: peers are told, ports go, the lock is let
go last.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from l2mesh.credential.world import World
from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import Engine, SetUnderlay
from l2mesh.datapath.reference.engine import ReferenceEngine
from l2mesh.errors import ConfigError, L2meshError
from l2mesh.node.core import Settings
from l2mesh.node.effects import ConfigureDevice, Effect, NetworkChanged, Persist, RemoveDevice
from l2mesh.node.node import Node
from l2mesh.runtime import keylog
from l2mesh.runtime.clock import boot_clock
from l2mesh.runtime.driver import Driver
from l2mesh.runtime.offloads import Offloads
from l2mesh.runtime.underlay import Listen, Underlay
from l2mesh.service.addresses import local_addresses, to_endpoints
from l2mesh.service.netlink import LinkWatch, Netlink, NetlinkFailure
from l2mesh.service.state import StateDirectory

if TYPE_CHECKING:
    from l2mesh.datapath.native import NativeEngine

__all__ = ["SLOW_ENGINE", "NodeOptions", "RunningNode"]

logger = logging.getLogger(__name__)

R = TypeVar("R")

SLOW_ENGINE: Final = (
    "the reference engine (pure Python) carries the frames: everything works, but slowly"
)
MAX_WORLD_CHARACTERS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """What whoever starts a node chose."""

    state: Path
    world: Path | None
    """None: no world file was found at the default place."""
    listen: Listen
    engine: str = "auto"
    """``native``, ``reference``, or ``auto``: native where it has been built."""
    relay_only: bool = False
    without: tuple[str, ...] = ()
    """Names of offloads not to use."""
    key_log: Path | None = None
    """Where to write every key; only for a mesh under test."""
    name: str = ""
    """What others see; "": this host's name."""


class RunningNode(abc.ABC):
    """A node at work. Everything but the netlink thread runs on the event loop."""

    def __init__(self, options: NodeOptions, *, reserved: frozenset[str] = frozenset()) -> None:
        """Takes state, identity and sockets; ConfigError when one of them cannot be had.

        `reserved` are the names of state files that are not the node's.
        """
        self.options = options
        self.clock = boot_clock
        self.crypto = SodiumCrypto()
        with contextlib.ExitStack() as undo:
            self.state = StateDirectory(options.state, reserved=reserved)
            self.state.lock()
            undo.callback(self.state.close)
            self.identity = self.state.identity(self.crypto, os.urandom)
            self.offloads = Offloads.without(options.without)
            self.underlay = Underlay(options.listen, self.offloads)
            undo.callback(self.underlay.close)
            self._native = _native_engine(options.engine)
            self.engine = self._make_engine()
            name = options.name or socket.gethostname().partition(".")[0]
            self.node = Node(self._settings(), name=name)
            self.driver = self._make_driver()
            undo.pop_all()
        self.netlink = Netlink()
        self.address = self.node.address(self.identity.fingerprint)
        self._complaints: list[str] = []
        self._change = asyncio.Event()
        self._is_stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._watch: LinkWatch | None = None

    # --- life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begins to carry frames; ConfigError when the world does not fit."""
        if self._native is None:
            logger.warning("engine=reference: %s", SLOW_ENGINE)
        now = self.clock()
        self.node.start(now)
        self._complaints = self.node.restore(self.state.load(), now)
        for complaint in self._complaints:
            logger.error("%s", complaint)
        if self.options.world is not None:
            self._adopt_file(self.options.world)
        self._watch = LinkWatch(self._links_changed)
        await self._look_at_addresses()
        self.driver.start()
        logger.info("address=%s listens on port=%d", self.address.hex(), self.underlay.port)

    async def stop(self) -> None:
        """Tells the peers, takes ports away, lets go of all; also after a failed start."""
        self._is_stopping = True
        if self._watch is not None:
            self._watch.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.node.close(self.clock())
        self.driver.pump()
        self.driver.close()
        await self._take_down()
        await self.netlink.close()
        self.underlay.close()
        self.state.close()
        logger.info("stopped")

    def release(self) -> None:
        """Lets go of what `__init__` took; for whoever cannot go on before `start`."""
        self.driver.close()
        self.underlay.close()
        self.state.close()

    # --- from outside ---------------------------------------------------------------------------

    def call(self, function: Callable[..., R], *args: Any) -> R:
        """Calls the node with the time, and carries out what it wants because of that."""
        try:
            return function(*args, now=self.clock())
        finally:
            self.driver.pump()

    def adopt_world(self, world: World) -> None:
        """Uses a world that a join string brought, unless ours is as new."""
        held = self.node.world
        if held is None or held.id != world.id or held.revision < world.revision:
            self.call(self.node.adopt_world, world)

    async def network_changed(self) -> None:
        """Waits until some network changes."""
        await self._change.wait()

    # --- effects --------------------------------------------------------------------------------

    @abc.abstractmethod
    def _change_port(self, effect: ConfigureDevice | RemoveDevice) -> None:
        """Makes, changes or removes the port of a network; not called while stopping."""

    @abc.abstractmethod
    async def _take_down(self) -> None:
        """Takes away all ports: nobody reads or writes them any more."""

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Persist(name, data):
                if data is None:
                    self.state.delete(name)
                else:
                    self.state.write(name, data)
            case ConfigureDevice() | RemoveDevice():
                if not self._is_stopping:
                    self._change_port(effect)
            case NetworkChanged():
                self._wake()

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    # --- the host -------------------------------------------------------------------------------

    def _links_changed(self) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self._look_at_addresses(), name="addresses"))

    async def _look_at_addresses(self) -> None:
        """Tells engine and node under which addresses this host can be reached."""
        try:
            addresses = await self.netlink.run(local_addresses)
        except NetlinkFailure as error:
            logger.warning("cannot list the host's addresses: %s", error)
            return
        port = self.underlay.port
        command = SetUnderlay(port, frozenset(addresses))
        self.engine.execute(command, self.clock())
        self.driver.set_local_endpoints(to_endpoints(addresses, self.options.listen, port))

    def _adopt_file(self, path: Path) -> None:
        try:
            with path.open(encoding="ascii") as file:
                text = file.read(MAX_WORLD_CHARACTERS)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigError(
                f"cannot read the world file {path}: {reason}",
                hint="copy the file `world` from a planet's state directory",
            ) from error
        try:
            self.adopt_world(World.from_text(text.strip(), self.crypto))
        except L2meshError as error:
            raise ConfigError(f"the world file {path} cannot be used: {error}") from error

    # --- parts ----------------------------------------------------------------------------------

    def _make_engine(self) -> Engine:
        engine: Engine = self._native or ReferenceEngine(self.crypto, os.urandom)
        if self.options.key_log is not None:
            logger.warning("%s", keylog.WARNING)
            engine = keylog.KeyLoggingEngine(engine, self.options.key_log)
        return engine

    def _make_driver(self) -> Driver[Effect]:
        if self._native is None:
            return Driver(self.engine, self.node, self.underlay, self.clock, self._carry_out)
        from l2mesh.runtime.native_driver import NativeDriver  # noqa: PLC0415 - needs the binding

        return NativeDriver(
            self.engine, self.node, self.underlay, self.clock, self._carry_out, self._native
        )

    def _settings(self) -> Settings:
        return Settings(
            identity=self.identity,
            crypto=self.crypto,
            random=os.urandom,
            unix_now=time.time,
            activity=self.engine.activity,
            direct=not self.options.relay_only,
        )


def _native_engine(choice: str) -> NativeEngine | None:
    """The native engine if it is wanted and there is one; ConfigError if it is demanded."""
    if choice == "reference":
        return None
    try:
        from l2mesh.datapath.native import NativeEngine  # noqa: PLC0415 - may not have been built
    except ImportError as error:
        if choice == "native":
            raise ConfigError(
                f"the native engine cannot be used: {error}",
                hint="build it with `tools/setup`, or use --engine auto or reference",
            ) from error
        return None
    return NativeEngine()
