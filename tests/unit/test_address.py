"""Addresses, network IDs, fingerprints and MACs."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.address import (
    controller_address,
    derive_mac,
    format_address,
    format_fingerprint,
    format_mac,
    format_network_id,
    is_address,
    is_network_id,
    network_id,
    parse_address,
    parse_fingerprint,
    parse_mac,
    parse_network_id,
)
from l2mesh.errors import ConfigError
from tests.values import ADDRESSES, FINGERPRINTS, NETWORKS, U64


@given(ADDRESSES)
def test_address_round_trips(address: bytes) -> None:
    assert parse_address(format_address(address)) == address
    assert parse_address(format_address(address).upper()) == address


@given(NETWORKS)
def test_network_id_round_trips(network: int) -> None:
    assert is_network_id(network)
    assert parse_network_id(format_network_id(network)) == network
    assert network_id(controller_address(network), network & 0xFFFFFF) == network


@given(U64)
def test_number_is_a_network_id_exactly_if_its_text_is_read(number: int) -> None:
    try:
        is_read = parse_network_id(format_network_id(number)) == number
    except ConfigError:
        is_read = False
    assert is_read == is_network_id(number)


@given(FINGERPRINTS)
def test_fingerprint_round_trips(fingerprint: bytes) -> None:
    text = format_fingerprint(fingerprint)
    assert len(text) == 52 and text == text.lower()
    assert parse_fingerprint(text) == parse_fingerprint(text.upper()) == fingerprint


@given(st.binary(min_size=6, max_size=6))
def test_mac_round_trips(mac: bytes) -> None:
    assert parse_mac(format_mac(mac)) == mac
    assert parse_mac(format_mac(mac).replace(":", "-").upper()) == mac


@given(NETWORKS, ADDRESSES, st.integers(0, 255))
def test_derived_mac_is_local_and_unicast(network: int, address: bytes, salt: int) -> None:
    mac = derive_mac(network, address, salt)
    assert len(mac) == 6
    assert mac[0] & 3 == 2
    assert mac == derive_mac(network, address, salt)


def test_salt_network_and_address_each_change_the_mac() -> None:
    base = derive_mac(1, b"12345", 0)
    others = [derive_mac(1, b"12345", 1), derive_mac(2, b"12345", 0), derive_mac(1, b"12346", 0)]
    assert len({base, *others}) == 4


@pytest.mark.parametrize("salt", [-1, 256])
def test_salt_outside_a_byte_is_refused(salt: int) -> None:
    with pytest.raises(ConfigError):
        derive_mac(1, b"12345", salt)


def test_addresses_that_nobody_has() -> None:
    assert not is_address(bytes(5))
    assert not is_address(b"\xff1234")
    assert not is_address(b"1234")
    assert is_address(b"\xfe1234")


@pytest.mark.parametrize("number", [0, -1, 2**24])
def test_network_number_outside_24_bits_is_refused(number: int) -> None:
    with pytest.raises(ConfigError):
        network_id(b"12345", number)


def test_network_of_no_controller_is_refused() -> None:
    with pytest.raises(ConfigError):
        network_id(bytes(5), 1)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_address, ""),
        (parse_address, "89e92ceee"),
        (parse_address, "89e92ceeeg"),
        (parse_address, "0000000000"),
        (parse_address, "ff00000001"),
        (parse_address, "٨9e92ceee5"),
        (parse_network_id, "89e92ceee500001"),
        (parse_network_id, "89e92ceee5000000"),
        (parse_network_id, "0000000000000001"),
        (parse_network_id, "ff00000000000001"),
        (parse_network_id, " 89e92ceee500001"),
        (parse_network_id, "x" * 10_000),
        (parse_fingerprint, "a" * 51),
        (parse_fingerprint, "a" * 51 + "b"),
        (parse_fingerprint, "1" * 52),
        (parse_fingerprint, "é" * 52),
        (parse_mac, "02:00:00:00:00"),
        (parse_mac, "02:00:00:00:00:0"),
        (parse_mac, "02:00:00:00:00:0g"),
        (parse_mac, "020000000001"),
    ],
)
def test_text_is_refused_with_what_was_given_and_an_example(
    parse: Callable[[str], object], text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert repr(text[:80]) in str(caught.value)
    assert caught.value.hint
    assert len(str(caught.value)) < 250
