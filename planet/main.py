"""``l2mesh-planet``: serve, and the few things an operator does beside it.

Exit status: 0 ok, 1 failed, 2 usage, 3 no planet answers, 4 not permitted, 6 timed out. With
``-o json`` nothing but JSON is on stdout.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from l2mesh.errors import ConfigError, L2meshError
from l2mesh.runtime.underlay import Listen, parse_listen
from l2mesh.service.options import config_option, daemon_settings
from l2mesh.wire.endpoint import Endpoint, format_endpoint, parse_endpoint

if TYPE_CHECKING:
    from l2mesh.credential.world import Planet, World
    from l2mesh.identity import PublicIdentity
    from planet.service.daemon import Options

__all__ = ["main"]

PROGRAM: Final = "l2mesh-planet"
DEFAULT_STATE: Final = Path("/var/lib/l2mesh/planet")
STOP_WITHIN_S: Final = 4.0
SETTINGS: Final = daemon_settings("L2MESH_PLANET")

FAILED, USAGE, UNREACHABLE, NOT_PERMITTED, TIMED_OUT = 1, 2, 3, 4, 6
_CODES: Final = {"usage": USAGE, "not_permitted": NOT_PERMITTED, "timed_out": TIMED_OUT}

CommandT = TypeVar("CommandT", bound=Callable[..., object])


def main(arguments: list[str] | None = None) -> NoReturn:
    """The program: runs a command and exits with its status."""
    try:
        status = cli.main(arguments, PROGRAM, standalone_mode=False)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else PROGRAM
        _fail(USAGE, error.format_message(), f"see `{where} --help`")
    except click.ClickException as error:
        _fail(FAILED, error.format_message())
    except click.Abort:
        _fail(FAILED, "interrupted")
    except L2meshError as error:
        _fail(_CODES.get(getattr(error, "code", ""), FAILED), str(error), error.hint)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(status: int, message: str, hint: str = "") -> NoReturn:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    sys.exit(status)


# --- options and arguments ------------------------------------------------------------------------


def _state_option(command: CommandT) -> CommandT:
    return click.option(
        "--state",
        type=click.Path(path_type=Path),
        default=DEFAULT_STATE,
        show_default=True,
        help="Directory for identity, keys and world, mode 0700.",
    )(command)


def _output_option(command: CommandT) -> CommandT:
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="How to show the answer.",
    )(command)


def _listen_value(_: click.Context, __: click.Parameter, text: str) -> Listen:
    try:
        return parse_listen(text)
    except ConfigError as error:
        raise click.BadParameter(_one_line(error)) from error


def _endpoint_values(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> tuple[Endpoint, ...]:
    try:
        return tuple(dict.fromkeys(parse_endpoint(text) for text in texts))
    except ConfigError as error:
        raise click.BadParameter(_one_line(error)) from error


def _no_tls(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> None:
    if texts:
        raise click.BadParameter("TLS is not in this release; nodes reach a planet by UDP alone")


def _planet_values(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> dict[PublicIdentity, list[Endpoint]]:
    """PUBLIC@ADDR:PORT ...: a planet that occurs more than once has several endpoints."""
    from l2mesh.crypto import SodiumCrypto
    from l2mesh.identity import PublicIdentity

    planets: dict[PublicIdentity, list[Endpoint]] = {}
    for text in texts:
        public, at, endpoint = text.partition("@")
        if not at:
            raise click.BadParameter(f"{text[:40]!r} is not PUBLIC@ADDR:PORT")
        try:
            identity = PublicIdentity.from_text(public, SodiumCrypto())
            endpoints = planets.setdefault(identity, [])
            endpoints.append(parse_endpoint(endpoint))
        except ConfigError as error:
            raise click.BadParameter(_one_line(error)) from error
    return planets


def _one_line(error: L2meshError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


# --- commands -------------------------------------------------------------------------------------


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="l2mesh", prog_name=PROGRAM)
def cli() -> None:
    """Introduce l2mesh nodes to each other, and relay for those without a direct path."""


@cli.command(context_settings=SETTINGS)
@config_option()
@_state_option
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
    callback=_no_tls,
    expose_value=False,
    help="Not in this release.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What goes to stderr.",
)
def serve(*, state: Path, listen: Listen, advertise: tuple[Endpoint, ...], log_level: str) -> None:
    """Serve in the foreground until SIGTERM."""
    from l2mesh.service.process import fail, harden, run_until_signal, set_up_log
    from planet.service.daemon import Options

    set_up_log(log_level)
    harden()
    options = Options(state=state, listen=listen, advertise=advertise)
    try:
        run_until_signal(lambda stop: _serve(options, stop))
    except L2meshError as error:
        fail(PROGRAM, error)


async def _serve(options: Options, stop: asyncio.Event) -> None:
    from planet.service.daemon import Daemon

    daemon = Daemon(options)
    try:
        await daemon.start()
        await stop.wait()
    finally:
        async with asyncio.timeout(STOP_WITHIN_S):
            await daemon.stop()


@cli.command(context_settings=SETTINGS)
@config_option()
@_state_option
@_output_option
def identity(*, state: Path, output: str) -> None:
    """Show this planet's identity; make it if there is none."""
    from l2mesh.crypto import SodiumCrypto
    from l2mesh.service.state import StateDirectory

    public = StateDirectory(state).identity(SodiumCrypto(), os.urandom).public
    _show({"schema": "l2mesh.identity/1", **_names(public), "public": public.text()}, output)


