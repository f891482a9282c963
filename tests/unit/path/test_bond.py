"""Which paths take part where flows are spread, and which flows move when one comes or goes."""

from collections import Counter, deque
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.asking import Asking
from l2mesh.path.bond import PLACES, Bond, needed, share_places
from l2mesh.path.candidate import Candidate, CandidateTable, Kind
from l2mesh.path.outputs import PathOutput, SendCopies, SendingChanged, SendProbe
from l2mesh.path.probe import ProbeLimiter
from l2mesh.path.reach import Reach
from l2mesh.path.redundancy import Copies

HOST, OTHER_HOST = "192.0.2.1", "192.0.2.2"
PATHS = [Path(Endpoint(HOST, 1, uplink)) for uplink in range(4)]
STEP_S = 0.15


class Field:
    """A bond whose paths answer as they are told; paths over uplinks 0 to 2, the first in use."""

    def __init__(self, *paths: Path) -> None:
        numbers = count(1)
        self.now = 100.0
        self.table, self.outputs = CandidateTable(), deque[PathOutput]()
        self.asking = Asking(
            self.table,
            self.outputs,
            random=lambda size: next(numbers).to_bytes(size, "big"),
            limiter=ProbeLimiter(),
            reach=Reach(),
        )
        self.bond = Bond(self.table, self.asking, Copies(self.outputs), self.outputs)
        self.bond.wanted = True
        self.dead: set[Path] = set()
        self.seen: list[PathOutput] = []
        self.ways = [self.add(path) for path in paths or PATHS[:3]]
        self.active = self.ways[0]
        self.bond.sending(self.active)

    def add(self, path: Path, rtt_s: float = 0.02) -> Candidate:
        candidate = self.table.add(path, Kind.TOLD, self.now)
        assert candidate is not None
        candidate.answer(self.now, rtt_s)
        return candidate

    def run(self, seconds: float, *, is_flowing: bool = True) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            self.asking.expire(self.now)
            self.bond.handle_timeout(self.active, self.now, is_flowing=is_flowing)
            while self.outputs:
                output = self.outputs.popleft()
                self.seen.append(output)
                if isinstance(output, SendProbe) and output.path not in self.dead:
                    self.answer(output)

    def answer(self, probe: SendProbe) -> None:
        candidate = self.table.get(probe.path)
        assert candidate is not None and self.asking.close(probe.nonce, probe.path, self.now)
        candidate.answer(self.now, candidate.rtt_s or 0.0)
        self.bond.answered(probe.path, self.now)

    def ask(self, *candidates: Candidate, seconds: float = 3.0) -> None:
        """The peer's PROBEs come by these, as by paths that it uses."""
        for _ in range(round(seconds / STEP_S)):
            for candidate in candidates:
                candidate.is_asked_again(self.now)
            self.run(STEP_S)

    @property
    def members(self) -> set[int]:
        return {self.ways.index(each) for each in self.ways if each.path in self.bond.members}

    @property
    def places(self) -> Counter[Path]:
        return Counter(Path(endpoint) for endpoint in self.bond.sending(self.active).spread)


