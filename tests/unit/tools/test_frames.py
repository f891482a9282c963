import pytest
from scapy.layers.l2 import Ether

from tests.frames import ALICE, BOB, KINDS, every_kind, frame

GROUPS = {"arp_request", "mdns", "lldp", "stp_bpdu", "lacp", "nd_solicitation", "dhcp_discover"}


@pytest.mark.parametrize("kind", KINDS)
def test_frame_comes_from_the_source(kind: str) -> None:
    source = bytes.fromhex(ALICE.replace(":", ""))
    assert frame(kind)[6:12] == source


@pytest.mark.parametrize("kind", KINDS)
def test_frame_is_the_same_each_time(kind: str) -> None:
    assert frame(kind) == every_kind()[kind] == frame(kind, ALICE, BOB)


def test_groups_have_the_group_bit() -> None:
    assert all(frame(kind)[0] & 1 for kind in GROUPS)


def test_sizes_are_those_of_the_names() -> None:
    sizes = {kind: len(each) for kind, each in every_kind().items()}
    assert sizes["jumbo"] == 9014
    assert sizes["largest_1500"] == 1514
    assert sizes["runt"] == 13


def test_tags_stand_in_band() -> None:
    assert frame("dot1q")[12:16].hex() == "81000007"
    assert frame("qinq")[12:20].hex() == "88a8000781000008"
    assert Ether(frame("qinq")).haslayer("UDP")
