"""Networks and members in the words of ``-o json``; keys are only ever added."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from controller.model import RIGHTS, Member, Network, Standing
from l2mesh.address import format_fingerprint, format_mac, format_network_id

__all__ = ["member", "members", "network", "networks"]


def network(held: Network, members: Iterable[Member]) -> dict[str, Any]:
    """One network with its settings and how many are in it."""
    standings = [each.standing for each in members]
    settings = asdict(held.settings)
    return {
        "schema": "l2mesh.network/1",
        "id": format_network_id(held.id),
        "name": settings.pop("name"),
        **{
            key: list(value) if isinstance(value, tuple) else value
            for key, value in settings.items()
        },
        "revision": held.numbers.config,
        "members": standings.count(Standing.AUTHORIZED),
        "pending": standings.count(Standing.PENDING),
    }


def networks(documents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A list of them."""
    return {"schema": "l2mesh.networks/1", "networks": list(documents)}


def member(held: Member, *, is_online: bool) -> dict[str, Any]:
    """One member; ``status`` tells a request that waits from one that was refused."""
    return {
        "schema": "l2mesh.member/1",
        "network": format_network_id(held.network),
        "address": held.address.hex(),
        "fingerprint": format_fingerprint(held.fingerprint),
        "name": held.name,
        "authorized": held.standing is Standing.AUTHORIZED,
        "status": held.standing.value,
        "online": is_online,
        "mac": format_mac(held.mac),
        "addresses": list(held.addresses),
        **{right: right in held.rights for right in RIGHTS},
        "groups": list(held.groups),
        "tags": dict(held.tags),
    }


def members(held: Iterable[Member], is_online: Callable[[Member], bool]) -> dict[str, Any]:
    """A list of them."""
    documents = [member(each, is_online=is_online(each)) for each in held]
    return {"schema": "l2mesh.members/1", "members": documents}
