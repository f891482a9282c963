"""What commands share: asking the daemon, and arguments that are checked before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import click

from l2mesh.cli.client import ANSWER_S, request
from l2mesh.cli.options import chosen
from l2mesh.errors import ConfigError

__all__ = ["ask", "check_network", "check_target", "pairs"]

JOIN_STRING: Final = "l2mesh:"
_BASE64URL: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def ask(
    context: click.Context, verb: str, *, timeout_s: float = ANSWER_S, **arguments: Any
) -> dict[str, Any]:
    """The daemon's answer to a request; Failure when there is none."""
    return request(chosen(context, "socket"), verb, arguments, timeout_s=timeout_s)


def check_network(text: str) -> str:
    """A network ID in lower case; ConfigError says what is wrong with it and shows one."""
    from l2mesh.address import parse_network_id

    parse_network_id(text)
    return text.lower()


def check_target(text: str) -> str:
    """``ID``, ``ID@FINGERPRINT`` or the looks of a join string; the daemon reads the latter."""
    if text.startswith(JOIN_STRING):
        if not text.removeprefix(JOIN_STRING) or set(text[len(JOIN_STRING) :]) - _BASE64URL:
            raise ConfigError(
                "the join string is damaged",
                hint="copy the whole line that `l2mesh-controller token create` shows as `join`",
            )
        return text
    network, at, fingerprint = text.partition("@")
    check_network(network)
    if at:
        from l2mesh.address import parse_fingerprint

        parse_fingerprint(fingerprint)
    return text.lower()


def pairs(texts: Iterable[str], *, example: str) -> dict[str, str]:
    """``KEY=VALUE`` arguments; ConfigError for anything else, and for a key given twice."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ConfigError(f"{text!r} is no KEY=VALUE", hint=f"write for instance {example}")
        if key in found:
            raise ConfigError(f"{key} is given twice", hint="name each key once")
        found[key] = value
    return found
