"""Which addresses are handed out, and which may be set by hand."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.pools import check_manual, host_of, lowest_free, parse_pools
from l2mesh.errors import ConfigError


def test_the_lowest_free_address_is_given_first() -> None:
    pool = ip_network("10.9.0.0/24")
    assert lowest_free(pool, ()) == "10.9.0.1/24"
    taken = [ip_address(text) for text in ("10.9.0.1", "10.9.0.2", "10.9.0.4")]
    assert lowest_free(pool, taken) == "10.9.0.3/24"


def test_an_ipv6_pool_never_gives_the_subnet_router_anycast_address() -> None:
    pool = ip_network("fd00:9::/64")
    assert lowest_free(pool, ()) == "fd00:9::1/64"
    assert lowest_free(pool, [ip_address("10.0.0.1")]) == "fd00:9::1/64"


def test_a_full_pool_gives_none_and_never_the_broadcast_address() -> None:
    pool = ip_network("10.9.0.0/30")
    assert lowest_free(pool, [ip_address("10.9.0.1")]) == "10.9.0.2/30"
    assert lowest_free(pool, [ip_address("10.9.0.1"), ip_address("10.9.0.2")]) is None
    six = ip_network("fd00::/126")
    taken = [ip_address("fd00::1"), ip_address("fd00::2")]
    assert lowest_free(six, taken) == "fd00::3/126"


@given(st.sets(st.integers(0, 63)), st.sampled_from(["10.0.0.0/26", "fd00::/122"]))
def test_what_is_given_is_a_free_host_address(taken: set[int], text: str) -> None:
    pool = ip_network(text)
    used = [pool[number] for number in taken]
    given_ = lowest_free(pool, used)
    if given_ is None:
        last = 63 if pool.version == 4 else 64
        assert {*range(1, last)} <= taken
        return
    host = host_of(given_)
    assert host in pool and host not in used and host != pool.network_address
    assert pool.version == 6 or host != pool.broadcast_address
    assert all(pool[n] in used for n in range(1, int(host) - int(pool.network_address)))


@pytest.mark.parametrize(
    ("texts", "says", "advises"),
    [
        (["10.9.0.0"], "names a host", "add the prefix length"),
        (["10.9.0.1/24"], "names a host", "say 10.9.0.0/24"),
        (["10.9.0.0/31"], "no room", "shorter prefix"),
        (["224.0.0.0/8"], "nobody can have", "private"),
        (["127.0.0.0/8"], "nobody can have", "private"),
        (["0.0.0.0/0"], "nobody can have", "private"),
        (["lan"], "is no address pool", "10.9.0.0/24"),
        (["10.9.0.0/24", "10.9.0.128/25"], "overlap", ""),
    ],
)
def test_a_bad_pool_is_refused_with_advice(texts: list[str], says: str, advises: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse_pools(texts)
    assert advises in caught.value.hint


def test_a_manual_address_takes_the_length_of_its_pool() -> None:
    pools = parse_pools(["10.9.0.0/24", "fd00:9::/64"])
    assert check_manual(["10.9.0.7", "fd00:9:0:0::7"], pools) == ("10.9.0.7/24", "fd00:9::7/64")
    assert check_manual(["192.0.2.1/28"], pools) == ("192.0.2.1/28",)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["10.9.0.0/24"], "network address"),
        (["10.9.0.255/24"], "broadcast address"),
        (["10.9.0.0/8"], "network address of 10.9.0.0/24"),
        (["10.9.0.255/8"], "broadcast address of 10.9.0.0/24"),
        (["192.0.2.1"], "lacks a prefix length"),
        (["10.9.0.7", "10.9.0.7/16"], "given twice"),
        (["ff02::1/64"], "no member can have"),
        (["nonsense"], "is no address"),
        ([f"10.1.0.{n}/24" for n in range(1, 19)], "18 addresses"),
    ],
)
def test_a_bad_manual_address_is_refused(texts: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_manual(texts, parse_pools(["10.9.0.0/24"]))
