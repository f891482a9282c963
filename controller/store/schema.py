"""Tables, and the steps from one schema number to the next.

The number stands in SQLite's ``user_version``. A network row outlives the network, because its
numbers must not begin anew; everything else goes with what it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

__all__ = [
    "APPLICATION_ID",
    "MIGRATIONS",
    "SCHEMA",
    "assignment",
    "member",
    "meta",
    "metadata",
    "network",
    "revocation",
    "token",
]

SCHEMA: Final = 1
APPLICATION_ID: Final = 0x6C326D63
"""``l2mc``: what this file is, for `file` and for us."""

metadata: Final = MetaData()

meta: Final = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)
"""``controller``: fingerprint of the identity that signs for all networks here."""

network: Final = Table(
    "network",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("is_deleted", Boolean, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("config", Integer, nullable=False),
    Column("roster", Integer, nullable=False),
    Column("roster_floor", Integer, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("revocations", Integer, nullable=False),
    Column("minimum_epoch", Integer, nullable=False),
)


def _of_network() -> Column[str]:
    return Column("network", String(16), ForeignKey("network.id"), nullable=False)


member: Final = Table(
    "member",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_network(),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("address", LargeBinary(5), nullable=False),
    Column("public", LargeBinary(128)),
    Column("name", String(64), nullable=False),
    Column("standing", String, nullable=False),
    Column("mac", LargeBinary(6), nullable=False),
    Column("rights", JSON, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("has_manual_addresses", Boolean, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    UniqueConstraint("network", "fingerprint"),
    UniqueConstraint("network", "mac"),
)

assignment: Final = Table(
    "assignment",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_network(),
    Column("member", Integer, ForeignKey("member.id", ondelete="CASCADE"), nullable=False),
    Column("address", String, nullable=False),
    Column("prefixlen", Integer, nullable=False),
    UniqueConstraint("network", "address"),
)
"""Host addresses in canonical text; ``id`` gives the order within a member."""

token: Final = Table(
    "token",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    _of_network(),
    Column("uses", Integer, nullable=False),
    Column("expires", Integer, nullable=False),
)
"""BLAKE2b-256 of join tokens; a token itself is never stored."""

revocation: Final = Table(
    "revocation",
    metadata,
    Column("network", String(16), ForeignKey("network.id"), primary_key=True),
    Column("fingerprint", LargeBinary(32), primary_key=True),
    Column("serial", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
)

MIGRATIONS: Final[dict[int, Callable[[Connection], None]]] = {}
"""Schema number n -> what makes a database of schema n one of n+1, inside one transaction."""
