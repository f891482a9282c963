"""Static FDB entries of the operator: which are taken, and how they are kept."""

from dataclasses import replace

import pytest

from l2mesh.errors import ConfigError, L2meshError, MalformedPacket, StateError
from l2mesh.node.files import read_network, write_network
from l2mesh.node.joined import Joined, Options, StaticEntry
from l2mesh.node.statics import add_static, remove_static
from l2mesh.switch.fdb import MAX_STATIC
from l2mesh.wire.body import pack_value, unpack_value
from tests.unit.network.authority import Authority
from tests.unit.node.test_joined import joined_network

STATION = bytes.fromhex("020000000101")
OTHER = bytes.fromhex("020000000102")


@pytest.fixture
def joined() -> Joined:
    return joined_network(Authority())[0]


def other_member(joined: Joined) -> tuple[str, bytes]:
    """Its address, and its fingerprint."""
    (entry,) = joined.state.roster
    return entry.credential.address.hex(), entry.credential.fingerprint


def test_entries_are_kept_once_a_station_and_in_order(joined: Joined) -> None:
    joined.options = Options()
    address, fingerprint = other_member(joined)
    add_static(joined, 7, OTHER, "local")
    add_static(joined, 7, STATION, "local")
    add_static(joined, 0, OTHER, address)
    add_static(joined, 7, OTHER, address)
    assert joined.options.static == (
        StaticEntry(0, OTHER, fingerprint),
        StaticEntry(7, STATION, None),
        StaticEntry(7, OTHER, fingerprint),
    )
    remove_static(joined, 7, STATION)
    assert [one.mac for one in joined.options.static] == [OTHER, OTHER]


def test_this_node_can_be_called_by_its_address(joined: Joined) -> None:
    joined.options = Options()
    assert joined.state.credential is not None
    add_static(joined, 0, STATION, joined.state.credential.address.hex())
    assert joined.options.static == (StaticEntry(0, STATION, None),)


@pytest.mark.parametrize(
    ("vlan", "mac", "who", "error"),
    [
        (4095, STATION, "local", ConfigError),
        (-1, STATION, "local", ConfigError),
        (0, b"\xff" * 6, "local", ConfigError),
        (0, bytes(6), "local", ConfigError),
        (0, STATION, "nobody", StateError),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    joined: Joined, vlan: int, mac: bytes, who: str, error: type[L2meshError]
) -> None:
    before = joined.options
    with pytest.raises(error):
        add_static(joined, vlan, mac, who)
    with pytest.raises(StateError, match="has no static entry"):
        remove_static(joined, 9, STATION)
    assert joined.options is before


def test_signed_addresses_are_where_they_are(joined: Joined) -> None:
    (entry,) = joined.state.roster
    assert joined.state.credential is not None
    for mac in (entry.credential.mac, joined.state.credential.mac):
        with pytest.raises(ConfigError, match="is signed to a member"):
            add_static(joined, 0, mac, "local")


def test_there_is_an_end_of_them(joined: Joined) -> None:
    many = [StaticEntry(0, b"\2\0\1" + n.to_bytes(3, "big"), None) for n in range(MAX_STATIC)]
    joined.options = replace(joined.options, static=tuple(many))
    with pytest.raises(ConfigError, match="1024 static entries"):
        add_static(joined, 0, STATION, "local")
    address, fingerprint = other_member(joined)
    add_static(joined, 0, many[5].mac, address)
    assert joined.options.static[5].peer == fingerprint


@pytest.mark.parametrize(
    "entry",
    [
        [0, b"\2" * 5, None],
        [4095, STATION, None],
        [0, STATION, bytes(31)],
        [0, STATION],
        ["0", STATION, None],
    ],
)
def test_a_file_with_a_wrong_entry_is_refused(entry: list[object]) -> None:
    authority = Authority()
    joined, fingerprint = joined_network(authority)
    body = unpack_value(write_network(joined))
    with pytest.raises(MalformedPacket):
        read_network(pack_value({**body, "static": [entry]}), authority.crypto, fingerprint)
