"""What administrators are answered, and the errors that they get."""

import asyncio
import os
from typing import Any, cast

import pytest

from controller.api.methods import Admin, method_table
from controller.node import ControllerNode
from l2mesh.address import format_fingerprint, format_network_id
from l2mesh.credential.joinstring import parse_join_string
from l2mesh.datapath.interface import Activity
from l2mesh.errors import ConfigError, L2meshError, StateError
from l2mesh.node.core import Settings
from l2mesh.service.api import ApiError
from tests.unit.controller.fakes import UNIX_NOW, Person, World


class Console:
    """The verbs of the admin socket, over a controller without sockets."""

    def __init__(self, world: World) -> None:
        self.world = world
        settings = Settings(
            identity=world.identity,
            crypto=world.crypto,
            random=os.urandom,
            unix_now=lambda: UNIX_NOW,
            activity=lambda _: Activity(),
        )
        node = ControllerNode(settings, world.store)
        self.changes = 0
        self.table = method_table(Admin(node, world.store, world.address, self._changed))

    def _changed(self) -> None:
        self.changes += 1

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        answer = self.table[verb].call(arguments)
        return asyncio.run(cast(Any, answer))


@pytest.fixture
def console(world: World) -> Console:
    return Console(world)


def who(person: Person) -> str:
    return f"{person.address.hex()}@{format_fingerprint(person.fingerprint)}"


def test_only_changes_need_rights_and_tell_members(console: Console) -> None:
    writes = {verb for verb, method in console.table.items() if method.writes}
    assert writes == {
        "network_create",
        "network_delete",
        "network_set",
        "member_authorize",
        "member_deauthorize",
        "member_delete",
        "member_set",
        "token_create",
    }
    console.ask("network_create")
    assert console.changes == 1
    console.ask("network_list")
    assert console.changes == 1


def test_networks_get_the_lowest_number_never_used(console: Console) -> None:
    ids = [console.ask("network_create")["id"] for _ in range(2)]
    assert [i[10:] for i in ids] == ["000001", "000002"]
    assert ids[0][:10] == console.world.address.hex()
    console.ask("network_delete", network=ids[0])
    assert console.ask("network_create")["id"][10:] == "000003"
    assert console.ask("network_create", number="000001")["id"] == ids[0]
    assert [n["id"][10:] for n in console.ask("network_list")["networks"]] == [
        "000001",
        "000002",
        "000003",
    ]


def test_a_network_is_shown_as_it_was_set(console: Console) -> None:
    settings = {"name": "lan", "pools": "10.9.0.0/24", "mtu": "1400"}
    created = console.ask("network_create", settings=settings)
    assert created["schema"] == "l2mesh.network/1" and created["public"] is False
    changed = console.ask("network_set", network=created["id"], settings={"broadcast": "drop"})
    assert changed == console.ask("network_show", network=created["id"])
    assert (changed["name"], changed["mtu"], changed["pools"]) == ("lan", 1400, ["10.9.0.0/24"])
    assert changed["broadcast"] == "drop" and changed["revision"] > created["revision"]


def test_members_are_shown_as_the_contract_says(console: Console) -> None:
    network = console.ask("network_create", settings={"pools": "10.9.0.0/24"})["id"]
    person = console.world.person()
    console.ask("member_authorize", network=network, member=who(person))
    changes = {"bridge": "true", "groups": "a,b", "name": "box", "tags": "site:berlin"}
    console.ask("member_set", network=network, member=person.address.hex(), settings=changes)
    [member] = console.ask("member_list", network=network)["members"]
    mac = member.pop("mac")
    assert len(mac) == 17 and mac == mac.lower()
    assert member == {
        "schema": "l2mesh.member/1",
        "network": network,
        "address": person.address.hex(),
        "fingerprint": format_fingerprint(person.fingerprint),
        "name": "box",
        "authorized": True,
        "status": "authorized",
        "online": False,
        "addresses": ["10.9.0.1/24"],
        "bridge": True,
        "router": False,
        "dhcp": False,
        "ra": False,
        "relay": False,
        "groups": ["a", "b"],
        "tags": {"site": "berlin"},
    }
    assert console.ask("member_delete", network=network, member=who(person))["deleted"] is True
    assert console.ask("member_list", network=network)["members"] == []


