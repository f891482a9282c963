"""What can happen to a member."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller import settings as texts
from controller.model import RIGHTS, Member, Request, Standing
from controller.policy import MAX_PENDING, admit
from controller.pools import check_manual, host_of, parse_pools
from controller.store.edit import Edit
from controller.store.tokens import consume
from l2mesh.address import format_fingerprint
from l2mesh.errors import ConfigError, StateError

__all__ = [
    "MEMBER_SETTINGS",
    "admit_pending",
    "authorize",
    "change_member",
    "deauthorize",
    "preauthorize",
    "record",
    "remove_member",
]

MEMBER_SETTINGS = ("name", *RIGHTS, "addresses", "groups", "tags")
"""Every key of ``member set``."""


def record(edit: Edit, request: Request, unix_now: float) -> Member:
    """Somebody asks to join: note it, and admit it if the network or a token says so.

    StateError when too many wait already and this one would have to wait as well.
    """
    member = edit.member(request.fingerprint)
    standing = member.standing if member is not None else None
    is_public = edit.network.settings.public
    good = (
        standing in (None, Standing.PENDING)
        and not is_public
        and request.token is not None
        and consume(edit, request.token, unix_now)
    )
    wanted = admit(standing, is_public=is_public, has_good_token=good)
    if member is None:
        if wanted is Standing.PENDING and edit.count_pending() >= MAX_PENDING:
            raise StateError("too many requests wait for an administrator of this network")
        member = edit.insert_member(request.fingerprint, request.address)
    if member.public is None:
        name = member.name or request.name
        member = edit.update_member(member, public=request.public, name=name)
        member = edit.reissue(member)
    return authorize(edit, member) if wanted is Standing.AUTHORIZED else member


def preauthorize(edit: Edit, fingerprint: bytes, address: bytes) -> Member:
    """Admits somebody by its full fingerprint, whether or not it has asked."""
    member = edit.member(fingerprint) or edit.insert_member(fingerprint, address)
    return authorize(edit, member)


def authorize(edit: Edit, member: Member) -> Member:
    """Makes it a member with an address of each pool; nothing happens if it is one."""
    if member.standing is Standing.AUTHORIZED:
        return member
    member = edit.update_member(member, standing=Standing.AUTHORIZED)
    if edit.assign_from_pools(member):
        member = edit.reload(member.fingerprint)
    return edit.reissue(member)


def admit_pending(edit: Edit) -> None:
    """The network has become public."""
    for member in edit.members():
        if member.standing is Standing.PENDING:
            authorize(edit, member)


def deauthorize(edit: Edit, member: Member) -> Member:
    """Refuses it from now on.

    It keeps its addresses, since it may use them until it has heard, and gets them back if it is
    authorised again.
    """
    if member.standing is Standing.DENIED:
        return member
    edit.revoke(member)
    return edit.update_member(member, standing=Standing.DENIED)


def remove_member(edit: Edit, member: Member) -> None:
    """Forgets it: it may ask again, and its addresses are free."""
    if member.standing is Standing.AUTHORIZED:
        edit.revoke(member)
    edit.delete_member(member)


def change_member(edit: Edit, member: Member, changes: Mapping[str, str]) -> Member:
    """``member set``: all of the changes or none; ConfigError says which one cannot be."""
    values: dict[str, Any] = {}
    rights = member.rights
    for key, value in changes.items():
        if key in RIGHTS:
            rights = rights | {key} if texts.parse_bool(key, value) else rights - {key}
            values["rights"] = rights
        elif key == "name":
            values["name"] = texts.parse_name(key, value)
        elif key == "groups":
            values["groups"] = texts.parse_groups(value)
        elif key == "tags":
            values["tags"] = texts.parse_tags(value)
        elif key != "addresses":
            raise ConfigError(
                f"a member has no setting {key[:40]!r}",
                hint=f"settings are: {', '.join(MEMBER_SETTINGS)}",
            )
    changed = edit.update_member(member, **values)
    if "addresses" in changes:
        _set_addresses(edit, changed, changes["addresses"])
        changed = edit.reload(member.fingerprint)
    return edit.reissue(changed) if changed != member else member


def _set_addresses(edit: Edit, member: Member, value: str) -> None:
    """Addresses by hand; none at all: from the pools again."""
    pools = parse_pools(edit.network.settings.pools)
    addresses = check_manual(texts.parse_list("addresses", value), pools)
    holders = edit.holders()
    for address in addresses:
        holder = holders.get(host_of(address), member.fingerprint)
        if holder != member.fingerprint:
            other = edit.reload(holder)
            name = f" ({other.name})" if other.name else ""
            raise StateError(
                f"{host_of(address)} belongs to member {other.address.hex()}{name}",
                hint="choose another address, or give that member another one first; its "
                f"fingerprint is {format_fingerprint(holder)}",
            )
    member = edit.update_member(member, has_manual_addresses=bool(addresses))
    if addresses:
        edit.set_addresses(member, addresses)
    elif not edit.assign_from_pools(member) and member.standing is not Standing.AUTHORIZED:
        edit.set_addresses(member, ())
