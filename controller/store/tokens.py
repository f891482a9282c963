"""Join tokens: 256 random bits that admit whoever shows them, so often and so long.

Only BLAKE2b-256 of a token is stored. It is consumed by one conditional UPDATE in the transaction
that admits the member, so that a hundred uses at once of a single-use token admit one.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from sqlalchemy import delete, func, insert, or_, select, update

from controller.store import schema
from controller.store.edit import Edit
from l2mesh.errors import ConfigError, StateError

__all__ = ["TOKEN_BYTES", "add_token", "consume"]

TOKEN_BYTES: Final = 32
MAX_USES: Final = 1_000_000
MAX_TOKENS: Final = 10_000
"""Of one network, unused and not expired."""


def add_token(edit: Edit, token: bytes, uses: int, expires: int, unix_now: float) -> None:
    """Stores a token's hash; `expires` is in Unix seconds. Dead tokens go on the way."""
    if not 1 <= uses <= MAX_USES:
        raise ConfigError(f"{uses} uses are not in 1..{MAX_USES}")
    table = schema.token
    of_network = table.c.network == edit.key
    is_dead = or_(table.c.uses == 0, table.c.expires <= int(unix_now))
    edit.connection.execute(delete(table).where(of_network, is_dead))
    count = edit.connection.execute(select(func.count()).where(of_network)).scalar_one()
    if count >= MAX_TOKENS:
        raise StateError(f"{count} tokens of this network are still good; wait until some expire")
    values = {"hash": _hash(token), "network": edit.key, "uses": uses, "expires": expires}
    edit.connection.execute(insert(table).values(values))


def consume(edit: Edit, token: bytes, unix_now: float) -> bool:
    """Takes one use of a token; False when it is unknown here, used up or expired."""
    table = schema.token
    is_good = (
        table.c.hash == _hash(token),
        table.c.network == edit.key,
        table.c.uses > 0,
        table.c.expires > int(unix_now),
    )
    result = edit.connection.execute(update(table).where(*is_good).values(uses=table.c.uses - 1))
    return result.rowcount == 1


def _hash(token: bytes) -> bytes:
    return blake2b(token, digest_size=32, person=b"l2mesh token").digest()
