"""``l2meshd``: reads options, runs the daemon in the foreground, ends in good order.

Exit status 0 after SIGTERM or SIGINT, 1 with one line on stderr when it cannot start, 2 for wrong
usage. Secrets stay out of core dumps.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from l2mesh.runtime.streams.proxy import Proxy
from l2mesh.runtime.underlay import parse_listen
from l2mesh.service.options import (
    DEFAULT_WORLD,
    carrier_options,
    config_option,
    daemon_settings,
    log_level_option,
    proxy_option,
    relay_rate_option,
    worker_options,
)
from l2mesh.service.process import run_daemon

if TYPE_CHECKING:
    from l2mesh.service.daemon import Daemon

__all__ = ["main"]

DEFAULT_SOCKET: Final = Path("/run/l2mesh/node.sock")
DEFAULT_STATE: Final = Path("/var/lib/l2mesh/node")


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
@click.option("--relay-only", is_flag=True, help="Neither use nor offer direct paths.")
@click.option(
    "--no-lan-beacons",
    is_flag=True,
    help="Neither announce this node to members on the same LAN nor listen for them.",
)
@click.option(
    "--no-port-mapping",
    is_flag=True,
    help="Do not ask the router for a port (PCP, NAT-PMP, UPnP).",
)
@click.option(
    "--no-carry", is_flag=True, help="Relay for no other members, whatever controllers say."
)
@relay_rate_option()
@proxy_option()
@carrier_options()
@worker_options()
@log_level_option()
@click.version_option(package_name="l2mesh", prog_name="l2meshd")
def main(  # noqa: PLR0913 - one for each option
    *,
    state: Path,
    world: Path | None,
    listen: str,
    socket: Path,
    relay_only: bool,
    no_lan_beacons: bool,
    no_port_mapping: bool,
    no_carry: bool,
    relay_rate: int | None,
    proxy: Proxy | None,
    log_level: str,
    **carrier: Any,
) -> None:
    """Attach this host to l2mesh networks: one TAP device each."""

    def make() -> Daemon:
        from l2mesh.service.daemon import Daemon, Options  # noqa: PLC0415 - not for --help

        options = Options(
            state=state,
            world=DEFAULT_WORLD if world is None and DEFAULT_WORLD.exists() else world,
            listen=parse_listen(listen),
            socket=socket,
            relay_only=relay_only,
            lan_beacons=not no_lan_beacons,
            port_mapping=not no_port_mapping,
            carry=not no_carry,
            relay_rate=relay_rate,
            proxy=proxy,
            **carrier,
        )
        return Daemon(options)

    run_daemon("l2meshd", make, log_level=log_level)
