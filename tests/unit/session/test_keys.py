"""The key of each receive index."""

import hmac

import pytest

from l2mesh.session.keys import derive

PRK = bytes(range(32))


def test_key_is_hkdf_expand_of_rfc_5869() -> None:
    info = b"l2mesh data" + bytes.fromhex("0102030405060708090a0b0c")
    first = hmac.new(PRK, info + b"\x01", "blake2s").digest()
    second = hmac.new(PRK, first + info + b"\x02", "blake2s").digest()
    derived = derive(PRK, 0x0102030405060708, 9, 0x0A0B0C)
    assert derived.key + derived.salt == (first + second)[:36]


def test_direction_network_lane_and_index_each_change_the_key() -> None:
    keys = {
        derive(PRK, 1, 0, 1),
        derive(PRK[::-1], 1, 0, 1),
        derive(PRK, 2, 0, 1),
        derive(PRK, 1, 1, 1),
        derive(PRK, 1, 0, 2),
    }
    assert len(keys) == 5


def test_key_never_shows() -> None:
    assert repr(derive(PRK, 1, 0, 1)) == "<IndexKey>"


@pytest.mark.parametrize("numbers", [(1 << 64, 0, 1), (1, 256, 1), (1, 0, 1 << 24), (-1, 0, 1)])
def test_numbers_beyond_their_fields_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(OverflowError):
        derive(PRK, *numbers)
