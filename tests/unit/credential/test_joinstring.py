"""What people type to join."""

import base64

import pytest
from hypothesis import given

from l2mesh.address import format_fingerprint, format_network_id
from l2mesh.credential.joinstring import (
    JoinString,
    JoinTarget,
    format_join_string,
    parse_join_string,
    parse_join_target,
)
from l2mesh.errors import ConfigError
from l2mesh.wire.body import pack_value
from tests.values import JOIN_STRINGS

HERE = 0x89E92CEEE5000001
NAME = bytes(range(32))


@given(JOIN_STRINGS)
def test_join_string_round_trips(join: JoinString) -> None:
    text = format_join_string(join)
    assert parse_join_string(text) == parse_join_target(text) == join


def test_id_alone_and_with_a_fingerprint() -> None:
    text = format_network_id(HERE)
    assert parse_join_target(text) == JoinTarget(HERE)
    assert parse_join_target(f"{text}@{format_fingerprint(NAME)}") == JoinTarget(HERE, NAME)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "89e92ceee500000",
        "89e92ceee5000001@",
        "89e92ceee5000001@abc",
        "l2mesh:",
        "l2mesh:AAAA",
        "l2mesh:é",
        "l2mesh-world:AAAA",
        "l2mesh:" + "A" * 200_000,
    ],
    ids=lambda text: text[:40] or "nothing",
)
def test_text_that_joins_nothing_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_join_target(text)
    assert caught.value.hint
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "body",
    [
        {"network": HERE},
        {"network": HERE, "fingerprint": None},
        {"network": 0, "fingerprint": NAME},
        {"network": 5, "fingerprint": NAME},
        {"network": HERE, "fingerprint": NAME[1:]},
        {"network": HERE, "fingerprint": NAME, "token": b"short"},
        {"network": HERE, "fingerprint": NAME, "world": b""},
    ],
    ids=str,
)
def test_join_string_that_says_nonsense_is_refused(body: dict[str, object]) -> None:
    text = "l2mesh:" + base64.urlsafe_b64encode(pack_value(body)).decode().rstrip("=")
    with pytest.raises(ConfigError):
        parse_join_string(text)


def test_token_does_not_show() -> None:
    join = JoinString(HERE, NAME, None, b"0123456789abcdef")
    assert "0123456789abcdef" not in repr(join)
    text = format_join_string(join)
    with pytest.raises(ConfigError) as caught:
        parse_join_string(text[:-2])
    assert text[20:-2] not in str(caught.value)
