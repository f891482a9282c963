from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.interface import Endpoint
from l2mesh.path.nat64 import MAX_ANSWERS, WELL_KNOWN_PREFIX, Nat64, prefix_in

LENGTHS = (32, 40, 48, 56, 64, 96)
NOBODY = (
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.1.1",
    "172.31.0.1",
    "192.0.0.170",
    "192.168.1.1",
    "224.0.0.1",
    "255.255.255.255",
)


def at(host: str) -> Endpoint:
    return Endpoint(host, 9993, uplink=3)


def network(address: int, length: int) -> IPv6Network:
    """A prefix of this length in 2000::/3, octet 8 zero."""
    packed = bytearray(address.to_bytes(16, "big"))
    packed[0], packed[8] = 0x20 | packed[0] & 0x1F, 0
    return IPv6Network((bytes(packed), length), strict=False)


prefixes = st.builds(network, st.integers(0, 2**128 - 1), st.sampled_from(LENGTHS))


@pytest.mark.parametrize(
    ("prefix", "address"),
    [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::c000:221"),
    ],
)
def test_addresses_are_those_of_rfc_6052(prefix: str, address: str) -> None:
    """Section 2.4, table 2."""
    nat64 = Nat64(IPv6Network(prefix))
    synthesised = nat64.synthesise(at("192.0.2.33"))
    assert IPv6Address(synthesised.host) == IPv6Address(address)
    assert synthesised == at(str(IPv6Address(address)))
    assert nat64.original(synthesised) == at("192.0.2.33")


def test_well_known_prefix_stands_for_global_addresses_alone() -> None:
    nat64 = Nat64(WELL_KNOWN_PREFIX)
    assert nat64.synthesise(at("198.41.0.4")) == at("64:ff9b::c629:4")
    for host in ("192.0.2.33", "198.18.0.1", *NOBODY):
        assert nat64.synthesise(at(host)) == at(host) and not nat64.stands_for(at(host))


@pytest.mark.parametrize("host", NOBODY)
def test_private_addresses_are_never_synthesised(host: str) -> None:
    nat64 = Nat64(IPv6Network("2001:db8:64::/96"))
    assert nat64.synthesise(at(host)) == at(host)
    inside = IPv6Address(int(nat64.prefix.network_address) + int(IPv4Address(host)))
    assert nat64.original(at(str(inside))) == at(str(inside))


def test_ipv6_stays_as_it_is() -> None:
    nat64 = Nat64(IPv6Network("2001:db8:64::/96"))
    assert nat64.synthesise(at("2001:db8::1")) == at("2001:db8::1")
    assert nat64.original(at("2001:db8::1")) == at("2001:db8::1")


@pytest.mark.parametrize("junk", ["2001:db8:64::1c0:2:2100:1", "2001:db8:64:0:1c0:2:2100:0"])
def test_what_is_no_synthesised_address_is_nobody_in_ipv4(junk: str) -> None:
    """Octet 8 and what follows the four octets have to be zero."""
    assert Nat64(IPv6Network("2001:db8:64::/64")).original(at(junk)) == at(junk)


@given(prefixes, st.ip_addresses(v=4), st.sampled_from(["192.0.0.170", "192.0.0.171"]))
def test_prefix_is_found_and_leads_there_and_back(
    prefix: IPv6Network, host: IPv4Address, known: str
) -> None:
    nat64 = Nat64(prefix)
    places = [i for i in range(prefix.prefixlen // 8, 16) if i != 8][:4]
    packed = bytearray(prefix.network_address.packed)
    for place, octet in zip(places, IPv4Address(known).packed, strict=True):
        packed[place] = octet
    assert prefix_in([str(IPv6Address(bytes(packed)))]) == prefix
    endpoint = at(str(host))
    assert nat64.original(nat64.synthesise(endpoint)) == endpoint
    assert nat64.stands_for(endpoint) == (nat64.synthesise(endpoint) != endpoint)


@given(prefixes, st.integers(0, 2**128 - 1))
def test_an_address_has_one_original(prefix: IPv6Network, low: int) -> None:
    mask = int(prefix.hostmask)
    address = str(IPv6Address(int(prefix.network_address) | low & mask))
    nat64 = Nat64(prefix)
    original = nat64.original(at(address))
    assert nat64.synthesise(original) == at(address)


@given(st.lists(st.one_of(st.text(), st.ip_addresses().map(str)), max_size=40))
def test_any_answer_gives_a_prefix_or_none(answers: list[str]) -> None:
    prefix = prefix_in(answers)
    assert prefix is None or prefix.prefixlen in LENGTHS


@pytest.mark.parametrize(
    "answer",
    [
        "::ffff:192.0.0.170",
        "::192.0.0.170",
        "fe80::192.0.0.170",
        "ff02::192.0.0.171",
        "fd6c:326d:6573:1::c000:aa",
        "2001:db8::192.0.0.172",
        "2001:db8::1",
        "2001:db8:0:0:ff00::192.0.0.170",
        "192.0.0.170",
        "",
    ],
)
def test_answers_that_show_no_prefix_count_for_nothing(answer: str) -> None:
    assert prefix_in([answer]) is None


def test_first_prefix_counts_and_work_is_bounded() -> None:
    good = "2001:db8:64::192.0.0.170"
    assert prefix_in(["::1", good, "64:ff9b::192.0.0.171"]) == IPv6Network("2001:db8:64::/96")
    assert prefix_in(["::1"] * MAX_ANSWERS + [good]) is None
    assert prefix_in(["64:ff9b::c000:ab"]) == WELL_KNOWN_PREFIX
