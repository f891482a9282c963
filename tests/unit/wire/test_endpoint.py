"""Endpoints as text and as 18 bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.errors import ConfigError, MalformedPacket
from l2mesh.wire.endpoint import (
    Endpoint,
    decode_endpoint,
    encode_endpoint,
    format_endpoint,
    parse_endpoint,
)
from tests.values import ENDPOINTS


@given(ENDPOINTS)
def test_text_and_bytes_round_trip(endpoint: Endpoint) -> None:
    assert parse_endpoint(format_endpoint(endpoint)) == endpoint
    assert decode_endpoint(encode_endpoint(endpoint)) == endpoint


@given(st.binary(min_size=18, max_size=18))
def test_bytes_round_trip_where_they_are_an_endpoint(data: bytes) -> None:
    try:
        endpoint = decode_endpoint(data)
    except MalformedPacket:
        return
    assert encode_endpoint(endpoint) == data


def test_bytes_are_an_address_and_a_port() -> None:
    assert encode_endpoint(Endpoint("192.0.2.1", 9993)).hex() == "0" * 20 + "ffffc00002012709"
    assert encode_endpoint(Endpoint("2001:db8::1", 1)).hex() == "20010db8" + "0" * 23 + "10001"


def test_no_endpoint_is_all_zero() -> None:
    assert encode_endpoint(None) == bytes(18)
    assert decode_endpoint(bytes(18)) is None


def test_one_place_has_one_endpoint() -> None:
    assert parse_endpoint("[::ffff:192.0.2.1]:5") == Endpoint("192.0.2.1", 5)
    assert parse_endpoint("[2001:DB8:0::1]:5") == Endpoint("2001:db8::1", 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1:+5",
        "192.0.2.1:٥",
        "192.0.2:5",
        "[192.0.2.1]:5",
        "2001:db8::1:5",
        "[fe80::1%eth0]:5",
        "0.0.0.0:5",
        "[::]:5",
        "name.example:5",
        "192.0.2.1:" + "5" * 5000,
    ],
)
def test_text_that_is_no_endpoint_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_endpoint(text)
    assert "192.0.2.1:9993" in caught.value.hint
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(17),
        bytes(19),
        bytes(15) + b"\1" + bytes(2),
        bytes(16) + b"\0\1",
        bytes(10) + b"\xff\xff" + bytes(4) + b"\0\1",
    ],
    ids=["nothing", "short", "long", "port 0", "unspecified", "unspecified and mapped"],
)
def test_bytes_that_are_no_endpoint_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedPacket):
        decode_endpoint(data)


@pytest.mark.parametrize("host", ["name", "", "1.2.3"])
def test_endpoint_with_a_name_has_no_bytes(host: str) -> None:
    with pytest.raises(ConfigError):
        encode_endpoint(Endpoint(host, 5))
