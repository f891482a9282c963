"""Offloads: switched off by name, left out when the kernel lacks them, and always with a reason."""

import pytest

from l2mesh.errors import ConfigError
from l2mesh.runtime.offloads import CHOICES, NAMES, Offloads


def off(offloads: Offloads) -> set[str]:
    return {name for name, one in offloads.view().items() if not one["on"]}


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_switch_of_its_own(name: str) -> None:
    offloads = Offloads.without([name])
    assert off(offloads) == {name} and not offloads.has(name)
    assert offloads.view()[name]["why"] == "switched off by the operator"
    assert offloads.udp_gso == (name != "udp_gso") and offloads.udp_gro == (name != "udp_gro")


def test_super_frames_need_both_families_and_open_checksums() -> None:
    assert Offloads().tap_tso and Offloads().tap_uso
    for name in ("tap_csum", "tap_tso4", "tap_tso6", "tap_tso"):
        assert not Offloads.without([name]).tap_tso
    for name in ("tap_csum", "tap_uso4", "tap_uso6", "tap_uso"):
        assert not Offloads.without([name]).tap_uso
    assert Offloads.without(["tap_tso"]).tap_uso


def test_group_stands_for_both_families_and_the_first_reason_stays() -> None:
    offloads = Offloads.without(["tap_tso4"])
    offloads.leave_out("tap_tso", "the kernel refused it")
    assert off(offloads) == {"tap_tso4", "tap_tso6"}
    assert offloads.view()["tap_tso4"]["why"] == "switched off by the operator"
    assert offloads.view()["tap_tso6"]["why"] == "the kernel refused it"


def test_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        Offloads.without(["tso"])
    assert all(name in caught.value.hint for name in CHOICES)


def test_what_the_kernel_refused_is_a_problem() -> None:
    assert Offloads.problems({"udp_gso_refused": 0, "tap_writes": 7}) == []
    (problem,) = Offloads.problems({"udp_gso_refused": 3})
    assert "udp_gso" in problem and " 3 times" in problem
