"""Texts into settings, and what is said about bad ones."""

import pytest

from controller.model import Route, Settings
from controller.settings import change_settings, parse_expiry, parse_groups, parse_tags
from l2mesh.errors import ConfigError


def test_every_setting_is_read() -> None:
    changed = change_settings(
        Settings(),
        {
            "name": "home lan",
            "mtu": "9000",
            "public": "yes",
            "pools": "10.9.0.0/24, fd00:9::/64",
            "routes": "10.0.0.0/8@10.9.0.1,192.168.0.0/16 via 10.9.0.2,172.16.0.0/12",
            "dns": "10.9.0.1,fd00:9::1",
            "guard": "strict",
            "broadcast": "pass",
            "multicast": "drop",
            "unknown_unicast": "50",
            "arp": "1000",
            "nd": "drop",
            "discovery": "pass",
            "bpdu": "pass",
            "snooping": "no",
            "querier": "false",
            "unknown_groups": "drop",
        },
    )
    assert changed == Settings(
        name="home lan",
        mtu=9000,
        public=True,
        pools=("10.9.0.0/24", "fd00:9::/64"),
        routes=(
            Route("10.0.0.0/8", "10.9.0.1"),
            Route("192.168.0.0/16", "10.9.0.2"),
            Route("172.16.0.0/12"),
        ),
        dns=("10.9.0.1", "fd00:9::1"),
        guard="strict",
        broadcast="pass",
        multicast="drop",
        unknown_unicast=50,
        arp=1000,
        nd="drop",
        discovery="pass",
        bpdu="pass",
        snooping=False,
        querier=False,
        unknown_groups="drop",
    )
    assert change_settings(changed, {"pools": "", "routes": ""}).pools == ()


@pytest.mark.parametrize(
    ("key", "value", "says", "advises"),
    [
        ("colour", "red", "has no setting 'colour'", "broadcast"),
        ("mtu", "575", "from 576 to 9000", ""),
        ("mtu", "¹", "from 576 to 9000", ""),
        ("public", "maybe", "neither true nor false", "public=true"),
        ("broadcast", "lots", "neither pass, drop nor a rate", "broadcast=500"),
        ("guard", "on", "unknown", "default, strict, off"),
        ("routes", "10.0.0.1/8", "host bits", "10.0.0.0/8@10.9.0.1"),
        ("routes", "10.0.0.0/8@fd00::1", "mixes", ""),
        ("dns", "ns.example", "dns:", "dns=10.9.0.1"),
        ("name", "a\nb", "printable", ""),
    ],
)
def test_a_bad_value_names_its_key(key: str, value: str, says: str, advises: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        change_settings(Settings(), {"mtu": "1400"} | {key: value})
    assert advises in caught.value.hint


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("24h", 86400), ("2w", 1209600)])
def test_time_spans(text: str, seconds: int) -> None:
    assert parse_expiry(text) == seconds


@pytest.mark.parametrize("text", ["", "0h", "24", "-1h", "1y", "999999999w"])
def test_bad_time_spans(text: str) -> None:
    with pytest.raises(ConfigError, match="no time span"):
        parse_expiry(text)


def test_groups_and_tags() -> None:
    assert parse_groups("a,b,a") == ("a", "b")
    assert parse_tags("site:berlin,note:two words") == {"site": "berlin", "note": "two words"}
    for bad in ("a b", "-a", "x" * 65):
        with pytest.raises(ConfigError, match="is no word"):
            parse_groups(bad)
    with pytest.raises(ConfigError, match="KEY:TEXT"):
        parse_tags("site")
