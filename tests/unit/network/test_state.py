"""What a node holds of a network only becomes newer, and only by its controller's signature."""

import pytest

from l2mesh.errors import CryptoError, MalformedPacket, StateError
from l2mesh.network.state import Refusal, RefusedCredential
from tests.unit.network.authority import Authority


def test_a_member_needs_config_and_credential() -> None:
    authority = Authority()
    member, state = authority.identity(), authority.state()
    assert not state.is_member(0)
    assert state.take_config(authority.config())
    assert not state.is_member(0)
    assert state.take_credential(authority.credential(member), member.fingerprint)
    assert state.is_member(0)


def test_older_objects_change_nothing() -> None:
    authority = Authority()
    member, state = authority.identity(), authority.state()
    state.take_config(authority.config(5))
    state.take_credential(authority.credential(member, serial=5), member.fingerprint)
    state.take_revocations(authority.revocations(5))
    assert not state.take_config(authority.config(4))
    assert not state.take_credential(authority.credential(member, serial=4), member.fingerprint)
    assert not state.take_revocations(authority.revocations(5))
    assert state.config is not None and state.config.revision == 5
    assert state.revocation_revision == 5


def test_nothing_is_taken_from_another_controller() -> None:
    authority, impostor = Authority(1), Authority(2)
    impostor.network = authority.network
    member, state = authority.identity(), authority.state()
    with pytest.raises((CryptoError, MalformedPacket)):
        state.take_config(impostor.config())
    with pytest.raises((CryptoError, MalformedPacket)):
        state.take_credential(impostor.credential(member), member.fingerprint)
    with pytest.raises((CryptoError, MalformedPacket)):
        state.take_revocations(impostor.revocations(1))
    assert state.config is None and state.credential is None and state.revocations is None


def test_nothing_is_taken_before_the_controller_is_known() -> None:
    authority = Authority()
    state = authority.state()
    state.controller = None
    with pytest.raises(StateError):
        state.take_config(authority.config())


def test_a_foreign_credential_is_not_our_own() -> None:
    authority = Authority()
    member, other, state = authority.identity(), authority.identity(), authority.state()
    with pytest.raises(CryptoError):
        state.take_credential(authority.credential(other), member.fingerprint)


def test_revocations_never_fall() -> None:
    authority = Authority()
    member, state = authority.identity(), authority.state()
    state.take_revocations(authority.revocations(1, {member.fingerprint: 7}))
    with pytest.raises(StateError):
        state.take_revocations(authority.revocations(2, {member.fingerprint: 6}))
    with pytest.raises(StateError):
        state.take_revocations(authority.revocations(2))
    assert state.revocation_revision == 1
    assert state.take_revocations(authority.revocations(3, {member.fingerprint: 8}))


@pytest.mark.parametrize(
    ("serial", "epoch", "expires", "reason"),
    [
        (7, 2, None, Refusal.REVOKED),
        (8, 1, None, Refusal.OLD_EPOCH),
        (8, 2, 99, Refusal.EXPIRED),
        (8, 2, 100, None),
        (8, 2, None, None),
    ],
)
def test_a_credential_counts_by_serial_epoch_and_lifetime(
    serial: int, epoch: int, expires: int | None, reason: Refusal | None
) -> None:
    authority = Authority()
    member, state = authority.identity(), authority.state()
    state.take_revocations(authority.revocations(1, {member.fingerprint: 7}, epoch=2))
    shown = authority.credential(member, serial=serial, epoch=epoch, expires=expires)
    if reason is None:
        assert state.judge(member.fingerprint, shown, 99.5).serial == serial
    else:
        with pytest.raises(RefusedCredential) as refused:
            state.judge(member.fingerprint, shown, 99.5)
        assert refused.value.reason is reason


def test_somebody_elses_credential_does_not_count() -> None:
    authority = Authority()
    member, thief, state = authority.identity(), authority.identity(), authority.state()
    with pytest.raises(RefusedCredential) as refused:
        state.judge(thief.fingerprint, authority.credential(member), 0)
    assert refused.value.reason is Refusal.FOREIGN


def test_every_changed_byte_of_a_credential_is_refused() -> None:
    authority = Authority()
    member, state = authority.identity(), authority.state()
    shown = authority.credential(member)
    for at in range(len(shown)):
        forged = shown[:at] + bytes([shown[at] ^ 1]) + shown[at + 1 :]
        with pytest.raises(RefusedCredential):
            state.judge(member.fingerprint, forged, 0)


def test_a_roster_entry_must_name_its_identity() -> None:
    authority = Authority()
    member, other, state = authority.identity(), authority.identity(), authority.state()
    entry = state.roster_entry(authority.credential(member), member.public.encode())
    assert state.roster.put(entry)
    assert state.roster.find(entry.credential.name) == [entry]
    assert state.roster.find(entry.credential.address.hex()) == [entry]
    with pytest.raises(CryptoError):
        state.roster_entry(authority.credential(member), other.public.encode())


def test_an_older_roster_entry_does_not_replace_a_newer_one() -> None:
    authority = Authority()
    member, state = authority.identity(), authority.state()
    public = member.public.encode()
    newer = state.roster_entry(authority.credential(member, serial=2), public)
    older = state.roster_entry(authority.credential(member, serial=1), public)
    assert state.roster.put(newer)
    assert not state.roster.put(older)
    assert state.roster.get(member.fingerprint) is newer
    assert state.roster.remove([member.fingerprint, bytes(32)]) == [newer]
    assert len(state.roster) == 0
