"""Who carries our broadcasts on: shares, answers, loss, and what others may say to it."""

import random
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.network.replication import (
    ANSWER_S,
    CHOSEN,
    SETTLE_S,
    SHUNNED_S,
    TRIES,
    WAIT_S,
    Assign,
    Replicators,
    Targets,
)

ME = bytes(32)


def name(number: int) -> bytes:
    return number.to_bytes(32, "big")


MEMBERS = [name(number) for number in range(1, 41)]
VOLUNTEERS = MEMBERS[:12]


class Bench:
    """The machine under a virtual clock, and what it wants done."""

    def __init__(
        self, members: Collection[bytes] = MEMBERS, volunteers: Collection[bytes] = VOLUNTEERS
    ) -> None:
        self.now = 1000.0
        self.machine = Replicators(ME)
        self.machine.set_members(members, volunteers, self.now)
        self.asked: dict[bytes, Assign] = {}
        self.targets: tuple[tuple[bytes, int], ...] | None = None
        self.take()

    @property
    def waits(self) -> bool:
        """Broadcasts do."""
        return self.targets is None

    def take(self) -> list[Assign]:
        """What it wants now; the newest is remembered."""
        fresh = []
        while (output := self.machine.poll_output()) is not None:
            if isinstance(output, Targets):
                self.targets = output.targets
            else:
                fresh.append(output)
                self.asked[output.replicator] = output
        return fresh

    def wait(self, seconds: float) -> list[Assign]:
        end, fresh = self.now + seconds, []
        while (due := self.machine.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.machine.handle_timeout(self.now)
            fresh += self.take()
        self.now = end
        return fresh

    def answer(self, replicator: bytes, *, missing: Collection[bytes] = ()) -> None:
        number = self.asked[replicator].number
        self.machine.answered(replicator, number, missing, self.now)
        self.take()

    def open(self) -> "Bench":
        """A broadcast came, and all that were asked agreed."""
        self.machine.need(self.now)
        self.take()
        for replicator in list(self.machine.shares):
            self.answer(replicator)
        assert self.machine.is_open
        return self

    def check(self) -> None:
        """Every member gets each broadcast: from us, or from one who agreed to bring it."""
        if self.targets is None:
            return
        sent = [peer for peer, _ in self.targets]
        assert len(set(sent)) == len(sent)
        brought: list[bytes] = []
        for peer, number in self.targets:
            if number:
                share = self.machine.shares[peer]
                assert share.confirmed == number
                brought += share.carried
        assert set(sent) <= set(self.machine._members) <= {*sent, *brought}


def test_everybody_is_shared_out_once_among_a_few() -> None:
    bench = Bench()
    bench.machine.need(bench.now)
    asked = bench.take()
    assert len(asked) == CHOSEN and bench.waits
    shared = [member for one in asked for member in one.members]
    assert sorted(shared) == sorted(set(MEMBERS) - {one.replicator for one in asked})
    assert len({one.number for one in asked}) == CHOSEN and all(one.number for one in asked)
    bench.open()
    assert bench.targets is not None
    assert {peer for peer, number in bench.targets if number} == set(bench.machine.shares)
    assert len(bench.targets) == CHOSEN
    bench.check()


def test_who_does_not_answer_in_time_is_done_without() -> None:
    bench = Bench()
    bench.machine.need(bench.now)
    bench.take()
    first, silent, *_ = bench.machine.shares
    for replicator in bench.machine.shares:
        if replicator != silent:
            bench.answer(replicator)
    assert bench.waits
    bench.wait(WAIT_S)
    assert bench.targets is not None and (first in dict(bench.targets))
    assert dict(bench.targets)[silent] == 0
    assert all(dict(bench.targets)[each] == 0 for each in bench.asked[silent].members)
    bench.check()


def test_it_is_asked_again_given_up_and_chosen_again_later() -> None:
    bench = Bench(volunteers=VOLUNTEERS[:1])
    bench.machine.need(bench.now)
    (first,) = bench.take()
    again = bench.wait(ANSWER_S * TRIES + 0.1)
    assert again == [first] * (TRIES - 1), "the same number, so that any answer counts"
    assert not bench.machine.shares and bench.machine.is_open
    assert bench.targets == tuple((each, 0) for each in MEMBERS), "all are sent to directly"
    bench.wait(SHUNNED_S - 10)
    assert not bench.machine.shares
    (later,) = bench.wait(20)[:1]
    assert later.replicator == first.replicator and later.number > first.number


def test_one_that_vanishes_is_replaced_at_once_by_ourselves_and_then_by_others() -> None:
    bench = Bench().open()
    gone = next(iter(bench.machine.shares))
    carried = bench.machine.shares[gone].carried
    bench.machine.lost(gone, bench.now)
    bench.take()
    assert bench.targets is not None
    assert all(dict(bench.targets).get(each) == 0 for each in {*carried, gone})
    bench.check()
    bench.wait(0.01)
    for replicator in list(bench.machine.shares):
        bench.answer(replicator)
    assert gone not in bench.machine.shares and len(bench.machine.shares) == CHOSEN
    bench.check()
    bench.machine.lost(gone, bench.now)
    bench.machine.lost(b"who is that", bench.now)
    assert not bench.take(), "it is lost once"


def test_few_are_moved_when_one_goes() -> None:
    bench = Bench().open()
    before = {one: share.members for one, share in bench.machine.shares.items()}
    bench.machine.lost(next(iter(before)), bench.now)
    bench.wait(0.01)
    [new] = bench.machine.shares.keys() - before.keys()
    for replicator in bench.machine.shares.keys() & before.keys():
        left = set(before[replicator]) - set(bench.machine.shares[replicator].members)
        assert left <= {new, *bench.machine.shares[new].members}


def test_whom_a_replicator_does_not_reach_we_reach_ourselves() -> None:
    bench = Bench().open()
    replicator, share = next(
        (one, each) for one, each in bench.machine.shares.items() if each.members
    )
    missing = share.members[0]
    bench.answer(replicator, missing=[missing, ME, name(999)])
    assert bench.targets is not None and dict(bench.targets)[missing] == 0
    assert name(999) not in dict(bench.targets) and ME not in dict(bench.targets)
    bench.check()
    bench.answer(replicator)
    assert missing not in dict(bench.targets), "it is reached again"
    bench.check()


def test_a_newcomer_is_sent_to_directly_until_it_has_a_share() -> None:
    bench = Bench().open()
    newcomer = name(77)
    bench.machine.set_members([*MEMBERS, newcomer], VOLUNTEERS, bench.now)
    bench.take()
    assert bench.targets is not None and dict(bench.targets)[newcomer] == 0
    bench.check()
    (asked,) = bench.wait(SETTLE_S + 0.01)
    assert newcomer in asked.members
    assert dict(bench.targets)[newcomer] == 0, "the answer is what counts"
    assert dict(bench.targets)[asked.replicator] < asked.number, "the share before goes on"
    bench.answer(asked.replicator)
    assert newcomer not in dict(bench.targets)
    bench.check()


def test_who_is_no_member_any_more_is_sent_nothing() -> None:
    bench = Bench().open()
    gone = next(iter(bench.machine.shares))
    left = [each for each in MEMBERS if each != gone]
    bench.machine.set_members(left, [each for each in VOLUNTEERS if each != gone], bench.now)
    bench.take()
    assert bench.targets is not None and gone not in dict(bench.targets)
    bench.check()


@pytest.mark.parametrize("number", [1, 2**32 - 1, 12345])
def test_an_answer_to_what_was_not_asked_changes_nothing(number: int) -> None:
    bench = Bench().open()
    before, replicator = bench.targets, next(iter(bench.machine.shares))
    if bench.asked[replicator].number == number:
        number += 1000
    bench.machine.answered(replicator, number, (), bench.now)
    bench.machine.answered(name(39), 1, (), bench.now)
    bench.machine.answered(b"stranger", 0, (), bench.now)
    assert not bench.take() and bench.targets == before


def test_one_that_declines_is_asked_again_thrice_and_then_left_alone() -> None:
    bench = Bench().open()
    replicator = next(iter(bench.machine.shares))
    for _ in range(TRIES):
        bench.machine.answered(replicator, 0, (), bench.now)
        bench.take()
        assert bench.targets is not None and dict(bench.targets)[replicator] == 0
        bench.check()
    assert replicator not in bench.machine.shares
    assert not any(one.replicator == replicator for one in bench.wait(SHUNNED_S - 1))


def test_a_number_stands_for_one_list_of_one_replicator_and_later_ones_are_higher() -> None:
    bench, lists = Bench().open(), dict[int, Assign]()
    for turn in range(5):
        newest = max(lists, default=CHOSEN)
        bench.machine.set_members([*MEMBERS, name(100 + turn)], VOLUNTEERS, bench.now)
        for one in bench.wait(SETTLE_S + 0.01):
            assert one.number > newest or lists[one.number] == one
            assert lists.setdefault(one.number, one) == one


def test_without_volunteers_all_are_sent_to_directly() -> None:
    bench = Bench(volunteers=())
    bench.machine.need(bench.now)
    bench.take()
    assert bench.targets == tuple((each, 0) for each in MEMBERS), "nobody to wait for"


def test_one_that_is_at_rest_asks_nobody_and_begins_anew() -> None:
    bench = Bench().open()
    bench.machine.rest()
    bench.take()
    assert bench.waits and bench.machine.next_timeout() is None
    assert not bench.wait(1000.0)
    bench.open()
    bench.check()


@given(seed=st.integers(0, 2**32))
def test_whatever_is_said_nobody_is_left_out_or_served_twice(seed: int) -> None:
    """Answers of any kind, losses, rosters that change, time: everyone is reached by one way."""
    dice, bench = random.Random(seed), Bench()
    for _ in range(40):
        replicator = dice.choice(VOLUNTEERS)
        missing = dice.sample(MEMBERS, dice.randrange(5))
        match dice.randrange(7):
            case 0:
                bench.machine.need(bench.now)
            case 1 | 2:
                if replicator in bench.asked:
                    number = bench.asked[replicator].number
                    bench.machine.answered(replicator, number, missing, bench.now)
            case 3:
                number = dice.choice([0, 0, 1, 5, 2**32 - 1])
                bench.machine.answered(replicator, number, missing, bench.now)
            case 4:
                bench.machine.lost(replicator, bench.now)
            case 5:
                members = dice.sample(MEMBERS, dice.randrange(len(MEMBERS)))
                volunteers = [each for each in VOLUNTEERS if each in members]
                bench.machine.set_members(members, volunteers, bench.now)
            case _:
                bench.wait(dice.choice([0.1, 1.0, 3.0, 70.0]))
        bench.take()
        bench.check()
        assert len(bench.machine.shares) <= CHOSEN
        assert set(bench.machine._shunned) <= set(VOLUNTEERS)
