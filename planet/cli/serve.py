"""``serve``: the daemon in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from l2mesh.cli.options import state_of, state_option
from l2mesh.service.options import (
    carrier_options,
    config_option,
    daemon_settings,
    log_level_option,
    relay_rate_option,
    worker_options,
)
from l2mesh.wire.endpoint import Endpoint, parse_endpoint
from planet.cli.options import DEFAULT_STATE, PREFIX, PROGRAM, argument

if TYPE_CHECKING:
    from l2mesh.runtime.underlay import Listen
    from planet.service.daemon import Daemon

__all__ = ["serve"]


def _listen_value(_: click.Context, __: click.Parameter, text: str) -> Listen:
    from l2mesh.runtime.underlay import parse_listen  # `status` starts without

    with argument():
        return parse_listen(text)


def _endpoint_values(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> tuple[Endpoint, ...]:
    with argument():
        return tuple(dict.fromkeys(parse_endpoint(text) for text in texts))


def _listen_values(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[Listen, ...]:
    return tuple(dict.fromkeys(_listen_value(context, parameter, text) for text in texts))


@click.command(context_settings=daemon_settings(PREFIX))
@config_option()
@state_option(DEFAULT_STATE)
@click.option(
    "--listen",
    default="[::]:9993",
    show_default=True,
    metavar="ADDR:PORT",
    callback=_listen_value,
    help="UDP address and port; [::] is both families, port 0 picks one.",
)
@click.option(
    "--advertise",
    multiple=True,
    metavar="ADDR:PORT",
    callback=_endpoint_values,
    help="Where nodes find this planet, for the world that is made at the first start.",
)
@click.option(
    "--tls",
    multiple=True,
    metavar="ADDR:PORT",
    callback=_listen_values,
    help="TCP address and port for TLS, beside the port of --listen; nodes also try port 443.",
)
@relay_rate_option()
@carrier_options()
@worker_options()
@log_level_option()
@click.pass_context
def serve(
    context: click.Context,
    /,
    *,
    listen: Listen,
    advertise: tuple[Endpoint, ...],
    tls: tuple[Listen, ...],
    relay_rate: int | None,
    log_level: str,
    **carrier: Any,
) -> None:
    """Serve in the foreground until SIGTERM."""
    from l2mesh.service.process import run_daemon

    def make() -> Daemon:
        from planet.service.daemon import Daemon, Options

        options = Options(
            state=state_of(context),
            listen=listen,
            advertise=advertise,
            tls=tls,
            relay_rate=relay_rate,
            **carrier,
        )
        return Daemon(options)

    run_daemon(PROGRAM, make, log_level=log_level)
