"""What an operator may choose for a network, and what survives a restart."""

from dataclasses import replace

import pytest

from l2mesh.errors import ConfigError, MalformedPacket, StateError
from l2mesh.network.join import JoinMachine, JoinState, Status
from l2mesh.node.files import read_network, write_network
from l2mesh.node.joined import Joined, Options, StaticEntry, change_option
from l2mesh.wire.body import pack_value, unpack_value
from tests.unit.network.authority import Authority


def joined_network(authority: Authority) -> tuple[Joined, bytes]:
    member, other = authority.identity(), authority.identity()
    state = authority.state()
    state.take_config(authority.config(3))
    state.take_credential(authority.credential(member, serial=4), member.fingerprint)
    state.take_revocations(authority.revocations(5))
    state.roster.put(state.roster_entry(authority.credential(other), other.public.encode()))
    state.roster.revision = 9
    join = JoinMachine(authority.network, authority.crypto)
    join.controller_known()
    static = (StaticEntry(0, b"\2" + bytes(5), None), StaticEntry(7, b"\2" * 6, bytes(32)))
    options = Options(device="mesh0", bridge="br0", broadcast_route=True, static=static)
    return Joined(state, join, options=options, token=b"t" * 32), member.fingerprint


def test_a_network_comes_back_from_its_file_as_it_was() -> None:
    authority = Authority()
    joined, fingerprint = joined_network(authority)
    again = read_network(write_network(joined), authority.crypto, fingerprint)
    assert again.options == joined.options
    assert again.token == joined.token
    assert again.controller == authority.controller.fingerprint
    assert again.join.state is JoinState.ASKING
    assert again.state.config == joined.state.config
    assert again.state.credential == joined.state.credential
    assert again.state.revocation_revision == 5
    assert list(again.state.roster) == list(joined.state.roster)
    assert again.state.roster.revision == 9


def test_a_forged_roster_entry_costs_only_the_rest_and_asks_for_a_whole_one() -> None:
    authority = Authority()
    joined, fingerprint = joined_network(authority)
    entry = next(iter(joined.state.roster))
    forged = replace(entry, object=entry.object[:-1] + bytes([entry.object[-1] ^ 1]))
    joined.state.roster.entries[entry.credential.fingerprint] = forged
    again = read_network(write_network(joined), authority.crypto, fingerprint)
    assert len(again.state.roster) == 0
    assert again.state.roster.revision == 0


def test_every_damaged_file_is_refused_or_read_without_harm() -> None:
    authority = Authority()
    joined, fingerprint = joined_network(authority)
    data = write_network(joined)
    for cut in range(0, len(data), 7):
        with pytest.raises(MalformedPacket):
            read_network(data[:cut], authority.crypto, fingerprint)


def test_a_file_of_a_later_schema_says_so() -> None:
    authority = Authority()
    joined, fingerprint = joined_network(authority)
    body = unpack_value(write_network(joined))
    with pytest.raises(StateError, match="schema 2"):
        read_network(pack_value({**body, "schema": 2}), authority.crypto, fingerprint)


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("bridge", "br0", "bridge", "br0"),
        ("bridge", "", "bridge", None),
        ("broadcast_route", "true", "broadcast_route", True),
        ("routes", "yes", "routes", True),
        ("default_route", "1", "default_route", True),
        ("dns", "FALSE", "dns", False),
    ],
)
def test_options_change_one_by_one(key: str, value: str, field: str, expected: object) -> None:
    changed = change_option(Options(dns=True, bridge="old"), key, value)
    assert getattr(changed, field) == expected


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("colour", "red", "no setting"),
        ("routes", "maybe", "neither true nor false"),
        ("bridge", "a/b", "name of an interface"),
        ("bridge", "sixteen-letters-", "name of an interface"),
        ("bridge", "two words", "name of an interface"),
        ("bridge", ".", "name of an interface"),
        ("bridge", "tab\t", "name of an interface"),
    ],
)
def test_a_wrong_option_names_what_is_wrong_and_what_to_do(key: str, value: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as error:
        change_option(Options(), key, value)
    assert error.value.hint


def test_a_member_stays_ok_while_the_controller_is_sought() -> None:
    authority = Authority()
    joined, _ = joined_network(authority)
    assert joined.status is Status.REQUESTING  # the port is not open yet
    joined.join.receive_reply("ok", "")
    assert joined.status is Status.REQUESTING
