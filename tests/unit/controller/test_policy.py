"""Who is admitted, and names that are shown to others."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.model import Member, NotFound, Standing
from controller.policy import MAX_NAME, admit, clean_name, select_member
from l2mesh.credential.membership import MembershipCredential
from l2mesh.errors import StateError
from l2mesh.wire.body import pack


@pytest.mark.parametrize(
    ("standing", "public", "token", "becomes"),
    [
        (None, False, False, Standing.PENDING),
        (None, True, False, Standing.AUTHORIZED),
        (None, False, True, Standing.AUTHORIZED),
        (Standing.PENDING, False, False, Standing.PENDING),
        (Standing.PENDING, True, False, Standing.AUTHORIZED),
        (Standing.PENDING, False, True, Standing.AUTHORIZED),
        (Standing.AUTHORIZED, False, False, Standing.AUTHORIZED),
        (Standing.DENIED, True, True, Standing.DENIED),
    ],
)
def test_admission(
    *, standing: Standing | None, public: bool, token: bool, becomes: Standing
) -> None:
    assert admit(standing, is_public=public, has_good_token=token) is becomes


@given(st.text())
@example("0" * 63 + " 0")
def test_a_clean_name_is_one_that_a_credential_can_carry(text: str) -> None:
    name = clean_name(text)
    assert len(name) <= MAX_NAME and name.isprintable() and name == clean_name(name)
    credential = MembershipCredential(
        network=1, fingerprint=bytes(32), address=b"\1" * 5, mac=b"\2" * 6, name=name, serial=1
    )
    pack(credential)


def test_names_lose_what_could_deceive() -> None:
    assert clean_name(" a\x1b[31m\u202eb\n c\u200b ") == "a[31mb c"


def _member(number: int, address: bytes) -> Member:
    return Member(1, bytes([number]) * 32, address, None, "", Standing.PENDING, bytes(6))


def test_an_ambiguous_address_names_the_fingerprints() -> None:
    members = [_member(1, b"abcde"), _member(2, b"abcde"), _member(3, b"fghij")]
    with pytest.raises(StateError, match="2 identities claim") as caught:
        select_member(members, b"abcde", None)
    assert caught.value.hint.count("6162636465@") == 2
    assert select_member(members, b"abcde", bytes([2]) * 32) is members[1]
    assert select_member(members, b"fghij", None) is members[2]
    with pytest.raises(NotFound, match="no member"):
        select_member(members, b"fghij", bytes([1]) * 32)
