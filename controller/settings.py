"""What a network or a member may be set to, read from ``key=value`` texts.

Every fault is a ConfigError that names the key and shows what would do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any, Final

from controller.model import Limit, Route, Settings
from controller.policy import MAX_NAME, clean_name
from controller.pools import parse_pools
from l2mesh.errors import ConfigError

__all__ = [
    "SETTINGS",
    "change_settings",
    "parse_bool",
    "parse_expiry",
    "parse_groups",
    "parse_list",
    "parse_name",
    "parse_tags",
]

MIN_MTU: Final = 576
MAX_MTU: Final = 9000
MAX_LIST: Final = 64
MAX_MEMBERS: Final = 1_000_000
MAX_RATE: Final = 10_000_000
MAX_EXPIRY_S: Final = 10 * 365 * 86_400

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EXPIRY: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_FLAGS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse_bool(key: str, value: str) -> bool:
    """``true`` or ``false``."""
    if value.lower() not in _FLAGS:
        raise ConfigError(
            f"{key}={value[:40]!r} is neither true nor false", hint=f"write {key}=true"
        )
    return _FLAGS[value.lower()]


def parse_expiry(text: str) -> int:
    """Seconds of ``90s``, ``30m``, ``24h``, ``7d`` or ``2w``."""
    match = _EXPIRY.fullmatch(text.strip())
    seconds = int(match[1]) * _UNIT_S[match[2]] if match else 0
    if not 0 < seconds <= MAX_EXPIRY_S:
        raise ConfigError(
            f"{text[:40]!r} is no time span from 1s to ten years",
            hint="write it like 30m, 24h or 7d",
        )
    return seconds


def parse_groups(value: str) -> tuple[str, ...]:
    """``a,b``: words of letters, digits, dot, dash and underscore."""
    groups = tuple(dict.fromkeys(parse_list("groups", value)))
    for group in groups:
        _check_word("groups", group)
    return groups


def parse_tags(value: str) -> dict[str, str]:
    """``site:berlin,os:linux``."""
    tags = {}
    for item in parse_list("tags", value):
        key, colon, text = item.partition(":")
        _check_word("tags", key)
        if not colon or clean_name(text) != text:
            raise ConfigError(f"tags: {item[:40]!r} is no KEY:TEXT", hint="write tags=site:berlin")
        tags[key] = text
    return tags


def _check_word(key: str, word: str) -> None:
    if not _WORD.fullmatch(word):
        raise ConfigError(
            f"{key}: {word[:40]!r} is no word",
            hint="1 to 64 letters, digits, dots, dashes and underscores",
        )


def parse_list(key: str, value: str) -> list[str]:
    """The entries of ``a,b``, at most 64."""
    items = [item.strip() for item in value.split(",") if item.strip()]
    if len(items) > MAX_LIST:
        raise ConfigError(f"{key} has {len(items)} entries; {MAX_LIST} are the most")
    return items


# --- settings of a network ----------------------------------------------------------------------


def parse_name(_: str, value: str) -> str:
    """A name as it will be shown."""
    if clean_name(value) != value:
        raise ConfigError(f"name={value[:80]!r}: at most {MAX_NAME} printable characters")
    return value


def _mtu(_: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()) or not MIN_MTU <= int(value) <= MAX_MTU:
        raise ConfigError(f"mtu={value[:20]!r} is not a number from {MIN_MTU} to {MAX_MTU}")
    return int(value)


def _limit(key: str, value: str) -> Limit:
    if value in ("pass", "drop"):
        return value
    if not (value.isascii() and value.isdecimal()) or int(value[:12]) > MAX_RATE:
        raise ConfigError(
            f"{key}={value[:20]!r} is neither pass, drop nor a rate",
            hint=f"write {key}=pass, {key}=drop or frames a second like {key}=500",
        )
    return int(value)


def _members(key: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()) or int(value[:12]) > MAX_MEMBERS:
        raise ConfigError(f"{key}={value[:20]!r} is not a number of members, or 0 for never")
    return int(value)


def _choice(*words: str) -> Callable[[str, str], str]:
    def parse(key: str, value: str) -> str:
        if value not in words:
            raise ConfigError(f"{key}={value[:20]!r} is unknown", hint=f"one of {', '.join(words)}")
        return value

    return parse


def _pools(key: str, value: str) -> tuple[str, ...]:
    return tuple(str(pool) for pool in parse_pools(parse_list(key, value)))


def _routes(key: str, value: str) -> tuple[Route, ...]:
    return tuple(_route(item) for item in parse_list(key, value))


def _route(text: str) -> Route:
    destination, _, via = text.replace(" via ", "@").partition("@")
    try:
        prefix = ip_network(destination.strip())
        gateway = ip_address(via.strip()) if via else None
    except ValueError as error:
        raise ConfigError(
            f"routes: {text[:60]!r}: {error}", hint="write routes=10.0.0.0/8@10.9.0.1"
        ) from None
    if gateway is not None and gateway.version != prefix.version:
        raise ConfigError(f"routes: {text[:60]!r} mixes IPv4 and IPv6")
    return Route(str(prefix), str(gateway) if gateway else None)


def _dns(key: str, value: str) -> tuple[str, ...]:
    try:
        return tuple(str(ip_address(item)) for item in parse_list(key, value))
    except ValueError as error:
        raise ConfigError(f"dns: {error}", hint="write dns=10.9.0.1") from None


SETTINGS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "name": parse_name,
    "mtu": _mtu,
    "public": parse_bool,
    "pools": _pools,
    "routes": _routes,
    "dns": _dns,
    "guard": _choice("default", "strict", "off"),
    "broadcast": _limit,
    "multicast": _limit,
    "unknown_unicast": _limit,
    "arp": _limit,
    "nd": _limit,
    "discovery": _limit,
    "bpdu": _choice("block", "pass", "tunnel"),
    "snooping": parse_bool,
    "querier": parse_bool,
    "unknown_groups": _choice("flood", "drop"),
    "replicate_above": _members,
}
"""Every key of ``network set`` and what reads its value."""


def change_settings(settings: Settings, changes: Mapping[str, str]) -> Settings:
    """The settings with some changed; ConfigError, and nothing is changed, if one is unsound."""
    values = {}
    for key, value in changes.items():
        if key not in SETTINGS:
            raise ConfigError(
                f"a network has no setting {key[:40]!r}",
                hint=f"settings are: {', '.join(SETTINGS)}",
            )
        values[key] = SETTINGS[key](key, value)
    return replace(settings, **values)
