"""Static FDB entries (IEEE 802.1Q-2022 clause 8.8.1): where the operator says that stations are.

They are this node's own affair, kept in the state file of the network and handed to the engine as
one list. Here one of them is changed, with the reasons why that cannot be done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from l2mesh.address import format_mac
from l2mesh.errors import ConfigError, StateError
from l2mesh.node.joined import MAX_VLAN, Joined, StaticEntry
from l2mesh.switch.ethernet import is_learnable
from l2mesh.switch.fdb import MAX_STATIC

__all__ = ["LOCAL", "add_static", "remove_static"]

LOCAL: Final = "local"
"""In place of a member: behind our own port."""


def add_static(joined: Joined, vlan: int, mac: bytes, who: str) -> None:
    """Say that a station is behind the member called `who`.

    What was said of it before is forgotten. ConfigError tells what is wrong, StateError that
    nobody is called so.
    """
    _check(joined, vlan, mac)
    kept = _without(joined, vlan, mac)
    if len(kept) >= MAX_STATIC:
        raise ConfigError(f"there are {MAX_STATIC} static entries in this network already")
    _keep(joined, [*kept, StaticEntry(vlan, mac, _find(joined, who))])


def remove_static(joined: Joined, vlan: int, mac: bytes) -> None:
    """Take an entry back; StateError where there is none."""
    kept = _without(joined, vlan, mac)
    if len(kept) == len(joined.options.static):
        raise StateError(
            f"{format_mac(mac)} has no static entry in VLAN {vlan}", hint="`l2mesh fdb` shows them"
        )
    _keep(joined, kept)


def _without(joined: Joined, vlan: int, mac: bytes) -> list[StaticEntry]:
    return [one for one in joined.options.static if (one.vlan, one.mac) != (vlan, mac)]


def _keep(joined: Joined, entries: Iterable[StaticEntry]) -> None:
    in_order = sorted(entries, key=lambda one: (one.vlan, one.mac))
    joined.options = replace(joined.options, static=tuple(in_order))


def _check(joined: Joined, vlan: int, mac: bytes) -> None:
    if not 0 <= vlan <= MAX_VLAN:
        raise ConfigError(f"there is no VLAN {vlan}", hint=f"0 (untagged) to {MAX_VLAN}")
    if not is_learnable(mac):
        raise ConfigError(f"{format_mac(mac)} names no single station")
    ours = joined.state.credential
    is_ours = ours is not None and ours.mac == mac
    if is_ours or any(entry.credential.mac == mac for entry in joined.state.roster):
        raise ConfigError(
            f"{format_mac(mac)} is signed to a member, and is there in every VLAN",
            hint="`l2mesh fdb` shows whose it is",
        )


def _find(joined: Joined, who: str) -> bytes | None:
    """The member that is called so, by its address or name; None for this node itself."""
    if who == LOCAL:
        return None
    found = {entry.credential.fingerprint for entry in joined.state.roster.find(who)}
    ours = joined.state.credential
    if ours is not None and who in (ours.name, ours.address.hex()):
        found.add(ours.fingerprint)
    if not found:
        raise StateError(f"no member is called {who!r}", hint=f"an address, a name, or {LOCAL!r}")
    if len(found) > 1:
        raise ConfigError(f"{len(found)} members are called {who!r}", hint="use the address")
    fingerprint = found.pop()
    return None if ours is not None and fingerprint == ours.fingerprint else fingerprint
