"""What the admin socket answers: one small function a verb.

Texts are parsed here or in `controller.settings`, so that every client gets the same errors. After
a change the members who are online hear of it before the answer goes out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from controller.api import documents
from controller.model import Member, Network, NotFound, Settings
from controller.node import ControllerNode
from controller.policy import select_member
from controller.settings import change_settings, parse_expiry
from controller.store.store import Store
from controller.store.tokens import TOKEN_BYTES
from l2mesh.address import (
    MAX_NETWORK_NUMBER,
    controller_address,
    format_fingerprint,
    format_network_id,
    network_id,
    parse_address,
    parse_fingerprint,
    parse_network_id,
)
from l2mesh.credential.joinstring import JoinString, format_join_string
from l2mesh.errors import ConfigError
from l2mesh.identity import address_of
from l2mesh.service.api import ApiError, Method

__all__ = ["Admin", "method_table"]

NUMBER_DIGITS: Final = 6

Arguments = Mapping[str, Any]


class Admin:
    """A running controller as administrators see it."""

    def __init__(
        self, node: ControllerNode, store: Store, address: bytes, changed: Callable[[], None]
    ) -> None:
        """`changed` is called after every change, and tells members at once."""
        self.node = node
        self.store = store
        self.address = address
        self.changed = changed
        self.settings = node.core.settings

    # --- identity -------------------------------------------------------------------------------

    def identity(self, _: Arguments) -> dict[str, Any]:
        """Who the controller is."""
        public = self.settings.identity.public
        return {
            "schema": "l2mesh.identity/1",
            "address": self.address.hex(),
            "fingerprint": format_fingerprint(public.fingerprint),
            "public": public.text(),
        }

    # --- networks -------------------------------------------------------------------------------

    def network_create(self, arguments: Arguments) -> dict[str, Any]:
        """A new network under a number of its own."""
        settings = change_settings(Settings(), _texts(arguments, "settings"))
        number = arguments.get("number")
        number = self._free_number() if number is None else _parse_number(str(number))
        network = network_id(self.address, number)
        self.store.create_network(network, settings)
        return self._network(network)

    def network_list(self, _: Arguments) -> dict[str, Any]:
        """All networks."""
        networks = self.store.networks()
        return documents.networks(self._document(network) for network in networks)

    def network_show(self, arguments: Arguments) -> dict[str, Any]:
        """One network."""
        return self._network(_network_of(arguments))

    def network_delete(self, arguments: Arguments) -> dict[str, Any]:
        """Ends a network."""
        network = _network_of(arguments)
        document = self._network(network)
        self.store.delete_network(network)
        return document | {"deleted": True}

    def network_set(self, arguments: Arguments) -> dict[str, Any]:
        """Changes settings, all of them or none."""
        network, changes = _network_of(arguments), _texts(arguments, "settings")
        self.store.set_network(network, lambda settings: change_settings(settings, changes))
        return self._network(network)

    # --- members --------------------------------------------------------------------------------

    def member_list(self, arguments: Arguments) -> dict[str, Any]:
        """Everybody whom a network knows."""
        network = self._require(_network_of(arguments)).id
        return documents.members(self.store.members(network), self._is_online)

    def member_authorize(self, arguments: Arguments) -> dict[str, Any]:
        """Admits who has asked, or whoever has the fingerprint."""
        network = self._require(_network_of(arguments)).id
        address, fingerprint = _member_of(arguments)
        known = None if fingerprint is None else self.store.member(network, fingerprint)
        if fingerprint is None or known is not None:
            fingerprint = self._select(network, address, fingerprint).fingerprint
        elif address_of(fingerprint, self.settings.crypto) != address:
            raise ConfigError(
                f"the fingerprint is not that of {address.hex()}",
                hint="take both from `l2mesh status` of the node",
            )
        return self._member(self.store.authorize(network, fingerprint, address))

    def member_deauthorize(self, arguments: Arguments) -> dict[str, Any]:
        """Refuses a member and revokes what it holds."""
        member = self._member_of(arguments)
        return self._member(self.store.deauthorize(member.network, member.fingerprint))

    def member_delete(self, arguments: Arguments) -> dict[str, Any]:
        """Forgets a member and revokes what it holds."""
        member = self._member_of(arguments)
        document = self._member(member)
        self.store.delete_member(member.network, member.fingerprint)
        return document | {"authorized": False, "deleted": True}

    def member_set(self, arguments: Arguments) -> dict[str, Any]:
        """Changes a member, all of it or nothing."""
        member, changes = self._member_of(arguments), _texts(arguments, "settings")
        return self._member(self.store.set_member(member.network, member.fingerprint, changes))

    # --- tokens ---------------------------------------------------------------------------------

    def token_create(self, arguments: Arguments) -> dict[str, Any]:
        """A join token; this answer is the only place where it ever shows."""
        network = self._require(_network_of(arguments)).id
        uses = arguments.get("uses", 1)
        if not isinstance(uses, int):
            raise ConfigError("uses is not a number")
        lifetime = parse_expiry(str(arguments.get("expires", "24h")))
        now = self.settings.unix_now()
        token, expires = self.settings.random(TOKEN_BYTES), int(now) + lifetime
        self.store.add_token(network, token, uses=uses, expires=expires, unix_now=now)
        world = self.node.planets.world
        join = JoinString(
            network=network,
            fingerprint=self.settings.identity.fingerprint,
            world=world.encode() if world is not None else None,
            token=token,
        )
        return {
            "schema": "l2mesh.token/1",
            "token": token.hex(),
            "join": format_join_string(join),
            "uses": uses,
            "expires": expires,
        }

    # --- inside ---------------------------------------------------------------------------------

    def _require(self, network: int) -> Network:
        held = self.store.network(network)
        if held is None or held.is_deleted:
            raise NotFound(
                f"there is no network {format_network_id(network)} here",
                hint=self._other_controller(network),
            )
        return held

    def _other_controller(self, network: int) -> str:
        if controller_address(network) != self.address:
            return (
                f"it belongs to another controller; networks here begin with {self.address.hex()}"
            )
        return "l2mesh-controller network list shows them"

    def _network(self, network: int) -> dict[str, Any]:
        return self._document(self._require(network))

    def _document(self, network: Network) -> dict[str, Any]:
        return documents.network(network, self.store.members(network.id))

    def _member(self, member: Member) -> dict[str, Any]:
        return documents.member(member, is_online=self._is_online(member))

    def _is_online(self, member: Member) -> bool:
        return self.node.members.is_online(member.network, member.fingerprint)

    def _member_of(self, arguments: Arguments) -> Member:
        network = self._require(_network_of(arguments)).id
        return self._select(network, *_member_of(arguments))

    def _select(self, network: int, address: bytes, fingerprint: bytes | None) -> Member:
        return select_member(self.store.members(network), address, fingerprint)

    def _free_number(self) -> int:
        """The lowest number never used; one of a deleted network is only taken by name."""
        for number in range(1, MAX_NETWORK_NUMBER + 1):
            if self.store.network(network_id(self.address, number)) is None:
                return number
        raise ConfigError("every network number is in use")


def method_table(admin: Admin) -> dict[str, Method]:
    """The verbs, bound to a controller."""
    reads = (admin.identity, admin.network_list, admin.network_show, admin.member_list)
    writes = (
        admin.network_create,
        admin.network_delete,
        admin.network_set,
        admin.member_authorize,
        admin.member_deauthorize,
        admin.member_delete,
        admin.member_set,
        admin.token_create,
    )
    table = {call.__name__: Method(partial(_answer, call)) for call in reads}
    for call in writes:
        table[call.__name__] = Method(partial(_change, admin, call), writes=True)
    return table


def _answer(call: Callable[[Arguments], dict[str, Any]], arguments: Arguments) -> Answer:
    return _run(call, arguments, lambda: None)


def _change(
    admin: Admin, call: Callable[[Arguments], dict[str, Any]], arguments: Arguments
) -> Answer:
    return _run(call, arguments, admin.changed)


Answer = Awaitable[dict[str, Any]]


async def _run(
    call: Callable[[Arguments], dict[str, Any]], arguments: Arguments, after: Callable[[], None]
) -> dict[str, Any]:
    try:
        return call(arguments)
    except NotFound as error:
        raise ApiError("not_found", str(error), hint=error.hint) from error
    finally:
        after()


# --- arguments ----------------------------------------------------------------------------------


def _network_of(arguments: Arguments) -> int:
    return parse_network_id(str(arguments.get("network", "")))


def _member_of(arguments: Arguments) -> tuple[bytes, bytes | None]:
    address, at, fingerprint = str(arguments.get("member", "")).partition("@")
    return parse_address(address), parse_fingerprint(fingerprint) if at else None


def _texts(arguments: Arguments, key: str) -> dict[str, str]:
    texts = arguments.get(key, {})
    if not isinstance(texts, dict) or not all(
        isinstance(item, str) for pair in texts.items() for item in pair
    ):
        raise ConfigError(f"{key} are not pairs of texts")
    return texts


def _parse_number(text: str) -> int:
    try:
        number = int(text, 16) if len(text) == NUMBER_DIGITS else 0
    except ValueError:
        number = 0
    if number <= 0:
        raise ConfigError(
            f"{text[:20]!r} is no network number", hint="give six hex digits like 000001"
        )
    return number
