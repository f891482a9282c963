from __future__ import annotations

import pytest

from l2mesh.switch.ethernet import parse_header
from l2mesh.switch.groups import Segment
from l2mesh.switch.membership import Change, Query, Report, parse_group_talk
from l2mesh.switch.snooping import MAX_GROUPS, MAX_VLANS, Snooper

MAC = bytes.fromhex("021122334455")
HOST = bytes.fromhex("525400000001")
GROUP = bytes([239, 1, 2, 3])
GROUP6 = bytes.fromhex("ff05000000000000000000000000abcd")
FOUR, SIX = Segment(0, 4), Segment(0, 6)
ROUTER = bytes([10, 0, 0, 1])


class Bench:
    """A snooper under a virtual clock."""

    def __init__(self, *, asks: bool = True, bridges: bool = False) -> None:
        self.now = 1000.0
        self.snooper = Snooper(MAC, asks=asks, bridges=bridges, now=self.now)
        self.asked: list[tuple[float, int, Query]] = []

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.snooper.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.snooper.handle_timeout(self.now)
            self.take()
        self.now = end

    def take(self) -> None:
        while (frame := self.snooper.poll_frame()) is not None:
            header = parse_header(frame)
            assert header is not None
            query = parse_group_talk(frame[header.payload :])
            assert isinstance(query, Query)
            self.asked.append((self.now - 1000, header.vlan, query))

    def report(self, group: bytes, *, wanted: bool = True, vlan: int = 0) -> None:
        report = Report(4 if len(group) == 4 else 6, (Change(group, wanted),))
        self.snooper.hear_port(vlan, HOST, report, self.now, is_member=False)
        self.take()

    def query(
        self,
        source: bytes,
        *,
        mac: bytes = HOST,
        group: bytes = b"",
        wait_s: float = 10.0,
        member: bool = False,
    ) -> None:
        query = Query(4 if len(source) == 4 else 6, source, group, wait_s)
        self.snooper.hear_port(0, mac, query, self.now, is_member=member)

    @property
    def groups(self) -> set[tuple[int, bytes]]:
        return set(self.snooper.wanted().groups)

    @property
    def listed(self) -> dict[Segment, bool]:
        return dict(self.snooper.wanted().listed)

    def general(self, version: int = 4) -> list[float]:
        return [at for at, _, one in self.asked if one.version == version and not one.group]


def test_open_until_hosts_have_had_time_to_answer() -> None:
    bench = Bench()
    bench.wait(3.9)
    assert bench.listed == {}
    bench.wait(0.1)
    assert bench.listed == {FOUR: False, SIX: False}


@pytest.mark.parametrize("version", [4, 6])
def test_the_querier_asks_at_once_again_soon_and_then_each_125_s(version: int) -> None:
    bench = Bench()
    bench.wait(300)
    assert bench.general(version) == pytest.approx([0, 2, 33.25, 158.25, 283.25])
    sources = {one.source for _, _, one in bench.asked if one.version == version}
    assert sources == {
        bytes(4) if version == 4 else bytes.fromhex("fe80000000000000001122fffe334455")
    }


def test_a_group_is_wanted_for_260_s_after_the_last_report() -> None:
    bench = Bench()
    bench.wait(5)
    bench.report(GROUP)
    assert bench.groups == {(0, GROUP)}
    bench.wait(200)
    bench.report(GROUP)
    bench.wait(259)
    assert bench.groups == {(0, GROUP)}
    bench.wait(2)
    assert bench.groups == set()


@pytest.mark.parametrize("group", [GROUP, GROUP6])
def test_a_group_that_is_left_is_asked_for_twice_and_gone_after_two_seconds(group: bytes) -> None:
    bench = Bench()
    bench.wait(5)
    bench.report(group)
    bench.report(group, wanted=False)
    bench.report(group, wanted=False)
    assert bench.groups == {(0, group)}
    bench.wait(1.9)
    assert [at for at, _, one in bench.asked if one.group == group] == [5, 6]
    assert bench.groups == {(0, group)}
    bench.wait(0.2)
    assert bench.groups == set()