@cli.command(context_settings=SETTINGS)
@config_option()
@_state_option
@_output_option
def status(*, state: Path, output: str) -> None:
    """Show what the running planet does."""
    from planet.service.ask import ask
    from planet.service.daemon import SOCKET

    path = state / SOCKET
    try:
        answer = ask(path, "status")
    except PermissionError:
        _fail(NOT_PERMITTED, f"no permission to use {path}", "run the command again with sudo")
    except TimeoutError:
        _fail(TIMED_OUT, f"the planet at {path} did not answer")
    except OSError as error:
        reason = error.strerror or str(error)
        hint = f"start it: {PROGRAM} serve --state {state} --listen [::]:9993"
        _fail(UNREACHABLE, f"no planet answers at {path}: {reason}", hint)
    _show(answer, output)


@cli.group()
def world() -> None:
    """Make and read world files: which planets nodes trust."""


@world.command(context_settings=SETTINGS)
@_state_option
@click.option("--key", type=click.Path(path_type=Path), help="Key file, if not DIR/world.key.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write.")
@click.argument(
    "planets",
    nargs=-1,
    required=True,
    metavar="PUBLIC@ADDR:PORT...",
    callback=_planet_values,
)
@_output_option
def create(
    *,
    state: Path,
    key: Path | None,
    out: Path,
    planets: dict[PublicIdentity, list[Endpoint]],
    output: str,
) -> None:
    """Sign a world of these planets, above the revision of DIR/world."""
    from l2mesh.credential.world import Planet
    from l2mesh.crypto import SodiumCrypto
    from l2mesh.service.state import StateDirectory
    from planet.service.worlds import create_world, write_world_file

    named = [Planet(public, tuple(dict.fromkeys(ends))) for public, ends in planets.items()]
    made = create_world(StateDirectory(state), named, SodiumCrypto(), os.urandom, key_file=key)
    write_world_file(out, made)
    _show({**_world_document(made), "file": str(out)}, output)


@world.command(context_settings=SETTINGS)
@click.argument("file", type=click.Path(path_type=Path))
@_output_option
def show(*, file: Path, output: str) -> None:
    """Show what a world file says, after checking its signatures."""
    from l2mesh.crypto import SodiumCrypto
    from planet.service.worlds import read_world_file

    _show(_world_document(read_world_file(file, SodiumCrypto())), output)


# --- output ---------------------------------------------------------------------------------------


def _world_document(world: World) -> dict[str, Any]:
    return {
        "schema": "l2mesh.world/1",
        "id": world.id.hex(),
        "revision": world.revision,
        "planets": [_planet_document(planet) for planet in world.planets],
    }


def _planet_document(planet: Planet) -> dict[str, Any]:
    endpoints = [format_endpoint(endpoint) for endpoint in planet.endpoints]
    return {**_names(planet.identity), "endpoints": endpoints}


def _names(public: PublicIdentity) -> dict[str, str]:
    from l2mesh.address import format_address, format_fingerprint
    from l2mesh.crypto import SodiumCrypto
    from l2mesh.identity import address_of

    address = address_of(public.fingerprint, SodiumCrypto())
    if address is None:
        raise ConfigError("this identity has no address: it was not made by this program")
    return {
        "address": format_address(address),
        "fingerprint": format_fingerprint(public.fingerprint),
    }


def _show(document: dict[str, Any], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(document))
        return
    for line in _lines(document, ""):
        click.echo(line)


def _lines(document: dict[str, Any], indent: str) -> list[str]:
    """One line a value, nested ones indented below their name."""
    lines = []
    for name, value in document.items():
        if name == "schema":
            continue
        label = f"{indent}{name.replace('_', ' ')}:"
        if isinstance(value, dict):
            lines += [label, *_lines(value, f"{indent}  ")] if value else []
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(label)
            for item in value:
                lines += [f"{indent}  -", *_lines(item, f"{indent}    ")]
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            lines.append(f"{label:<{len(indent) + 18}} {text}")
    return lines
