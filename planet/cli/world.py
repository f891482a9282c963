"""``world create``, ``world show`` and ``world install``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from l2mesh.cli.failure import not_usage
from l2mesh.cli.identity import names
from l2mesh.cli.options import state_of, state_option
from l2mesh.cli.output import outline, output_option, show
from l2mesh.service.options import daemon_settings
from l2mesh.wire.endpoint import Endpoint, format_endpoint, parse_endpoint
from planet.cli.options import PREFIX, argument

if TYPE_CHECKING:
    from l2mesh.credential.world import World
    from l2mesh.identity import PublicIdentity

__all__ = ["world"]

_PUBLIC: Final = re.compile(r"[A-Za-z0-9_-]{171}@")


class _Create(click.Command):
    """A public identity may begin with a dash, and is no option then."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = [word for word in args if _PUBLIC.match(word)]
        others = [word for word in args if word not in named and word != "--"]
        return super().parse_args(ctx, [*others, "--", *named] if named else args)


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
        with argument():
            identity = PublicIdentity.from_text(public, SodiumCrypto())
            planets.setdefault(identity, []).append(parse_endpoint(endpoint))
    return planets


@click.group()
@state_option()
@output_option()
def world() -> None:
    """Make, read and install world files: which planets nodes trust."""


@world.command(cls=_Create, context_settings=daemon_settings(PREFIX))
@state_option()
@click.option("--key", type=click.Path(path_type=Path), help="Key file, if not DIR/world.key.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write.")
@click.argument(
    "planets",
    nargs=-1,
    required=True,
    metavar="PUBLIC@ADDR:PORT...",
    callback=_planet_values,
)
@output_option()
@click.pass_context
def create(
    context: click.Context,
    key: Path | None,
    out: Path,
    planets: dict[PublicIdentity, list[Endpoint]],
) -> None:
    """Sign a world of these planets, above the revision of DIR/world."""
    from l2mesh.credential.world import Planet
    from l2mesh.crypto import SodiumCrypto
    from l2mesh.service.state import StateDirectory
    from planet.service.worlds import create_world, write_world_file

    named = [Planet(public, tuple(dict.fromkeys(ends))) for public, ends in planets.items()]
    with not_usage():
        state = StateDirectory(state_of(context))
        made = create_world(state, named, SodiumCrypto(), os.urandom, key_file=key)
        write_world_file(out, made)
        document = {**_document(made), "file": str(out)}
    show(context, document, outline(document))


@world.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@output_option()
@click.pass_context
def show_(context: click.Context, file: Path) -> None:
    """Show what a world file says, after checking its signatures."""
    from l2mesh.crypto import SodiumCrypto
    from planet.service.worlds import read_world_file

    with not_usage():
        document = _document(read_world_file(file, SodiumCrypto()))
    show(context, document, outline(document))


@world.command("install")
@state_option()
@click.argument("file", type=click.Path(path_type=Path))
@output_option()
@click.pass_context
def install(context: click.Context, file: Path) -> None:
    """Give an update of the world to the running planet, which tells everybody."""
    from l2mesh.cli.client import request
    from l2mesh.crypto import SodiumCrypto
    from planet.cli.status import WORDING
    from planet.service.daemon import SOCKET
    from planet.service.worlds import read_world_file

    with not_usage():
        text = read_world_file(file, SodiumCrypto()).text()
    path = str(state_of(context) / SOCKET)
    answer = request(path, "world_install", {"world": text}, wording=WORDING)
    show(context, answer, outline(answer))


def _document(world: World) -> dict[str, Any]:
    planets = [
        {**names(planet.identity), "endpoints": list(map(format_endpoint, planet.endpoints))}
        for planet in world.planets
    ]
    return {
        "schema": "l2mesh.world/1",
        "id": world.id.hex(),
        "revision": world.revision,
        "planets": planets,
    }
