"""``serve`` and ``identity``: the commands that work on the state directory themselves."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from controller.cli.options import PREFIX, config_option, state_of, state_option
from l2mesh.cli.failure import Failure
from l2mesh.cli.output import output_option, show
from l2mesh.errors import L2meshError

if TYPE_CHECKING:
    from controller.service.daemon import Options

__all__ = ["identity", "serve"]

DEFAULT_WORLD: Final = Path("/etc/l2mesh/world")
STOP_WITHIN_S: Final = 4.0


@click.command()
@state_option()
@config_option()
@click.option(
    "--world",
    type=click.Path(path_type=Path),
    envvar=f"{PREFIX}_WORLD",
    help=f"File that names the planets.  [default: {DEFAULT_WORLD}]",
)
@click.option(
    "--listen",
    default="[::]:0",
    show_default=True,
    envvar=f"{PREFIX}_LISTEN",
    metavar="ADDR:PORT",
    help="Where nodes reach us directly; port 0 picks one.",
)
@click.option(
    "--api",
    envvar=f"{PREFIX}_API",
    metavar="ADDR:PORT",
    help="Serve /healthz over HTTP there.  [default: not at all]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    envvar=f"{PREFIX}_LOG_LEVEL",
    help="What goes to stderr.",
)
@click.pass_context
def serve(
    context: click.Context, world: Path | None, listen: str, api: str | None, log_level: str
) -> None:
    """Run the controller in the foreground."""
    from l2mesh.service.process import fail, harden, run_until_signal, set_up_log

    set_up_log(log_level)
    harden()
    try:
        from controller.service.daemon import Options
        from l2mesh.runtime.underlay import parse_listen

        options = Options(
            state=state_of(context),
            world=world or DEFAULT_WORLD,
            listen=parse_listen(listen),
            api=parse_listen(api) if api is not None else None,
        )
        run_until_signal(lambda stop: _serve(options, stop))
    except L2meshError as error:
        fail("l2mesh-controller", error)


async def _serve(options: Options, stop: asyncio.Event) -> None:
    from controller.service.daemon import Daemon

    daemon = Daemon(options)
    try:
        await daemon.start()
        await stop.wait()
    finally:
        async with asyncio.timeout(STOP_WITHIN_S):
            await daemon.stop()


@click.command()
@state_option()
@output_option()
@click.pass_context
def identity(context: click.Context) -> None:
    """Who this controller is; makes the identity if there is none."""
    from l2mesh.address import format_address, format_fingerprint
    from l2mesh.crypto import SodiumCrypto
    from l2mesh.identity import address_of
    from l2mesh.service.state import StateDirectory

    crypto = SodiumCrypto()
    try:
        public = StateDirectory(state_of(context)).identity(crypto, os.urandom).public
    except L2meshError as error:
        raise Failure("failed", str(error), hint=error.hint) from error
    address = address_of(public.fingerprint, crypto)
    assert address is not None  # only admissible identities are drawn
    document = {
        "schema": "l2mesh.identity/1",
        "address": format_address(address),
        "fingerprint": format_fingerprint(public.fingerprint),
        "public": public.text(),
    }
    show(context, document, [f"{key:<12} {document[key]}" for key in list(document)[1:]])