def test_paths_over_different_uplinks_take_part_once_they_have_worked_for_a_while() -> None:
    field = Field()
    field.run(2.7)
    assert field.members == set() and not field.places
    field.run(1.5)
    assert field.members == {0, 1, 2}
    assert set(field.places.values()) == {PLACES // 3}
    told = [each for each in field.seen if isinstance(each, SendingChanged)]
    assert told[-1] == field.bond.sending(field.active)


def test_one_path_an_uplink_takes_part_and_a_relay_never() -> None:
    second = Path(Endpoint(OTHER_HOST, 1, 1))
    field = Field(PATHS[0], PATHS[1], second)
    relay = field.table.add(Path(Endpoint("192.0.2.9", 9), 7), Kind.RELAY, field.now)
    assert relay is not None
    field.run(5)
    assert field.members == {0, 2}, "an endpoint that nobody else leads to goes first"
    field.active = relay
    field.run(1)
    assert field.bond.sending(relay).spread == () and field.members == set()


def test_a_path_that_is_slower_or_lossy_takes_no_part() -> None:
    field = Field()
    field.ways[1].rtt_s, field.ways[2].loss = 0.08, 0.06
    field.run(5)
    assert field.members == set()
    field.ways[1].rtt_s, field.ways[2].loss = 0.06, 0.04
    field.run(1)
    assert field.members == {0, 1, 2}


def test_who_takes_part_goes_when_it_is_clearly_worse_and_returns_later() -> None:
    field = Field()
    field.run(5)
    field.ways[1].rtt_s, field.ways[2].loss = 0.16, 0.09
    field.run(1)
    assert field.members == {0, 1, 2}
    field.ways[1].rtt_s, field.ways[2].loss = 0.18, 0.11
    field.run(0.3)
    assert field.members == set()
    assert field.ways[1].usable
    field.ways[1].rtt_s = 0.02
    field.run(9)
    assert field.members == set()
    field.run(2)
    assert 1 in field.members


def test_a_path_that_dies_in_silence_gives_up_its_flows_within_a_second() -> None:
    field = Field()
    field.run(5)
    before = field.bond.sending(field.active).spread
    field.dead.add(PATHS[1])
    field.seen.clear()
    field.run(0.9)
    assert field.members == {0, 2} and not field.ways[1].usable
    after = field.bond.sending(field.active).spread
    stayed = [(b, a) for b, a in zip(before, after, strict=True) if b != PATHS[1].endpoint]
    assert all(b == a for b, a in stayed)
    copies = [each.path for each in field.seen if isinstance(each, SendCopies)]
    assert copies == [PATHS[0], PATHS[1]], "while it is late, and after it was left"
    field.dead.clear()
    field.run(9)
    assert field.members == {0, 2}
    field.run(5)
    assert field.members == {0, 1, 2}


def test_copies_leave_by_the_path_in_use_when_flows_return() -> None:
    field = Field(*PATHS[:2])
    field.run(5)
    kinds = [each for each in field.seen if not isinstance(each, SendProbe)]
    assert [type(each) for each in kinds] == [SendingChanged, SendCopies]
    assert [each.path for each in kinds if isinstance(each, SendCopies)] == [PATHS[0]]


def test_frames_are_cut_for_the_narrowest_path() -> None:
    field = Field(*PATHS[:2])
    field.ways[1].size.size = 1372
    assert field.bond.sending(field.active).size == 1472
    field.run(5)
    assert field.bond.sending(field.active).size == 1372


def test_no_flow_moves_when_another_of_them_comes_into_use() -> None:
    field = Field()
    field.run(5)
    before = field.bond.sending(field.active).spread
    field.active = field.ways[1]
    field.run(5)
    assert field.bond.sending(field.active).spread == before
    field.ways[0].usable = False
    assert field.places.keys() == {PATHS[1], PATHS[2]}


def test_nothing_is_asked_nor_given_up_while_no_frames_flow() -> None:
    field = Field()
    field.run(5)
    field.seen.clear()
    field.dead = set(PATHS)
    field.run(60, is_flowing=False)
    assert field.seen == [] and field.members == {0, 1, 2}
    field.dead = set()
    field.run(2)
    assert field.members == {0, 1, 2}


def test_endpoints_that_the_peer_spreads_over_take_part_over_one_uplink() -> None:
    field = Field(PATHS[0], Path(Endpoint(OTHER_HOST, 1)))
    field.run(5)
    assert field.members == set()
    field.ask(field.ways[1], seconds=5)
    assert field.members == set(), "it uses the other one alone"
    field.ask(*field.ways, seconds=4)
    assert field.members == {0, 1}
    field.ask(field.ways[0], seconds=4)
    assert field.members == {0, 1}, "a few lost PROBEs say nothing"
    field.ask(field.ways[0], seconds=2)
    assert field.members == set()


def test_who_leads_over_a_further_uplink_to_a_further_endpoint_stands_for_two_others() -> None:
    """What is left when one of the peer's two uplinks comes back: three paths, of four."""
    far = [Path(Endpoint(OTHER_HOST, 1, uplink)) for uplink in range(2)]
    field = Field(PATHS[0], PATHS[1], far[0])
    field.ask(*field.ways, seconds=7.5)
    assert field.members == {0, 1, 2}
    assert field.places == {PATHS[0]: 3, far[0]: 3, PATHS[1]: 6}, "each uplink has its half"
    field.ways.append(field.add(far[1]))
    field.seen.clear()
    field.ask(*field.ways[:3], seconds=4.5)
    assert field.members == {0, 3}
    told = [each for each in field.seen if not isinstance(each, SendProbe)]
    assert [type(each) for each in told] == [SendingChanged, SendCopies], "in one step"
    field.ask(*field.ways, seconds=20)
    assert field.members == {0, 3}, "and nobody else is needed, though the peer uses all"


LINKS = st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans())
"""One of our uplinks, an endpoint of the peer's, and whether the peer spreads flows over it."""


@given(st.lists(LINKS, min_size=1, max_size=12, unique_by=lambda link: link[:2]))
def test_no_path_is_needed_twice_and_no_uplink_of_ours_is_left_out(
    links: list[tuple[int, int, bool]],
) -> None:
    ways = [
        Candidate(Path(Endpoint(f"192.0.2.{place}", 1, uplink)), Kind.TOLD, 0.0)
        for uplink, place, _ in links
    ]
    spread = [way for way, (_, _, is_used) in zip(ways, links, strict=True) if is_used]
    chosen = needed(ways[0], ways[1:], spread)
    assert chosen[0] is ways[0] and len(chosen) <= 4
    assert {way.uplink for way in chosen} == {way.uplink for way in ways} or len(chosen) == 4
    for number, way in enumerate(chosen[1:], 1):
        before = chosen[:number]
        is_new_place = way.path.endpoint.host not in {each.path.endpoint.host for each in before}
        assert way.uplink not in {each.uplink for each in before} or is_new_place
    assert needed(chosen[0], [*chosen[1:], *ways], spread) == chosen, "who takes part stays"


def test_when_it_is_not_wanted_any_more_all_goes_by_the_path_in_use() -> None:
    field = Field()
    field.run(5)
    field.bond.wanted = False
    field.bond.tell(field.active)
    assert field.outputs.pop() == SendingChanged(PATHS[0], 1472)
    field.seen.clear()
    field.run(5)
    assert field.seen == []


EVERY = [Path(Endpoint(HOST, port, uplink)) for uplink in range(4) for port in (1, 2)]


@given(st.lists(st.sets(st.sampled_from(EVERY), max_size=4), max_size=20))
def test_places_are_even_and_move_no_more_than_they_must(steps: list[set[Path]]) -> None:
    places: list[Path] = []
    for paths in steps:
        before, places = places, share_places(places, sorted(paths))
        counts = Counter(places)
        assert counts.keys() == (paths if len(paths) > 1 else set())
        uplinks = Counter(path.endpoint.uplink for path in paths)
        fair = {each: PLACES // len(uplinks) // uplinks[each.endpoint.uplink] for each in paths}
        assert not places or counts == fair
        if before and places:
            held = Counter(before)
            stay = sum(min(fair[path], held[path]) for path in paths)
            assert sum(b == a for b, a in zip(before, places, strict=True)) == stay
