"""What is signed is what the rows say, and always the same bytes."""

from dataclasses import replace

import pytest

from controller.issuer import Issuer
from controller.model import Member, Network, Numbers, Revoked, Route, Settings, Standing
from l2mesh.credential.config import open_config
from l2mesh.credential.membership import open_membership
from l2mesh.errors import CryptoError
from tests.simulator.cheap import CheapCrypto
from tests.unit.controller.fakes import draw

CRYPTO = CheapCrypto()
CONTROLLER = draw(1, CRYPTO)
NETWORK = Network(
    0x89E92CEEE5000001,
    Settings(name="lan", pools=("10.9.0.0/24",), routes=(Route("10.0.0.0/8"),), broadcast="drop"),
    Numbers(config=7, roster=3, serial=9, epoch=2, revocations=4, minimum_epoch=2),
)
MEMBER = Member(
    network=NETWORK.id,
    fingerprint=b"f" * 32,
    address=b"\1abcd",
    public=None,
    name="one",
    standing=Standing.AUTHORIZED,
    mac=bytes.fromhex("024c32000001"),
    rights=frozenset({"router", "bridge"}),
    groups=("a",),
    tags={"site": "berlin"},
    addresses=("10.9.0.1/24",),
    serial=9,
)


def test_a_credential_says_what_the_row_says() -> None:
    issuer = Issuer(CONTROLLER, CRYPTO)
    data = issuer.credential(NETWORK, MEMBER)
    credential = open_membership(data, NETWORK.id, CONTROLLER.public, CRYPTO)
    assert credential.serial == 9 and credential.epoch == 2 and credential.expires is None
    assert credential.rights == ("bridge", "router") and credential.addresses == ("10.9.0.1/24",)
    assert Issuer(CONTROLLER, CRYPTO).credential(NETWORK, MEMBER) == data
    newer = issuer.credential(NETWORK, replace(MEMBER, serial=10, name="two"))
    assert open_membership(newer, NETWORK.id, CONTROLLER.public, CRYPTO).name == "two"


def test_a_config_says_what_the_settings_say() -> None:
    data = Issuer(CONTROLLER, CRYPTO).config(NETWORK)
    config = open_config(data, NETWORK.id, CONTROLLER.public, CRYPTO)
    assert (config.revision, config.name, config.broadcast) == (7, "lan", "drop")
    assert config.routes[0].destination == "10.0.0.0/8" and config.pools == ("10.9.0.0/24",)


def test_revocations_are_sorted_and_only_ours_are_opened() -> None:
    issuer = Issuer(CONTROLLER, CRYPTO)
    data = issuer.revocations(NETWORK, [Revoked(b"z" * 32, 5, 2), Revoked(b"a" * 32, 6, 1)])
    revocations = issuer.open_revocations(NETWORK.id, data)
    assert [entry.serial for entry in revocations.revoked] == [6, 5]
    assert (revocations.revision, revocations.minimum_epoch) == (4, 2)
    with pytest.raises(CryptoError):
        Issuer(draw(2, CRYPTO), CRYPTO).open_revocations(NETWORK.id, data)
