"""What credentials, configs and revocations may say, and what follows from it."""

from typing import Any

import pytest
from hypothesis import given

from l2mesh.credential.config import NetworkConfig, Route, frames_per_second
from l2mesh.credential.membership import MembershipCredential, Right
from l2mesh.credential.revocation import Revocations, Revoked
from l2mesh.errors import MalformedPacket
from l2mesh.wire.body import pack, unpack
from tests.values import REVOCATIONS

NAME = bytes(range(32))
CREDENTIAL: dict[str, Any] = {
    "network": 5,
    "fingerprint": NAME,
    "address": b"12345",
    "mac": b"\2aaaaa",
    "serial": 3,
}


def credential(**change: Any) -> MembershipCredential:
    return MembershipCredential(**(CREDENTIAL | change))


# --- credential ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"address": bytes(5)},
        {"address": b"\xff1234"},
        {"mac": bytes(6)},
        {"mac": b"\x01aaaaa"},
        {"mac": b"\xff" * 6},
        {"addresses": ("10.9.0.1",)},
        {"addresses": ("10.9.0.1/33",)},
        {"addresses": ("10.9.0.01/24",)},
        {"addresses": ("10.9.0.1/255.255.255.0",)},
        {"addresses": ("FD00::1/64",)},
        {"addresses": ("fe80::1%eth0/64",)},
        {"addresses": ("",)},
    ],
    ids=str,
)
def test_credential_that_cannot_hold_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedPacket):
        credential(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": b"a"},
        {"mac": b"\2aaaa"},
        {"serial": -1},
        {"expires": -1},
        {"name": "a\tb"},
        {"rights": ("a",) * 33},
        {"tags": {"a": 5}},
        {"tags": {str(number): "" for number in range(65)}},
    ],
    ids=str,
)
def test_credential_out_of_range_is_not_packed(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedPacket):
        pack(credential(**change))


def test_rights_are_told_and_later_ones_kept() -> None:
    member = credential(rights=("bridge", "fly"))
    assert unpack(pack(member), MembershipCredential) == member
    assert member.has_right(Right.BRIDGE)
    assert not member.has_right(Right.DHCP)


def test_credential_expires_after_its_last_second() -> None:
    assert not credential().has_expired(1e12)
    assert not credential(expires=100).has_expired(100)
    assert credential(expires=100).has_expired(100.5)


def test_tags_never_change() -> None:
    given_tags = {"site": "attic"}
    member = credential(tags=given_tags)
    given_tags["site"] = "cellar"
    assert member.tags == {"site": "attic"}
    with pytest.raises(TypeError):
        member.tags["site"] = "cellar"  # type: ignore[index]
    with pytest.raises(AttributeError):
        member.serial = 9  # type: ignore[misc]


# --- config -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"pools": ("10.9.0.1/24",)},
        {"pools": ("10.9.0.0",)},
        {"pools": ("fd00::1/64",)},
        {"dns": ("10.9.0.1/32",)},
        {"dns": ("name",)},
        {"dns": ("fe80::1%eth0",)},
    ],
    ids=str,
)
def test_config_that_cannot_hold_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedPacket):
        NetworkConfig(network=5, revision=1, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"mtu": 575},
        {"mtu": 9001},
        {"guard": "none"},
        {"broadcast": "some"},
        {"multicast": -1},
        {"unknown_unicast": 2**32},
        {"arp": "some"},
        {"nd": -1},
        {"discovery": 2**32},
        {"bpdu": "drop"},
        {"snooping": 1},
        {"querier": "no"},
        {"unknown_groups": "pass"},
        {"public": 1},
        {"routes": (Route("10.0.0.0/8"),) * 257},
    ],
    ids=lambda change: next(iter(change)),
)
def test_config_out_of_range_is_not_packed(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedPacket):
        pack(NetworkConfig(network=5, revision=1, **change))


@pytest.mark.parametrize(
    ("destination", "via"),
    [("10.0.0.1/8", None), ("10.0.0.0/8", "fd00::1"), ("fd00::/64", "10.0.0.1"), ("::/0", "x")],
)
def test_route_that_goes_nowhere_cannot_be(destination: str, via: str | None) -> None:
    with pytest.raises(MalformedPacket):
        Route(destination, via)


def test_absent_keys_have_the_defaults_of_the_protocol() -> None:
    config = unpack(pack(NetworkConfig(network=5, revision=1)), NetworkConfig)
    assert (config.mtu, config.public, config.guard, config.bpdu) == (
        1500,
        False,
        "default",
        "block",
    )
    assert {config.broadcast, config.multicast, config.unknown_unicast} == {500}
    assert {config.arp, config.nd, config.discovery} == {500}
    assert (config.snooping, config.querier, config.unknown_groups) == (True, True, "flood")


def test_rates_become_what_engines_take() -> None:
    assert [frames_per_second(rate) for rate in ("pass", "drop", 0, 7)] == [None, 0, 0, 7]


# --- revocations --------------------------------------------------------------------------------


def revocations(*revoked: Revoked, epoch: int = 0) -> Revocations:
    return Revocations(network=5, revision=1, minimum_epoch=epoch, revoked=revoked)


def test_serials_up_to_the_revoked_one_are_void() -> None:
    held = revocations(Revoked(NAME, 3))
    assert [held.voids(credential(serial=serial)) for serial in (2, 3, 4)] == [True, True, False]
    assert not held.voids(credential(fingerprint=bytes(32)))
    assert revocations(Revoked(NAME, 0)).voids(credential(serial=0))


def test_epochs_below_the_minimum_are_void() -> None:
    held = revocations(epoch=2)
    assert [held.voids(credential(epoch=epoch)) for epoch in (1, 2)] == [True, False]


def test_nothing_is_void_while_nothing_is_known() -> None:
    assert Revocations.nothing(5).revision == 0
    assert not Revocations.nothing(5).voids(credential(serial=0))


@given(REVOCATIONS)
def test_every_entry_is_found(held: Revocations) -> None:
    assert all(held.revoked_serial(name) == serial for name, serial in held.revoked)
    assert held.revoked_serial(b"x" * 32) is None or b"x" * 32 in dict(held.revoked)


def test_fingerprints_are_sorted_and_each_stands_once() -> None:
    for first, second in ((b"b" * 32, b"a" * 32), (b"a" * 32, b"a" * 32)):
        with pytest.raises(MalformedPacket):
            revocations(Revoked(first, 1), Revoked(second, 2))


@pytest.mark.parametrize(
    ("newer", "falls_behind"),
    [
        (revocations(Revoked(NAME, 3), epoch=1), False),
        (revocations(Revoked(NAME, 4), epoch=1), False),
        (revocations(Revoked(bytes(32), 0), Revoked(NAME, 3), epoch=1), False),
        (revocations(epoch=2), False),
        (revocations(Revoked(NAME, 2), epoch=1), True),
        (revocations(epoch=1), True),
        (revocations(Revoked(NAME, 3), epoch=0), True),
    ],
)
def test_what_is_void_never_counts_again(newer: Revocations, *, falls_behind: bool) -> None:
    older = revocations(Revoked(NAME, 3), epoch=1)
    assert newer.falls_behind(older) == falls_behind


def test_entry_of_serial_0_is_kept_like_others() -> None:
    older = revocations(Revoked(NAME, 0))
    assert not older.falls_behind(older)
    assert revocations().falls_behind(older)
