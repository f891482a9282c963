"""What the commands share: where the state is, options from TOML, and asking the daemon.

An option comes from its flag, else from ``L2MESH_CONTROLLER_<OPTION>``, else from the file named by
``--config``. One file may serve all commands: keys are those of ``serve``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from controller.service.socket import SOCKET, socket_path
from l2mesh.cli.client import request
from l2mesh.cli.failure import Failure
from l2mesh.errors import ConfigError
from l2mesh.service.options import read_config

__all__ = ["PREFIX", "ask", "config_option", "pairs", "state_of", "state_option"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])

PREFIX: Final = "L2MESH_CONTROLLER"
DEFAULT_STATE: Final = Path("/var/lib/l2mesh/controller")
KEYS: Final = frozenset({"state", "world", "listen", "api", "log_level"})
ANSWER_S: Final = 30.0


def state_option() -> Callable[[FunctionT], FunctionT]:
    """Adds ``--state DIR``, which may stand before or after the command's name."""

    def note(context: click.Context, _: click.Parameter, value: Path | None) -> None:
        if value is not None:
            context.find_root().ensure_object(dict)["state"] = value

    return click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        callback=note,
        expose_value=False,
        metavar="DIR",
        help=f"Directory of the controller's state, mode 0700.  [default: {DEFAULT_STATE}]",
    )


def config_option() -> Callable[[FunctionT], FunctionT]:
    """Adds ``--config FILE``, a TOML file; the environment and flags win over it."""
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar=f"{PREFIX}_CONFIG",
        is_eager=True,
        expose_value=False,
        callback=_read,
        help="TOML file with options; the environment and flags win over it.",
    )


def state_of(context: click.Context) -> Path:
    """The state directory: flag over environment over file over default."""
    import os

    objects: dict[str, Any] = context.find_root().ensure_object(dict)
    chosen = objects.get("state") or os.environ.get(f"{PREFIX}_STATE")
    return Path(chosen or objects.get("config", {}).get("state") or DEFAULT_STATE)


def ask(context: click.Context, verb: str, **arguments: Any) -> dict[str, Any]:
    """The running controller's answer; Failure when there is none."""
    state = state_of(context)
    path = state / SOCKET
    try:
        with socket_path(state) as short:
            return request(str(short), verb, arguments, timeout_s=ANSWER_S)
    except Failure as failure:
        if failure.code == "unreachable":
            raise Failure(
                "unreachable",
                f"no controller answers at {path}",
                hint="start `l2mesh-controller serve`, or name its directory with --state",
            ) from None
        if failure.code == "not_permitted":
            raise Failure(
                "not_permitted",
                f"you may not administer the controller at {path}",
                hint="run the command as root or as the user that runs `serve`",
            ) from None
        raise


def pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """``key=value`` arguments; the same key twice is a mistake."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ConfigError(f"{text!r} is no KEY=VALUE", hint="write for instance mtu=1400")
        if key in found:
            raise ConfigError(f"{key} is given twice")
        found[key] = value
    return found


def _read(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    options = read_config(path, KEYS)
    context.find_root().ensure_object(dict)["config"] = options
    defaults = {key: value for key, value in options.items() if key != "state"}
    context.default_map = {**(context.default_map or {}), **defaults, "serve": defaults}