def test_authorising_needs_a_request_or_the_fingerprint(console: Console) -> None:
    network = console.ask("network_create")["id"]
    person, other = console.world.person(), console.world.person()
    refuse(console, "member_authorize", "not_found", network, person.address.hex())
    wrong = f"{other.address.hex()}@{format_fingerprint(person.fingerprint)}"
    with pytest.raises(ConfigError, match="is not that of"):
        console.ask("member_authorize", network=network, member=wrong)
    assert console.ask("member_authorize", network=network, member=who(person))["authorized"]


def refuse(console: Console, verb: str, code: str, network: str, member: str) -> None:
    with pytest.raises(ApiError) as caught:
        console.ask(verb, network=network, member=member)
    assert caught.value.code == code and caught.value.hint


def test_an_ambiguous_address_is_an_error_that_lists_fingerprints(console: Console) -> None:
    world = console.world
    network = console.ask("network_create")["id"]
    one, two = world.person(), world.person()
    world.crypto.addresses[two.fingerprint] = two.address = one.address
    for person in (one, two):
        world.store.record(int(network, 16), person.request(), UNIX_NOW)
    with pytest.raises(StateError, match="2 identities claim") as caught:
        console.ask("member_authorize", network=network, member=one.address.hex())
    assert who(one) in caught.value.hint and who(two) in caught.value.hint
    console.ask("member_authorize", network=network, member=who(two))
    shown = console.ask("member_list", network=network)["members"]
    assert [m["authorized"] for m in shown] == [False, True]
    assert len({m["mac"] for m in shown}) == 2


def test_deauthorising_shows_in_the_list(console: Console) -> None:
    network = console.ask("network_create")["id"]
    person = console.world.person()
    console.ask("member_authorize", network=network, member=who(person))
    answer = console.ask("member_deauthorize", network=network, member=person.address.hex())
    assert answer["authorized"] is False and answer["status"] == "denied"


def test_a_token_brings_all_that_a_node_needs(console: Console) -> None:
    network = console.ask("network_create")["id"]
    answer = console.ask("token_create", network=network, uses=3, expires="1h")
    join = parse_join_string(answer["join"])
    assert format_network_id(join.network) == network
    assert join.fingerprint == console.world.identity.fingerprint
    assert join.token is not None and join.token.hex() == answer["token"]
    assert answer["expires"] == int(UNIX_NOW) + 3600
    person = console.world.person()
    request = person.request(token=join.token)
    assert console.world.store.record(join.network, request, UNIX_NOW).standing == "authorized"


@pytest.mark.parametrize(
    ("verb", "arguments", "says"),
    [
        ("network_show", {"network": "12"}, "is not a network ID"),
        ("network_show", {}, "is not a network ID"),
        ("network_show", {"network": "89e92ceee5000001"}, "there is no network"),
        ("network_create", {"number": "0000"}, "no network number"),
        ("network_create", {"number": "000000"}, "no network number"),
        ("network_create", {"settings": {"mtu": 1400}}, "pairs of texts"),
        ("network_create", {"settings": {"mtu": "lots"}}, "mtu="),
        ("token_create", {"network": "89e92ceee5000001"}, "there is no network"),
        ("member_list", {"network": "89e92ceee5000001"}, "there is no network"),
    ],
)
def test_bad_requests_say_what_is_wrong(
    console: Console, verb: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(L2meshError, match=says):
        console.ask(verb, **arguments)
    assert console.world.store.networks() == []


@pytest.mark.parametrize("arguments", [{"uses": 0}, {"uses": "x"}, {"expires": "soon"}])
def test_a_bad_token_wish_makes_none(console: Console, arguments: dict[str, Any]) -> None:
    network = console.ask("network_create")["id"]
    with pytest.raises(ConfigError):
        console.ask("token_create", network=network, **arguments)
