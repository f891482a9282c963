"""What every daemon does as a process: signals, event loop, log, and no secrets in core dumps."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn, Protocol

import click

from l2mesh.errors import L2meshError

__all__ = ["fail", "harden", "loop_factory", "run_daemon", "run_until_signal", "set_up_log"]

logger = logging.getLogger(__name__)

PR_SET_DUMPABLE: Final = 4
STOP_WITHIN_S: Final = 3.0
"""Two less than a daemon has: the interpreter ends as well."""


class Daemon(Protocol):
    """What `run_daemon` runs; it has taken what it needs by the time it exists."""

    async def start(self) -> None:
        """Begins to serve."""

    async def stop(self) -> None:
        """Ends in good order; also after a failed start."""

    async def broken(self) -> str:
        """Waits until it cannot go on; why."""


def run_daemon(program: str, make: Callable[[], Daemon], *, log_level: str) -> None:
    """Runs the daemon that `make` makes until SIGTERM, in a hardened process that logs to stderr.

    Ends the program with status 1 and one line where it cannot start, or cannot go on.
    """
    set_up_log(log_level)
    harden()
    try:
        run_until_signal(lambda stop: _serve(make, stop))
    except L2meshError as error:
        fail(program, error)


async def _serve(make: Callable[[], Daemon], stop: asyncio.Event) -> None:
    daemon = make()
    try:
        await daemon.start()
        why = await _wait(stop, daemon)
    finally:
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await daemon.stop()
        except TimeoutError:  # the kernel takes the rest with the process
            logger.error("not everything ended within %g s", STOP_WITHIN_S)  # noqa: TRY400
    if why is not None:
        raise L2meshError(why)


async def _wait(stop: asyncio.Event, daemon: Daemon) -> str | None:
    """Until a signal, then None; or until the daemon is broken, then why."""
    signalled = asyncio.ensure_future(stop.wait())
    broken = asyncio.ensure_future(daemon.broken())
    await asyncio.wait({signalled, broken}, return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    broken.cancel()
    return broken.result() if broken.done() else None


def run_until_signal(serve: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Runs ``serve(stop)`` on uvloop where it is installed; SIGTERM and SIGINT set `stop`."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(stop)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run())


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Makes uvloop's event loops where it is installed; None: asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - it trails new releases of CPython
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def set_up_log(level: str) -> None:
    """Log lines on stderr; the journal adds the time, so we do only for a terminal or a file."""
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def harden() -> None:
    """No core dumps, and no other process of this user reads our memory: keys are in it."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def fail(program: str, error: L2meshError) -> NoReturn:
    """Ends the program with status 1 and one line."""
    hint = f" ({error.hint})" if error.hint else ""
    click.echo(f"{program}: error: {error}{hint}", err=True)
    sys.exit(1)
