"""The store as the rest of the controller sees it: questions, and changes that are whole or not.

Every change is one transaction of `Edit`; when a method returns, it is on disk. Calls block for the
time of an fsync and may come from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, exc, select

from controller.model import (
    Member,
    Network,
    NotFound,
    Reported,
    Request,
    Revoked,
    Settings,
    Standing,
)
from controller.store import members as on_member
from controller.store import networks as on_network
from controller.store import rows, schema
from controller.store.database import open_database
from controller.store.edit import Edit
from controller.store.tokens import add_token
from l2mesh.address import format_network_id
from l2mesh.credential.revocation import Revocations
from l2mesh.errors import L2meshError, StateError

__all__ = ["Store"]

T = TypeVar("T")


class Store:
    """An open database. `close` it in the end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.changed: set[int] = set()
        """Networks changed since somebody last took this set; for who pushes changes."""
        self.generation = 0
        """Rises with every change: what was read under one number still holds under it."""

    @classmethod
    def open(cls, path: Path, owner: bytes) -> Store:
        """The store of the controller whose fingerprint is `owner`, made if there is none."""
        return cls(open_database(path, owner))

    def close(self) -> None:
        """Lets go of the file."""
        self._engine.dispose()

    # --- questions ------------------------------------------------------------------------------

    def networks(self) -> list[Network]:
        """All networks that are not deleted."""
        return [n for n in self._read(rows.load_networks) if not n.is_deleted]

    def network(self, network: int) -> Network | None:
        """One network, also if it is deleted."""
        return self._read(lambda connection: rows.load_network(connection, network))

    def members(self, network: int) -> list[Member]:
        """Everybody whom a network knows."""
        return self._read(lambda connection: rows.load_members(connection, network))

    def member(self, network: int, fingerprint: bytes) -> Member | None:
        """One of them."""
        return self._read(lambda connection: rows.load_member(connection, network, fingerprint))

    def revoked(self, network: int) -> list[Revoked]:
        """All revocations of a network."""
        return self._read(lambda connection: rows.load_revoked(connection, network))

    def fingerprints(self) -> set[bytes]:
        """Everybody whom any network knows."""
        query = select(schema.member.c.fingerprint).distinct()
        return self._read(lambda connection: set(connection.execute(query).scalars()))

    # --- networks -------------------------------------------------------------------------------

    def create_network(self, network: int, settings: Settings) -> Network:
        """Begins a network; StateError if it exists."""
        with self._transaction() as connection:
            edit = on_network.begin_network(connection, network)
            edit.set_settings(settings)
            edit.flush()
        self.changed.add(network)
        return self._require(network)

    def set_network(self, network: int, change: Callable[[Settings], Settings]) -> Network:
        """Changes a network's settings."""
        with self._edit(network) as edit:
            on_network.change(edit, change(edit.network.settings))
        return self._require(network)

    def delete_network(self, network: int) -> None:
        """Ends a network: all credentials become invalid, members and tokens are forgotten."""
        with self._edit(network) as edit:
            on_network.remove(edit)

    def raise_above(self, network: int, fingerprint: bytes, reported: Reported) -> bool:
        """A member holds more than we issued; whether numbers were raised."""
        with self._edit(network) as edit:
            member = edit.member(fingerprint)
            if member is None or member.standing is not Standing.AUTHORIZED:
                return False
            return on_network.raise_above(edit, member, reported)

    def merge_revocations(self, network: int, held: Revocations) -> None:
        """Takes back revocations of ours that this store has lost."""
        with self._edit(network) as edit:
            on_network.merge_revocations(edit, held)

    # --- members --------------------------------------------------------------------------------

    def record(self, network: int, request: Request, unix_now: float) -> Member:
        """Somebody asks to join: notes it, admits it if the network or its token says so."""
        member = self.member(network, request.fingerprint)
        if member is not None and member.public is not None:
            is_decided = member.standing is not Standing.PENDING
            if is_decided or (request.token is None and not self._require(network).settings.public):
                return member
        with self._edit(network) as edit:
            return on_member.record(edit, request, unix_now)

    def authorize(self, network: int, fingerprint: bytes, address: bytes) -> Member:
        """Admits a member, or somebody who has not asked yet."""
        with self._edit(network) as edit:
            return on_member.preauthorize(edit, fingerprint, address)

    def deauthorize(self, network: int, fingerprint: bytes) -> Member:
        """Refuses a member and revokes its credentials."""
        with self._edit(network) as edit:
            member = on_member.deauthorize(edit, self._known(edit, fingerprint))
            on_network.shorten_revocations(edit)
        return member

    def delete_member(self, network: int, fingerprint: bytes) -> None:
        """Forgets a member and revokes its credentials."""
        with self._edit(network) as edit:
            on_member.remove_member(edit, self._known(edit, fingerprint))
            on_network.shorten_revocations(edit)

    def set_member(self, network: int, fingerprint: bytes, changes: Mapping[str, str]) -> Member:
        """Changes what a member may do, is called or has for addresses."""
        with self._edit(network) as edit:
            return on_member.change_member(edit, self._known(edit, fingerprint), changes)

    def add_token(
        self, network: int, token: bytes, *, uses: int, expires: int, unix_now: float
    ) -> None:
        """Keeps the hash of a join token; `expires` in Unix seconds."""
        with self._edit(network) as edit:
            add_token(edit, token, uses, expires, unix_now)

    # --- inside ---------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
            self.generation += 1
        except exc.IntegrityError as error:
            raise StateError("another change took that address or name; try again") from error
        except exc.SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or error
            raise L2meshError(f"cannot change the store: {reason}") from error

    @contextmanager
    def _edit(self, network: int) -> Iterator[Edit]:
        """One change; nothing of it remains if it raises."""
        with self._transaction() as connection:
            held = rows.load_network(connection, network)
            if held is None or held.is_deleted:
                raise _no_network(network)
            edit = Edit(connection, held)
            yield edit
            edit.flush()
        self.changed.add(network)

    def _read(self, ask: Callable[[Connection], T]) -> T:
        try:
            with self._engine.connect() as connection:
                return ask(connection.execution_options(is_reader=True))
        except exc.SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or error
            raise L2meshError(f"cannot read the store: {reason}") from error

    def _require(self, network: int) -> Network:
        held = self.network(network)
        if held is None or held.is_deleted:
            raise _no_network(network)
        return held

    @staticmethod
    def _known(edit: Edit, fingerprint: bytes) -> Member:
        member = edit.member(fingerprint)
        if member is None:
            raise NotFound(f"no such member in network {edit.key}")
        return member


def _no_network(network: int) -> NotFound:
    return NotFound(
        f"there is no network {format_network_id(network)} here",
        hint="l2mesh-controller network list shows them",
    )
