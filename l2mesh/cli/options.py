"""Options that may stand before a command's name as well as after its arguments.

A flag wins over the environment, that over a file, that over the default, wherever each of them was
met; among flags the last one on the line wins.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

__all__ = ["anywhere", "chosen", "state_of", "state_option"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])

_RANK: Final = {
    ParameterSource.DEFAULT: 0,
    ParameterSource.DEFAULT_MAP: 1,
    ParameterSource.ENVIRONMENT: 2,
    ParameterSource.COMMANDLINE: 3,
}


def anywhere(*names: str, **attributes: Any) -> Callable[[FunctionT], FunctionT]:
    """Adds an option to a program or a command, whose function asks `chosen` for its value."""
    return click.option(*names, callback=_note, expose_value=False, **attributes)


def chosen(context: click.Context, name: str) -> Any:
    """The value of an option made by `anywhere`, by parameter name; None if it has none."""
    _, value = context.meta.get(_key(name), (0, None))
    return value


def state_option(default: Path | None = None) -> Callable[[FunctionT], FunctionT]:
    """Adds ``--state DIR``; the program's own says the default, for all its commands."""
    return anywhere(
        "--state",
        type=click.Path(path_type=Path),
        default=default,
        show_default=True,
        metavar="DIR",
        help="Directory of keys and all other state, mode 0700.",
    )


def state_of(context: click.Context) -> Path:
    """The state directory."""
    state: Path = chosen(context, "state")
    return state


def _note(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    name = parameter.name or ""
    source = context.get_parameter_source(name) or ParameterSource.DEFAULT
    rank = _RANK.get(source, 0)
    held, _ = context.meta.get(_key(name), (0, None))
    if value is not None and rank >= held:
        context.meta[_key(name)] = rank, value


def _key(name: str) -> str:
    return f"{__name__}.{name}"
