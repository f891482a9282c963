"""Where options come from: flag over environment over file over default.

click does the first two by itself (``auto_envvar_prefix``); this adds the third, a TOML file named
by ``--config`` whose keys are the long options without dashes in front::

    listen = "[::]:9993"
    relay-only = true

A key that is no option is an error: a typo must not silently leave a default in force. Where a
program has commands, the keys are the options of its ``serve``, so that one file serves all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from l2mesh.errors import ConfigError
from l2mesh.runtime.offloads import CHOICES
from l2mesh.runtime.workers import (
    DEFAULT_BUSY_POLL_US,
    DEFAULT_NICE,
    MAX_BUSY_POLL_US,
    MAX_WORKERS,
    default_workers,
)

if TYPE_CHECKING:
    from l2mesh.runtime.streams.proxy import Proxy

__all__ = [
    "DEFAULT_WORLD",
    "carrier_options",
    "config_option",
    "daemon_settings",
    "log_level_option",
    "proxy_option",
    "read_config",
    "relay_rate_option",
    "worker_options",
]

ConfigT = TypeVar("ConfigT", bound=Callable[..., object])

DEFAULT_WORLD: Final = Path("/etc/l2mesh/world")
"""Used where it exists and no other is named."""
MAX_CONFIG_BYTES: Final = 1024 * 1024
DAEMON_COMMAND: Final = "serve"
MAX_RELAY_RATE: Final = 1_000_000_000


def daemon_settings(prefix: str) -> dict[str, Any]:
    """click's ``context_settings`` of a daemon whose environment variables begin with `prefix`."""
    return {
        "auto_envvar_prefix": prefix,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    }


def config_option() -> Callable[[ConfigT], ConfigT]:
    """Adds ``--config FILE`` to a program or a command, whose function does not see it."""
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_apply,
        help="TOML file with options; the environment and flags win over it.",
    )


def carrier_options() -> Callable[[ConfigT], ConfigT]:
    """Adds what is chosen of a data path: ``engine``, ``without`` and ``key_log``."""

    def add(function: ConfigT) -> ConfigT:
        for option in reversed(_CARRIER):
            function = option(function)
        return function

    return add


_CARRIER: Final[tuple[Callable[[Any], Any], ...]] = (
    click.option(
        "--engine",
        type=click.Choice(["auto", "native", "reference"]),
        default="auto",
        show_default=True,
        help="Which data path carries the frames; auto: the native one where it has been built.",
    ),
    click.option(
        "--without",
        multiple=True,
        type=click.Choice(CHOICES),
        help="An offload of the kernel not to use; may be given several times.",
    ),
    click.option(
        "--key-log",
        type=click.Path(path_type=Path),
        hidden=True,
        help="Write every key to this file: for captures of a mesh under test.",
    ),
)


def worker_options() -> Callable[[ConfigT], ConfigT]:
    """Adds ``workers``, ``worker_nice`` and ``busy_poll``, beside what `carrier_options` gives."""

    def add(function: ConfigT) -> ConfigT:
        for option in reversed(_WORKERS):
            function = option(function)
        return function

    return add


_WORKERS: Final[tuple[Callable[[Any], Any], ...]] = (
    click.option(
        "--workers",
        type=click.IntRange(1, MAX_WORKERS),
        default=default_workers,
        show_default="one for every two processors, at most 4",
        metavar="N",
        help="Threads of the native engine; each has sockets and queues of its own.",
    ),
    click.option(
        "--worker-nice",
        type=click.IntRange(-20, 19),
        default=DEFAULT_NICE,
        show_default=True,
        metavar="N",
        help="Added to the niceness of those threads, where that is permitted; 0: as the daemon.",
    ),
    click.option(
        "--busy-poll",
        type=click.IntRange(0, MAX_BUSY_POLL_US),
        default=DEFAULT_BUSY_POLL_US,
        show_default=True,
        metavar="US",
        help="Microseconds for which those threads await the next frame awake; 0: they sleep.",
    ),
)


def proxy_option() -> Callable[[ConfigT], ConfigT]:
    """Adds ``--proxy``."""
    return click.option(
        "--proxy",
        metavar="URL",
        callback=_check_proxy,
        help="HTTP proxy for TLS to planets where UDP is blocked: http://[USER:PASSWORD@]HOST:PORT.",
    )


def _check_proxy(_: click.Context, __: click.Parameter, url: str | None) -> Proxy | None:
    if url is None:
        return None
    from l2mesh.runtime.streams.proxy import parse_proxy  # noqa: PLC0415 - asyncio and more

    try:
        return parse_proxy(url)
    except ConfigError as error:
        raise click.BadParameter(f"{error} ({error.hint})") from error


def relay_rate_option() -> Callable[[ConfigT], ConfigT]:
    """Adds ``--relay-rate``."""
    return click.option(
        "--relay-rate",
        type=click.IntRange(1, MAX_RELAY_RATE),
        metavar="N",
        help="Datagrams a second that are relayed for one node at most.  [default: 500000]",
    )


def log_level_option() -> Callable[[ConfigT], ConfigT]:
    """Adds ``--log-level``."""
    return click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        show_default=True,
        help="What goes to stderr.",
    )


def read_config(path: Path, known: frozenset[str]) -> dict[str, Any]:
    """The options in a TOML file, by parameter name; ConfigError names the file and the fault."""
    try:
        data = path.read_bytes()
        if len(data) > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_CONFIG_BYTES} bytes")
        table = tomllib.loads(data.decode())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no valid TOML: {error}") from error
    options = {key.replace("-", "_"): value for key, value in table.items()}
    for key in options:
        if key not in known:
            shown = ", ".join(sorted(name.replace("_", "-") for name in known))
            raise ConfigError(f"{path}: no option is called {key!r}", hint=f"there are: {shown}")
    return options


def _apply(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    root = context.find_root().command
    daemon = root.commands[DAEMON_COMMAND] if isinstance(root, click.Group) else root
    try:
        options = read_config(path, _names(daemon))
    except ConfigError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise click.ClickException(f"{error}{hint}") from error
    own = _names(context.command)
    defaults: dict[str, Any] = {key: options[key] for key in options if key in own}
    if context.command is not daemon:
        defaults[DAEMON_COMMAND] = options
    context.default_map = {**(context.default_map or {}), **defaults}


def _names(command: click.Command) -> frozenset[str]:
    """What may be set for a command: all but eager options, such as --config and --version."""
    return frozenset(option.name or "" for option in command.params if not option.is_eager)
