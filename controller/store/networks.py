"""What can happen to a network as a whole."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, delete, insert

from controller.model import Member, Network, Numbers, Reported, Settings, Standing
from controller.policy import MAX_LEAP
from controller.store import schema
from controller.store.edit import Edit
from controller.store.members import admit_pending
from controller.store.rows import load_network, load_revoked, numbers_row, settings_row
from l2mesh.address import format_network_id, shorten
from l2mesh.credential.revocation import Revocations
from l2mesh.errors import StateError

__all__ = [
    "begin_network",
    "change",
    "merge_revocations",
    "raise_above",
    "remove",
    "shorten_revocations",
]

log = logging.getLogger(__name__)

MAX_REVOKED_KEPT: Final = 16_000
"""Below what one object may hold (section 9.4)."""
MARGIN: Final = 1000
"""How far above a member's numbers we go after a restore, since others may know higher ones."""


def begin_network(connection: Connection, network: int) -> Edit:
    """A new network, or a deleted one whose number is used again and whose numbers go on."""
    held = load_network(connection, network)
    if held is not None and not held.is_deleted:
        raise StateError(
            f"network {format_network_id(network)} exists", hint="choose another --number"
        )
    if held is not None:
        edit = Edit(connection, replace(held, is_deleted=False))
        edit.raise_numbers(config=held.numbers.config + 1)
        return edit
    fresh = Network(network, Settings(), Numbers())
    row = {"id": format_network_id(network), "is_deleted": False}
    values = row | numbers_row(fresh.numbers) | {"settings": settings_row(fresh.settings)}
    connection.execute(insert(schema.network).values(values))
    return Edit(connection, fresh)


def change(edit: Edit, settings: Settings) -> None:
    """New settings. Pools that come or go change addresses; a public network admits who waits."""
    old = edit.network.settings
    edit.set_settings(settings)
    if settings.pools != old.pools:
        for member in edit.members():
            if edit.assign_from_pools(member):
                edit.reissue(edit.reload(member.fingerprint))
    if settings.public and not old.public:
        admit_pending(edit)


def remove(edit: Edit) -> None:
    """Ends a network: every credential becomes invalid by a new epoch, and everything else goes."""
    epoch = edit.numbers.epoch + 1
    edit.raise_numbers(
        epoch=epoch,
        minimum_epoch=epoch,
        revocations=edit.numbers.revocations + 1,
        roster=edit.numbers.roster + 1,
    )
    edit.raise_numbers(roster_floor=edit.numbers.roster)
    for table in (schema.assignment, schema.member, schema.token):
        edit.connection.execute(delete(table).where(table.c.network == edit.key))
    edit.network = replace(edit.network, is_deleted=True)


# --- after a restore ----------------------------------------------------------------------------


def raise_above(edit: Edit, member: Member, reported: Reported) -> bool:
    """A member holds more than we ever issued: this store is an old backup. Go above it.

    Everything is issued anew under higher numbers, and no roster of the lost time gets a delta.
    Leaps beyond 65,536 are not believed: a member could otherwise wear the numbers out.
    """
    ours = edit.numbers
    pairs = {
        "config": (reported.config, ours.config),
        "roster": (reported.roster, ours.roster),
        "serial": (reported.serial, member.serial),
        "epoch": (reported.epoch, ours.epoch),
    }
    ahead = {name: theirs for name, (theirs, own) in pairs.items() if theirs > own}
    if not ahead:
        return False
    for name, theirs in ahead.items():
        if theirs > getattr(ours, name) + MAX_LEAP:
            log.error(
                "network=%s fingerprint=%s reports %s %d, too far above ours to be believed",
                edit.key,
                shorten(member.fingerprint),
                name,
                theirs,
            )
            return False
    log.warning(
        "network=%s: a member holds newer %s than this store, which seems to be an old backup; "
        "everything is issued again above them",
        edit.key,
        ", ".join(sorted(ahead)),
    )
    margin = {"config": MARGIN, "roster": MARGIN, "serial": MARGIN, "epoch": 0}
    edit.raise_numbers(
        **{name: max(getattr(ours, name), theirs + margin[name]) for name, theirs in ahead.items()}
    )
    _reissue_all(edit)
    return True


def merge_revocations(edit: Edit, held: Revocations) -> None:
    """Revocations that we once signed and have lost: take them back and go above them.

    Whoever they revoke is refused from now on, whatever the restored rows say: whether it was
    admitted again in the time that was lost, nobody knows, and an administrator can repeat that.
    """
    ours = {
        each.fingerprint: each.serial for each in load_revoked(edit.connection, edit.network.id)
    }
    for fingerprint, serial in held.revoked:
        if serial <= ours.get(fingerprint, 0):
            continue
        member = edit.member(fingerprint)
        if member is not None and member.standing is Standing.AUTHORIZED:
            log.warning("network=%s: member %s is refused again", edit.key, member.address.hex())
            edit.update_member(member, standing=Standing.DENIED)
            serial = max(serial, member.serial)  # noqa: PLW2901 - issued since the restore
        edit.write_revocation(fingerprint, serial)
    minimum = max(edit.numbers.minimum_epoch, held.minimum_epoch)
    edit.raise_numbers(
        revocations=max(edit.numbers.revocations, held.revision) + 1,
        minimum_epoch=minimum,
        epoch=max(edit.numbers.epoch, minimum),
        serial=max([edit.numbers.serial, *(serial for _, serial in held.revoked)]) + MARGIN,
        roster=edit.numbers.roster + MARGIN,
    )
    _reissue_all(edit)


def _reissue_all(edit: Edit) -> None:
    for member in edit.members():
        edit.reissue(member)
    edit.raise_numbers(roster_floor=edit.numbers.roster)


def shorten_revocations(edit: Edit) -> None:
    """Too many revocations for one object: a new epoch voids what they voided, in one number."""
    if edit.count_revoked() <= MAX_REVOKED_KEPT:
        return
    epoch = edit.numbers.epoch + 1
    table = schema.revocation
    edit.connection.execute(delete(table).where(table.c.network == edit.key))
    edit.raise_numbers(epoch=epoch, minimum_epoch=epoch, revocations=edit.numbers.revocations + 1)
    _reissue_all(edit)