def test_a_group_that_another_host_still_wants_stays() -> None:
    bench = Bench()
    bench.wait(5)
    bench.report(GROUP)
    bench.report(GROUP, wanted=False)
    bench.wait(0.5)
    bench.report(GROUP)
    bench.wait(100)
    assert bench.groups == {(0, GROUP)}
    assert len([one for _, _, one in bench.asked if one.group]) == 1


def test_silent_while_another_querier_is_heard_and_asking_again_after_it() -> None:
    bench = Bench()
    bench.wait(40)
    bench.snooper.hear_mesh(0, Query(4, ROUTER, b"", 10.0), bench.now)
    bench.wait(254)
    assert bench.general(4)[-1] < 40 and bench.general(6)[-1] > 40
    assert bench.listed == {FOUR: False, SIX: False}
    bench.wait(2)
    assert bench.general(4)[-1] == pytest.approx(40 + 255)


def test_a_router_behind_the_port_gets_everything() -> None:
    bench = Bench()
    bench.wait(5)
    bench.query(ROUTER)
    assert bench.listed == {SIX: False}
    bench.wait(256)
    assert bench.listed == {FOUR: False, SIX: False}


def test_a_switch_that_asks_keeps_reports_from_us_so_all_is_wanted() -> None:
    bench = Bench()
    bench.query(bytes(4))
    bench.wait(250)
    assert bench.listed == {SIX: False}
    assert bench.general(4) == []


def test_among_members_on_one_lan_the_lowest_mac_asks() -> None:
    for mac, silences in ((b"\x02" + bytes(5), True), (b"\x02" + b"\xff" * 5, False)):
        bench = Bench()
        bench.wait(40)
        bench.query(bytes(4), mac=mac, member=True)
        bench.wait(150)
        assert (len(bench.general(4)) == 3) is silences
        assert bench.listed[FOUR] is False


def test_a_group_that_another_querier_asks_for_is_gone_when_nobody_answers() -> None:
    bench = Bench()
    bench.query(ROUTER)
    bench.query(bytes(4))
    bench.report(GROUP)
    bench.query(ROUTER, group=GROUP, wait_s=1.0)
    bench.report(GROUP, wanted=False)  # no affair of ours: we do not ask
    bench.wait(2.1)
    assert bench.snooper.shares[FOUR].groups == set()
    assert not [one for _, _, one in bench.asked if one.group]


def test_a_bridge_listens_first() -> None:
    bench = Bench(bridges=True)
    bench.report(GROUP)
    bench.wait(254)
    assert bench.asked == [] and bench.listed == {}
    bench.wait(6)
    assert bench.general(6)[0] == pytest.approx(255)
    assert bench.general(4) == []
    assert bench.listed == {SIX: False}


def test_without_a_querier_the_port_is_open() -> None:
    bench = Bench(asks=False)
    bench.report(GROUP)
    bench.wait(100)
    assert bench.listed == {} and bench.asked == []
    bench.snooper.hear_mesh(0, Query(4, ROUTER, b"", 1.0), bench.now)
    bench.wait(3)
    assert bench.listed == {FOUR: False}
    bench.wait(300)
    assert bench.listed == {}


def test_vlans_are_snooped_on_when_they_are_used_and_then_no_longer() -> None:
    bench = Bench()
    bench.report(GROUP, vlan=7)
    bench.wait(5)
    assert bench.groups == {(7, GROUP)}
    assert {vlan for _, vlan, _ in bench.asked} == {0, 7}
    bench.wait(521)
    assert set(bench.snooper.shares) == {FOUR, SIX}


def test_tables_are_bounded() -> None:
    bench = Bench()
    bench.wait(5)
    for vlan in range(4096):
        bench.snooper.use(vlan, bench.now)
    assert len(bench.snooper.shares) == 2 * MAX_VLANS
    for number in range(2000):
        bench.report(bytes([239, 9]) + number.to_bytes(2, "big"))
    assert len(bench.snooper.shares[FOUR].groups) == MAX_GROUPS
    assert FOUR not in bench.listed and SIX in bench.listed
    bench.wait(261)
    assert FOUR in bench.listed


def test_no_query_goes_where_another_bridge_speaks() -> None:
    bench = Bench()
    bench.snooper.handle_timeout(bench.now, {0})
    bench.take()
    assert bench.asked == []
    bench.wait(126)
    assert bench.general(4)[0] == pytest.approx(125)
