"""``l2meshd``: reads options, runs the daemon in the foreground, ends in good order.

Exit status 0 after SIGTERM or SIGINT, 1 with one line on stderr when it cannot start, 2 for wrong
usage. Secrets stay out of core dumps.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from l2mesh.errors import L2meshError
from l2mesh.runtime.underlay import parse_listen
from l2mesh.service.options import DEFAULT_WORLD, config_option, daemon_settings
from l2mesh.service.process import fail, harden, run_until_signal, set_up_log

if TYPE_CHECKING:
    from l2mesh.service.daemon import Options

__all__ = ["main"]

logger = logging.getLogger(__name__)

DEFAULT_SOCKET: Final = Path("/run/l2mesh/node.sock")
DEFAULT_STATE: Final = Path("/var/lib/l2mesh/node")
STOP_WITHIN_S: Final = 4.0


@click.command(context_settings=daemon_settings("L2MESHD"))
@config_option()
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=DEFAULT_STATE,
    show_default=True,
    help="Directory for identity and networks, mode 0700.",
)
@click.option(
    "--world",
    type=click.Path(path_type=Path),
    help=f"File that names the planets.  [default: {DEFAULT_WORLD} if it exists]",
)
@click.option(
    "--listen",
    default="[::]:9993",
    show_default=True,
    metavar="ADDR:PORT",
    help="Where other nodes reach us; port 0 picks one.",
)
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    default=DEFAULT_SOCKET,
    show_default=True,
    help="The local API.",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "native", "reference"]),
    default="auto",
    show_default=True,
    help="Which data path carries the frames; auto: the native one where it has been built.",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(["tap_tso", "tap_uso", "udp_gso", "udp_gro"]),
    help="An offload of the kernel not to use; may be given several times.",
)
@click.option("--relay-only", is_flag=True, help="Neither use nor offer direct paths.")
@click.option(
    "--key-log",
    type=click.Path(path_type=Path),
    hidden=True,
    help="Write every key to this file: for captures of a mesh under test.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What goes to stderr.",
)
@click.version_option(package_name="l2mesh", prog_name="l2meshd")
def main(  # noqa: PLR0913 - one for each option
    *,
    state: Path,
    world: Path | None,
    listen: str,
    socket: Path,
    engine: str,
    relay_only: bool,
    without: tuple[str, ...],
    key_log: Path | None,
    log_level: str,
) -> None:
    """Attach this host to l2mesh networks: one TAP device each."""
    set_up_log(log_level)
    harden()
    try:
        from l2mesh.service.daemon import Options  # noqa: PLC0415 - not for --help

        if world is None and DEFAULT_WORLD.exists():
            world = DEFAULT_WORLD
        options = Options(
            state=state,
            world=world,
            listen=parse_listen(listen),
            socket=socket,
            engine=engine,
            relay_only=relay_only,
            without=without,
            key_log=key_log,
        )
        run_until_signal(lambda stop: _serve(options, stop))
    except L2meshError as error:
        fail("l2meshd", error)


async def _serve(options: Options, stop: asyncio.Event) -> None:
    from l2mesh.service.daemon import Daemon  # noqa: PLC0415

    daemon = Daemon(options)
    try:
        await daemon.start()
        await stop.wait()
    finally:
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await daemon.stop()
        except TimeoutError:  # the kernel takes the devices with the process
            logger.error("not everything ended within %g s", STOP_WITHIN_S)  # noqa: TRY400
