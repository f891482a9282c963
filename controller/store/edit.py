"""One change of one network, inside one transaction: the only place that writes members or numbers.

Whatever alters what members are shown raises the numbers that make them take it: the config's
revision, a credential's serial together with the roster's revision, the revocations' revision. The
network's row is written when the transaction ends, so nothing can be changed without its number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from controller.model import Member, Network, Numbers, Settings, Standing
from controller.pools import Host, host_of, lowest_free, parse_pools
from controller.store import schema
from controller.store.rows import load_member, load_members, numbers_row, settings_row
from l2mesh.address import derive_mac, format_network_id
from l2mesh.errors import StateError

__all__ = ["Edit"]

SALTS: Final = 256


class Edit:
    """A network while it is being changed; `flush` ends it."""

    def __init__(self, connection: Connection, network: Network) -> None:
        self.connection = connection
        self.network = network
        self.key = format_network_id(network.id)

    @property
    def numbers(self) -> Numbers:
        """The network's numbers as they will be written."""
        return self.network.numbers

    def flush(self) -> None:
        """Writes the network's row."""
        self.connection.execute(
            update(schema.network)
            .where(schema.network.c.id == self.key)
            .values(
                is_deleted=self.network.is_deleted,
                settings=settings_row(self.network.settings),
                **numbers_row(self.numbers),
            )
        )

    def raise_numbers(self, **numbers: int) -> None:
        """Sets numbers, none of which may fall."""
        for name, value in numbers.items():
            if value < getattr(self.numbers, name):
                raise StateError(f"{name} of network {self.key} would fall to {value}")
        self.network = replace(self.network, numbers=replace(self.numbers, **numbers))

    def set_settings(self, settings: Settings) -> None:
        """New settings under a new revision of the config."""
        if settings != self.network.settings:
            self.network = replace(self.network, settings=settings)
            self.raise_numbers(config=self.numbers.config + 1)

    # --- members --------------------------------------------------------------------------------

    def members(self) -> list[Member]:
        """All of them."""
        return load_members(self.connection, self.network.id)

    def member(self, fingerprint: bytes) -> Member | None:
        """One of them."""
        return load_member(self.connection, self.network.id, fingerprint)

    def count_pending(self) -> int:
        """Requests that wait for an administrator."""
        table = schema.member
        query = select(func.count()).where(
            table.c.network == self.key, table.c.standing == Standing.PENDING
        )
        return self.connection.execute(query).scalar_one()

    def count_revoked(self) -> int:
        """Fingerprints of which something is revoked."""
        table = schema.revocation
        query = select(func.count()).where(table.c.network == self.key)
        return self.connection.execute(query).scalar_one()

    def insert_member(self, fingerprint: bytes, address: bytes) -> Member:
        """A new pending member with a MAC that is nobody else's."""
        values = {
            "network": self.key,
            "fingerprint": fingerprint,
            "address": address,
            "name": "",
            "standing": Standing.PENDING,
            "mac": self._free_mac(address),
            "rights": [],
            "groups": [],
            "tags": {},
            "has_manual_addresses": False,
            "serial": 0,
            "changed": 0,
        }
        self.connection.execute(insert(schema.member).values(values))
        return self.reload(fingerprint)

    def update_member(self, member: Member, **values: Any) -> Member:
        """Writes columns; a member with a credential gets a new one that says so."""
        if not values:
            return member
        row = dict(values)
        for key in ("rights", "groups"):
            if key in row:
                row[key] = sorted(row[key])
        self.connection.execute(update(schema.member).where(*self._is(member)).values(row))
        return self.reload(member.fingerprint)

    def reissue(self, member: Member) -> Member:
        """A new serial and a new place in the roster; nothing for who is not authorised."""
        if member.standing is not Standing.AUTHORIZED:
            return member
        serial, changed = self.numbers.serial + 1, self.numbers.roster + 1
        self.raise_numbers(serial=serial, roster=changed)
        return self.update_member(member, serial=serial, changed=changed)

    def revoke(self, member: Member) -> None:
        """Makes every credential that it ever had invalid; nothing for who never had one."""
        if not member.serial:
            return
        self.write_revocation(member.fingerprint, self.numbers.serial)
        self.raise_numbers(revocations=self.numbers.revocations + 1)

    def write_revocation(self, fingerprint: bytes, serial: int) -> None:
        """A revocation as of a new revision of the roster. A revoked serial never falls."""
        changed = self.numbers.roster + 1
        self.raise_numbers(roster=changed)
        table = schema.revocation
        row = upsert(table).values(
            network=self.key, fingerprint=fingerprint, serial=serial, changed=changed
        )
        highest = func.max(table.c.serial, row.excluded.serial)
        self.connection.execute(
            row.on_conflict_do_update(
                index_elements=[table.c.network, table.c.fingerprint],
                set_={"serial": highest, "changed": changed},
            )
        )

    def delete_member(self, member: Member) -> None:
        """Forgets a member with its addresses; revocations stay."""
        self.connection.execute(delete(schema.member).where(*self._is(member)))

    def reload(self, fingerprint: bytes) -> Member:
        """The member as it now is."""
        member = self.member(fingerprint)
        if member is None:
            raise StateError(f"member {fingerprint.hex()[:10]} has vanished")
        return member

    # --- addresses ------------------------------------------------------------------------------

    def holders(self) -> dict[Host, bytes]:
        """Every assigned host address and whose it is."""
        table, other = schema.assignment, schema.member
        query = select(table.c.address, other.c.fingerprint).join(other)
        rows = self.connection.execute(query.where(table.c.network == self.key))
        return {host_of(row.address): row.fingerprint for row in rows}

    def set_addresses(self, member: Member, addresses: Iterable[str]) -> None:
        """Replaces a member's addresses; the table itself refuses one that is somebody else's."""
        table = schema.assignment
        row = select(schema.member.c.id).where(*self._is(member)).scalar_subquery()
        self.connection.execute(delete(table).where(table.c.member == row))
        for address in addresses:
            host, _, length = address.partition("/")
            self.connection.execute(
                insert(table).values(
                    network=self.key, member=row, address=host, prefixlen=int(length)
                )
            )

    def assign_from_pools(self, member: Member) -> bool:
        """One address of each pool for a member without manual ones; whether anything changed.

        Addresses outside the pools go, those inside stay; a full pool gives none.
        """
        if member.has_manual_addresses or member.standing is not Standing.AUTHORIZED:
            return False
        taken = {host for host, who in self.holders().items() if who != member.fingerprint}
        wanted: list[str] = []
        for pool in parse_pools(self.network.settings.pools):
            held = [a for a in member.addresses if host_of(a) in pool]
            length = f"/{pool.prefixlen}"
            address = host_of(held[0]).compressed + length if held else lowest_free(pool, taken)
            if address is not None:
                wanted.append(address)
        if tuple(wanted) == member.addresses:
            return False
        self.set_addresses(member, wanted)
        return True

    # --- inside ---------------------------------------------------------------------------------

    def _is(self, member: Member) -> tuple[Any, Any]:
        table = schema.member
        return table.c.network == self.key, table.c.fingerprint == member.fingerprint

    def _free_mac(self, address: bytes) -> bytes:
        """The first of the 256 MACs of an address (section 1) that nobody in the network has."""
        table = schema.member
        for salt in range(SALTS):
            mac = derive_mac(self.network.id, address, salt)
            query = select(table.c.id).where(table.c.network == self.key, table.c.mac == mac)
            if self.connection.execute(query).first() is None:
                return mac
        raise StateError(f"no MAC is left for the address {address.hex()}")
