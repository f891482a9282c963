"""Changes are whole, raise the right numbers, and a token admits as often as it says."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from controller.model import Network, NotFound, Numbers, Settings, Standing
from controller.settings import change_settings
from controller.store import members as on_member
from controller.store import networks as on_network
from controller.store import schema
from controller.store.store import Store
from l2mesh.errors import ConfigError, StateError
from tests.unit.controller.fakes import UNIX_NOW, Person, World

TOKEN = bytes(range(32))


def numbers(world: World, network: Network) -> Numbers:
    held = world.store.network(network.id)
    assert held is not None
    return held.numbers


def admit(world: World, network: Network, person: Person) -> None:
    world.store.record(network.id, person.request(), UNIX_NOW)
    world.store.authorize(network.id, person.fingerprint, person.address)


# --- tokens -------------------------------------------------------------------------------------


def test_a_hundred_uses_at_once_of_a_single_use_token_admit_one(world: World) -> None:
    network = world.network(pools="10.9.0.0/24")
    add_token(world, network, uses=1)
    people = [world.person() for _ in range(100)]
    start = threading.Barrier(20)
    failures: list[Exception] = []

    def use(mine: list[Person]) -> None:
        start.wait()
        for person in mine:
            try:
                world.store.record(network.id, person.request(token=TOKEN), UNIX_NOW)
            except Exception as error:  # noqa: BLE001 - shown below
                failures.append(error)

    threads = [threading.Thread(target=use, args=(people[n::20],)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    members = world.store.members(network.id)
    assert len(members) == 100
    assert sum(member.standing is Standing.AUTHORIZED for member in members) == 1


def add_token(world: World, network: Network, *, uses: int, token: bytes = TOKEN) -> None:
    expires = int(UNIX_NOW) + 60
    world.store.add_token(network.id, token, uses=uses, expires=expires, unix_now=UNIX_NOW)


def test_a_token_is_good_so_often_so_long_and_in_its_network_alone(world: World) -> None:
    network, other = world.network(), world.network(number=2)
    add_token(world, network, uses=2)

    def standing(network: Network, *, later: float = 0, token: bytes = TOKEN) -> Standing:
        request = world.person().request(token=token)
        return world.store.record(network.id, request, UNIX_NOW + later).standing

    assert standing(other) is Standing.PENDING
    assert standing(network, token=bytes(32)) is Standing.PENDING
    assert standing(network, later=60) is Standing.PENDING
    assert standing(network) is Standing.AUTHORIZED
    assert standing(network) is Standing.AUTHORIZED
    assert standing(network) is Standing.PENDING


def test_an_authorised_member_uses_up_no_token(world: World) -> None:
    network, person = world.network(), world.person()
    add_token(world, network, uses=2)
    for _ in range(3):
        world.store.record(network.id, person.request(token=TOKEN), UNIX_NOW)
    world.store.deauthorize(network.id, person.fingerprint)
    again = world.store.record(network.id, person.request(token=TOKEN), UNIX_NOW)
    assert again.standing is Standing.DENIED
    with world.store._engine.connect() as connection:
        assert connection.execute(select(schema.token.c.uses)).scalars().all() == [1]


def test_no_token_is_on_the_disk(world: World) -> None:
    network = world.network()
    add_token(world, network, uses=1)
    world.store.close()
    data = b"".join(path.read_bytes() for path in world.path.parent.iterdir())
    assert TOKEN not in data and TOKEN.hex().encode() not in data


# --- numbers ------------------------------------------------------------------------------------


def test_every_change_raises_what_members_take_it_by(world: World) -> None:
    network, person = world.network(pools="10.9.0.0/24"), world.person()
    begin = numbers(world, network)
    admit(world, network, person)
    admitted = numbers(world, network)
    assert admitted.serial > begin.serial and admitted.roster > begin.roster
    assert (admitted.config, admitted.revocations) == (begin.config, begin.revocations)
    world.store.set_member(network.id, person.fingerprint, {"bridge": "true"})
    changed = numbers(world, network)
    assert changed.serial > admitted.serial and changed.roster > admitted.roster
    world.store.deauthorize(network.id, person.fingerprint)
    revoked = numbers(world, network)
    assert revoked.revocations == changed.revocations + 1 and revoked.roster > changed.roster
    assert world.store.revoked(network.id)[0].serial >= changed.serial
    back = world.store.authorize(network.id, person.fingerprint, person.address)
    assert back.serial > world.store.revoked(network.id)[0].serial


def test_what_changes_nothing_raises_nothing(world: World) -> None:
    network, person = world.network(), world.person()
    admit(world, network, person)
    before = numbers(world, network)
    admit(world, network, person)
    world.store.set_member(network.id, person.fingerprint, {"bridge": "false"})
    world.store.set_network(network.id, lambda settings: settings)
    assert numbers(world, network) == before


def test_a_change_that_fails_changes_nothing(world: World) -> None:
    network, person = world.network(pools="10.9.0.0/24"), world.person()
    admit(world, network, person)
    before = world.store.member(network.id, person.fingerprint), numbers(world, network)
    changes = {"name": "new", "addresses": "10.9.0.9/24,10.9.0.255/24"}
    with pytest.raises(ConfigError, match="broadcast address"):
        world.store.set_member(network.id, person.fingerprint, changes)
    assert before == (world.store.member(network.id, person.fingerprint), numbers(world, network))


def test_a_deleted_network_goes_on_counting_when_its_number_is_used_again(world: World) -> None:
    network, person = world.network(), world.person()
    admit(world, network, person)
    before = numbers(world, network)
    world.store.delete_network(network.id)
    assert world.store.networks() == []
    with pytest.raises(NotFound):
        world.store.delete_network(network.id)
    again = world.network()
    after = again.numbers
    assert after.epoch > before.epoch and after.minimum_epoch == after.epoch
    assert after.config > before.config and after.revocations > before.revocations
    assert after.serial >= before.serial and world.store.members(network.id) == []


def test_a_network_is_not_created_twice(world: World) -> None:
    world.network()
    with pytest.raises(StateError, match="exists"):
        world.network()


def test_too_many_revocations_become_an_epoch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_network, "MAX_REVOKED_KEPT", 3)
    network = world.network()
    people = [world.person() for _ in range(5)]
    for person in people:
        admit(world, network, person)
    before = numbers(world, network)
    for person in people[:4]:
        world.store.deauthorize(network.id, person.fingerprint)
    after = numbers(world, network)
    assert world.store.revoked(network.id) == []
    assert after.minimum_epoch == after.epoch > before.epoch
    assert after.roster_floor == after.roster


# --- members and addresses ----------------------------------------------------------------------


def test_addresses_come_from_every_pool_and_stay_with_their_member(world: World) -> None:
    network = world.network(pools="10.9.0.0/24,fd00:9::/64")
    one, two = world.person(), world.person()
    admit(world, network, one)
    admit(world, network, two)
    assert addresses(world, network, two) == ("10.9.0.2/24", "fd00:9::2/64")
    world.store.deauthorize(network.id, one.fingerprint)
    admit(world, network, world.person())
    world.store.authorize(network.id, one.fingerprint, one.address)
    assert addresses(world, network, one) == ("10.9.0.1/24", "fd00:9::1/64")
    world.store.delete_member(network.id, one.fingerprint)
    late = world.person()
    admit(world, network, late)
    assert addresses(world, network, late) == ("10.9.0.1/24", "fd00:9::1/64")


def addresses(world: World, network: Network, person: Person) -> tuple[str, ...]:
    member = world.store.member(network.id, person.fingerprint)
    assert member is not None
    return member.addresses


def test_a_manual_address_is_respected_and_a_conflict_names_its_holder(world: World) -> None:
    network = world.network(pools="10.9.0.0/24")
    one, two, three = (world.person() for _ in range(3))
    admit(world, network, one)
    fixed = {"addresses": "10.9.0.2/24,192.0.2.1/28", "name": "box"}
    world.store.set_member(network.id, one.fingerprint, fixed)
    admit(world, network, two)
    assert addresses(world, network, one) == ("10.9.0.2/24", "192.0.2.1/28")
    assert addresses(world, network, two) == ("10.9.0.1/24",)
    with pytest.raises(StateError, match=rf"belongs to member {one.address.hex()} \(box\)"):
        world.store.set_member(network.id, two.fingerprint, {"addresses": "10.9.0.2/8"})
    world.store.set_member(network.id, one.fingerprint, {"addresses": ""})
    assert addresses(world, network, one) == ("10.9.0.2/24",)
    world.store.set_member(network.id, one.fingerprint, {"addresses": "10.9.0.50"})
    admit(world, network, three)
    assert addresses(world, network, three) == ("10.9.0.2/24",)


def test_changed_pools_change_addresses_but_none_set_by_hand(world: World) -> None:
    network = world.network()
    one, two = world.person(), world.person()
    for person in (one, two):
        admit(world, network, person)
    assert addresses(world, network, one) == ()
    world.store.set_member(network.id, two.fingerprint, {"addresses": "192.0.2.1/24"})
    serial = numbers(world, network).serial
    change(world, network, pools="10.9.0.0/24")
    assert addresses(world, network, one) == ("10.9.0.1/24",)
    assert addresses(world, network, two) == ("192.0.2.1/24",)
    assert numbers(world, network).serial == serial + 1
    change(world, network, pools="10.9.0.0/16,fd00::/64")
    assert addresses(world, network, one) == ("10.9.0.1/16", "fd00::1/64")
    change(world, network, pools="fd00::/64")
    assert addresses(world, network, one) == ("fd00::1/64",)


def change(world: World, network: Network, **values: str) -> None:
    world.store.set_network(network.id, lambda settings: change_settings(settings, values))


def test_a_full_pool_still_admits(world: World) -> None:
    network = world.network(public="true", pools="10.9.0.0/30")
    for _ in range(3):
        world.store.record(network.id, world.person().request(), UNIX_NOW)
    members = world.store.members(network.id)
    assert [m.addresses for m in members] == [("10.9.0.1/30",), ("10.9.0.2/30",), ()]
    assert all(m.standing is Standing.AUTHORIZED for m in members)


def test_a_network_made_public_admits_who_waits_but_nobody_refused(world: World) -> None:
    network = world.network()
    one, two = world.person(), world.person()
    for person in (one, two):
        world.store.record(network.id, person.request(), UNIX_NOW)
    world.store.deauthorize(network.id, two.fingerprint)
    change(world, network, public="true")
    assert [m.standing for m in world.store.members(network.id)] == [
        Standing.AUTHORIZED,
        Standing.DENIED,
    ]


def test_two_identities_with_one_address_get_different_macs(world: World) -> None:
    network = world.network(public="true")
    one, two = world.person(), world.person()
    two.address = one.address
    macs = [world.store.record(network.id, p.request(), UNIX_NOW).mac for p in (one, two)]
    assert macs[0] != macs[1]


def test_pending_requests_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_member, "MAX_PENDING", 2)
    network = world.network()
    for _ in range(2):
        world.store.record(network.id, world.person().request(), UNIX_NOW)
    with pytest.raises(StateError, match="too many requests wait"):
        world.store.record(network.id, world.person().request(), UNIX_NOW)
    add_token(world, network, uses=1)
    late = world.store.record(network.id, world.person().request(token=TOKEN), UNIX_NOW)
    assert late.standing is Standing.AUTHORIZED


def test_member_settings(world: World) -> None:
    network, person = world.network(), world.person()
    admit(world, network, person)
    changes = {"bridge": "true", "dhcp": "yes", "groups": "b,a", "tags": "site:berlin"}
    member = world.store.set_member(network.id, person.fingerprint, changes)
    assert member.rights == {"bridge", "dhcp"} and member.groups == ("a", "b")
    assert member.tags == {"site": "berlin"}
    with pytest.raises(ConfigError, match="no setting 'colour'") as caught:
        world.store.set_member(network.id, person.fingerprint, {"colour": "red"})
    assert "bridge" in caught.value.hint


# --- a crash ------------------------------------------------------------------------------------

WRITER = """
import sys
from controller.model import Settings
from controller.store.store import Store
store = Store.open(__import__("pathlib").Path(sys.argv[1]), bytes(32))
number = 1
while True:
    store.create_network(0x89e92ceee5000000 + number, Settings())
    print(number, flush=True)
    number += 1
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "controller.db"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd()) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(25)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.readlines() if line.endswith(b"\n")]
    store = Store.open(path, bytes(32))
    found = {network.id & 0xFFFFFF for network in store.networks()}
    store.create_network(0x89E92CEEE5FFFFFF, Settings())
    store.close()
    assert found >= set(acknowledged)
