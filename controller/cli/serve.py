"""``serve`` and ``identity``: the commands that work on the state directory themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from controller.cli.options import DEFAULT_STATE, PREFIX, PROGRAM
from l2mesh.cli.failure import not_usage
from l2mesh.cli.identity import show_identity
from l2mesh.cli.options import state_of, state_option
from l2mesh.cli.output import output_option
from l2mesh.service.options import (
    carrier_options,
    config_option,
    daemon_settings,
    log_level_option,
    proxy_option,
)

if TYPE_CHECKING:
    from controller.service.daemon import Daemon
    from l2mesh.runtime.streams.proxy import Proxy

__all__ = ["identity", "serve"]

DEFAULT_WORLD: Final = Path("/etc/l2mesh/world")


@click.command(context_settings=daemon_settings(PREFIX))
@state_option(DEFAULT_STATE)
@config_option()
@click.option(
    "--world",
    type=click.Path(path_type=Path),
    default=DEFAULT_WORLD,
    show_default=True,
    help="File that names the planets.",
)
@click.option(
    "--listen",
    default="[::]:0",
    show_default=True,
    metavar="ADDR:PORT",
    help="Where nodes reach us directly; port 0 picks one.",
)
@click.option(
    "--api",
    metavar="ADDR:PORT",
    help="Serve /healthz over HTTP there.  [default: not at all]",
)
@proxy_option()
@carrier_options()
@log_level_option()
@click.pass_context
def serve(
    context: click.Context,
    /,
    *,
    world: Path,
    listen: str,
    api: str | None,
    proxy: Proxy | None,
    log_level: str,
    **carrier: Any,
) -> None:
    """Run the controller in the foreground."""
    from l2mesh.service.process import run_daemon

    def make() -> Daemon:
        from controller.service.daemon import Daemon, Options
        from l2mesh.runtime.underlay import parse_listen

        options = Options(
            state=state_of(context),
            world=world,
            listen=parse_listen(listen),
            api=parse_listen(api) if api is not None else None,
            proxy=proxy,
            **carrier,
        )
        return Daemon(options)

    run_daemon(PROGRAM, make, log_level=log_level)


@click.command()
@state_option()
@output_option()
@click.pass_context
def identity(context: click.Context) -> None:
    """Who this controller is; makes the identity if there is none."""
    from l2mesh.crypto import SodiumCrypto
    from l2mesh.service.state import StateDirectory

    with not_usage():
        public = StateDirectory(state_of(context)).identity(SodiumCrypto(), os.urandom).public
    show_identity(context, public)
