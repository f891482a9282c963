"""Rows into values and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, select

from controller.model import Member, Network, Numbers, Revoked, Route, Settings, Standing
from controller.store import schema
from l2mesh.address import format_network_id

__all__ = [
    "load_member",
    "load_members",
    "load_network",
    "load_networks",
    "load_revoked",
    "numbers_row",
    "settings_row",
]


def load_networks(connection: Connection) -> list[Network]:
    """All networks, deleted ones too, by ID."""
    rows = connection.execute(select(schema.network).order_by(schema.network.c.id))
    return [_network(row) for row in rows]


def load_network(connection: Connection, network: int) -> Network | None:
    """One network, deleted or not."""
    table = schema.network
    query = select(table).where(table.c.id == format_network_id(network))
    row = connection.execute(query).first()
    return _network(row) if row is not None else None


def load_members(connection: Connection, network: int) -> list[Member]:
    """Everybody whom a network knows, in the order in which they came."""
    key = format_network_id(network)
    table = schema.member
    rows = connection.execute(select(table).where(table.c.network == key).order_by(table.c.id))
    addresses = _addresses(connection, schema.assignment.c.network == key)
    return [_member(row, addresses.get(row.id, ())) for row in rows]


def load_member(connection: Connection, network: int, fingerprint: bytes) -> Member | None:
    """One of them."""
    table, key = schema.member, format_network_id(network)
    query = select(table).where(table.c.network == key, table.c.fingerprint == fingerprint)
    row = connection.execute(query).first()
    if row is None:
        return None
    addresses = _addresses(connection, schema.assignment.c.member == row.id)
    return _member(row, addresses.get(row.id, ()))


def load_revoked(connection: Connection, network: int) -> list[Revoked]:
    """All revocations of a network, sorted by fingerprint."""
    table = schema.revocation
    query = select(table.c.fingerprint, table.c.serial, table.c.changed)
    query = query.where(table.c.network == format_network_id(network)).order_by(table.c.fingerprint)
    return [Revoked(*row) for row in connection.execute(query)]


def settings_row(settings: Settings) -> dict[str, Any]:
    """Settings as JSON."""
    return asdict(settings)


def numbers_row(numbers: Numbers) -> dict[str, int]:
    """Numbers as columns."""
    return asdict(numbers)


def _network(row: Row[Any]) -> Network:
    stored = dict(row.settings)
    for key in ("pools", "dns"):
        stored[key] = tuple(stored[key])
    stored["routes"] = tuple(Route(**route) for route in stored["routes"])
    numbers = {name: getattr(row, name) for name in Numbers.__dataclass_fields__}
    return Network(int(row.id, 16), Settings(**stored), Numbers(**numbers), row.is_deleted)


def _member(row: Row[Any], addresses: Iterable[str]) -> Member:
    return Member(
        network=int(row.network, 16),
        fingerprint=row.fingerprint,
        address=row.address,
        public=row.public,
        name=row.name,
        standing=Standing(row.standing),
        mac=row.mac,
        rights=frozenset(row.rights),
        groups=tuple(row.groups),
        tags=dict(row.tags),
        addresses=tuple(addresses),
        has_manual_addresses=row.has_manual_addresses,
        serial=row.serial,
        changed=row.changed,
    )


def _addresses(connection: Connection, where: Any) -> dict[int, list[str]]:
    table = schema.assignment
    found: dict[int, list[str]] = {}
    for row in connection.execute(select(table).where(where).order_by(table.c.id)):
        found.setdefault(row.member, []).append(f"{row.address}/{row.prefixlen}")
    return found
