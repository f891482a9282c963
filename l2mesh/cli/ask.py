"""What commands share: asking the daemon, and arguments that are checked before."""

from __future__ import annotations

from typing import Any, Final

import click

from l2mesh.cli.client import request
from l2mesh.errors import ConfigError

__all__ = ["ask", "check_network", "check_target"]

ANSWER_S: Final = 30.0
JOIN_STRING: Final = "l2mesh:"
_BASE64URL: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def ask(
    context: click.Context, verb: str, *, timeout_s: float = ANSWER_S, **arguments: Any
) -> dict[str, Any]:
    """The daemon's answer to a request; Failure when there is none."""
    path: str = context.find_root().obj["socket"]
    return request(path, verb, arguments, timeout_s=timeout_s)


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
