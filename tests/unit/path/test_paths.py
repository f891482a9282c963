from collections import Counter
from itertools import pairwise

import pytest

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.errors import StateError
from l2mesh.path.candidate import Kind
from l2mesh.path.outputs import PeerSilent, SendProbe
from l2mesh.path.paths import PathSet
from l2mesh.path.probe import ProbeLimiter
from l2mesh.path.state import PathState
from tests.unit.path.net import RELAY, End, Nat, Net

OPEN_A, OPEN_B = "198.51.100.1", "198.51.100.2"


def public() -> tuple[Nat, Nat]:
    return Nat(OPEN_A, open=True), Nat(OPEN_B, open=True)


def behind_nats() -> tuple[Nat, Nat]:
    return Nat(OPEN_A), Nat(OPEN_B)


def both_direct(a: End, b: End) -> bool:
    return a.paths.is_direct and b.paths.is_direct


def talk(net: Net, a: End, b: End, seconds: float, *, every: float = 0.1) -> None:
    net.every(every, a.send_frame, net.now + seconds)
    net.every(every, b.send_frame, net.now + seconds)
    net.run(seconds)


def widest_gap(end: End, since: float, until: float) -> float:
    times = [since, *(at for at, _ in end.frames if since < at < until), until]
    return max(later - earlier for earlier, later in pairwise(times))


def test_traffic_starts_on_the_relay_and_moves_to_the_direct_path() -> None:
    net = Net()
    a, b = net.pair(*public())
    net.meet()
    assert a.paths.state is PathState.RELAYED
    net.run(0.5)
    for end in (a, b):
        assert end.paths.active == Path(end.peer.endpoint) and end.paths.is_direct
        assert [path for _, path in end.moves] == [RELAY, Path(end.peer.endpoint)]
        assert end.paths.rtt_ms == pytest.approx(40.0)


def test_two_port_preserving_nats_are_opened_from_both_sides() -> None:
    net = Net()
    a, b = net.pair(*behind_nats())
    net.meet()
    net.run(1.0)
    assert both_direct(a, b)


def test_nat_of_one_side_opens_when_the_other_begins_late() -> None:
    net = Net()
    a, b = net.pair(*behind_nats())
    for end in (a, b):
        end.paths.add_relay(RELAY, net.now)
        end.paths.session_live(net.now)
    a.paths.add_candidates([b.endpoint], Kind.TOLD, net.now)
    net.run(2.5)
    assert a.paths.active == RELAY
    b.paths.add_candidates([a.endpoint], Kind.TOLD, net.now)
    net.run(1.5)
    assert both_direct(a, b)


def test_symmetric_nat_reaches_a_host_without_nat() -> None:
    net = Net()
    a, b = net.pair(Nat(OPEN_A, symmetric=True), Nat(OPEN_B, open=True))
    net.meet()
    net.run(1.0)
    assert both_direct(a, b)
    assert b.paths.active == Path(Endpoint(OPEN_A, 40000))


def test_two_symmetric_nats_stay_on_the_relay_without_a_storm() -> None:
    net = Net()
    a, b = net.pair(Nat(OPEN_A, symmetric=True), Nat(OPEN_B, symmetric=True))
    net.meet()
    start = net.now
    talk(net, a, b, 600.0, every=0.5)
    for end in (a, b):
        assert end.paths.active == RELAY and len(end.moves) == 1
        assert not end.silent
        times = [at for at, path in end.probes if not path.relay]
        for at in times:
            assert sum(at <= other < at + 10.0 for other in times) <= 8
        # at first and after 5, 10, 35 s, then every minute
        assert len(times) <= 8 * 13
        assert max(times) > start + 500


def test_falls_back_to_the_relay_when_the_direct_path_dies() -> None:
    net = Net()
    a, b = net.pair(*public())
    net.meet()
    talk(net, a, b, 10.0)
    net.blocked = {("a", "b"), ("b", "a")}
    died = net.now
    talk(net, a, b, 10.0)
    for end in (a, b):
        assert end.paths.active == RELAY
        assert widest_gap(end, died, net.now) < 4.6
        assert not end.silent
    net.blocked = set()
    talk(net, a, b, 70.0)
    assert both_direct(a, b)


def test_one_dead_direction_moves_both_ends() -> None:
    net = Net()
    a, b = net.pair(*public())
    net.meet()
    talk(net, a, b, 10.0)
    net.blocked = {("a", "b")}
    died = net.now
    talk(net, a, b, 10.0)
    assert a.paths.active == RELAY and b.paths.active == RELAY
    assert widest_gap(b, died, net.now) < 8.0


def test_peer_that_moved_is_followed_within_two_seconds() -> None:
    net = Net()
    a, b = net.pair(*public())
    net.meet()
    talk(net, a, b, 10.0)
    b.nat = Nat("198.51.100.77", open=True)
    moved = net.now
    talk(net, a, b, 5.0)
    assert a.paths.active == Path(Endpoint("198.51.100.77", 2222))
    assert a.moves[-1][0] - moved < 2.3
    assert b.paths.active == Path(a.endpoint)


def test_lossy_path_is_kept_while_frames_arrive() -> None:
    net = Net(seed=7)
    a, b = net.pair(*public())
    net.meet()
    talk(net, a, b, 5.0)
    net.loss = 0.3
    moves = len(a.moves), len(b.moves)
    talk(net, a, b, 120.0)
    assert (len(a.moves), len(b.moves)) == moves
    assert 0.1 < a.paths.loss + b.paths.loss < 1.6


def test_silent_peer_is_reported_within_four_seconds_and_not_again_at_once() -> None:
    net = Net()
    a, b = net.pair(*public())
    net.meet()
    talk(net, a, b, 5.0)
    b.has_session = False
    b.paths.session_lost(net.now)
    gone = net.now
    net.every(0.1, a.send_frame, net.now + 60.0)
    net.run(20.0)
    assert len(a.silent) == 1 and a.silent[0] - gone < 4.5
    assert a.paths.active == RELAY
    net.run(40.0)
    assert 2 <= len(a.silent) <= 3


def test_relay_alone_that_dies_is_kept_and_reported() -> None:
    net = Net()
    a, b = net.pair(Nat(OPEN_A, symmetric=True), Nat(OPEN_B, symmetric=True))
    net.meet()
    talk(net, a, b, 5.0)
    net.relay_works = False
    talk(net, a, b, 20.0)
    assert a.paths.active == RELAY and len(a.silent) == 1
    beats = [at for at, path in a.probes if path.relay and at > a.silent[0] + 4]
    assert 2 <= len(beats) <= 12
    net.relay_works = True
    talk(net, a, b, 10.0)
    assert a.paths.active == RELAY and len(a.silent) == 1


def test_idle_pair_is_kept_alive_every_25_s_and_left_alone_after_ten_minutes() -> None:
    net = Net()
    a, b = net.pair(*behind_nats())
    net.meet()
    talk(net, a, b, 5.0)
    begun = net.now
    net.run(590.0)
    assert both_direct(a, b)
    times = sorted(at for end in (a, b) for at, _ in end.probes if at > begun)
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) <= 2 * 590 / 24 + 4
    assert max(steps) <= 26.5
    net.run(15.0)
    assert not a.paths.is_direct and not b.paths.is_direct
    before = len(a.probes) + len(b.probes)
    net.run(3600.0)
    assert len(a.probes) + len(b.probes) == before
    talk(net, a, b, 3.0)
    assert both_direct(a, b)


def test_controller_is_kept_alive_by_the_relay_while_nobody_sends_frames() -> None:
    net = Net()
    a, _ = net.pair(*public())
    a.paths.set_always(True, rests=True)
    net.meet()
    net.run(599.0)
    assert a.paths.is_direct
    net.run(30.0)
    assert a.paths.active == RELAY and a.paths.proven == RELAY
    before = len(a.probes)
    net.run(3600.0)
    paths = {path for _, path in a.probes[before:]}
    assert paths == {RELAY} and len(a.probes) - before < 3600 / 20
    a.paths.note_need(net.now)
    net.run(1.5)
    assert a.paths.is_direct


def test_controller_whose_relay_dies_is_reached_directly_until_there_is_another() -> None:
    net = Net()
    a, b = net.pair(*public())
    a.paths.set_always(True, rests=True)
    net.meet()
    net.run(700.0)
    assert a.paths.active == RELAY
    net.relay_works = False
    net.run(40.0)
    assert a.paths.active == Path(b.endpoint)
    net.relay_works = True
    a.paths.remove_relay(RELAY, net.now)
    a.paths.add_relay(RELAY, net.now)
    net.run(3.0)
    assert a.paths.active == RELAY


def test_planets_are_kept_alive_for_ever() -> None:
    net = Net()
    a, b = net.pair(Nat(OPEN_A), Nat(OPEN_B, open=True))
    a.paths.set_always(True)
    a.paths.add_candidates([b.endpoint], Kind.TOLD, net.now)
    for end in (a, b):
        end.paths.session_live(net.now)
    net.run(3600.0)
    assert both_direct(a, b) and not a.silent
    times = [at for at, _ in a.probes]
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert max(steps) <= 26.0 and len(times) < 3600 / 20


def test_every_endpoint_of_a_planet_is_kept_open_once_it_answered() -> None:
    paths = machine()
    paths.set_always(True)
    paths.keep_all_open()
    paths.add_candidates([HERE.endpoint, THERE.endpoint], Kind.TOLD, 0.0)
    for probe in probes(paths):
        paths.receive_reply(probe.nonce, probe.path, 0.1)
    assert active(paths) == HERE
    paths.handle_timeout(24.0)
    drain(paths)
    paths.handle_timeout(25.0)
    assert THERE in [probe.path for probe in probes(paths)]
    paths.handle_timeout(25.1)
    assert THERE not in [probe.path for probe in probes(paths)]


def test_peer_is_followed_to_the_endpoint_by_which_it_speaks_once_that_answered() -> None:
    paths = machine()
    paths.add_candidates([HERE.endpoint, THERE.endpoint], Kind.TOLD, 0.0)
    of = {probe.path: probe.nonce for probe in probes(paths)}
    paths.receive_reply(of[HERE], HERE, 0.1)
    paths.follow(THERE, 0.2)
    assert active(paths) == HERE
    paths.receive_reply(of[THERE], THERE, 0.3)
    assert active(paths) == THERE
    paths.follow(HERE, 0.4)
    assert active(paths) == HERE
    paths.follow(Path(Endpoint("203.0.113.9", 9)), 0.5)
    assert active(paths) == HERE


def test_suspend_kills_no_path() -> None:
    net = Net()
    a, b = net.pair(*public())
    net.meet()
    talk(net, a, b, 5.0)
    a.send_frame()
    net.now += 300.0  # both hosts slept
    moves = len(a.moves)
    talk(net, a, b, 5.0)
    assert len(a.moves) == moves and not a.silent


def test_relay_only_neither_uses_nor_probes_direct_paths() -> None:
    net = Net()
    a, b = net.pair(*public(), direct=False)
    net.meet()
    talk(net, a, b, 30.0)
    assert a.paths.active == RELAY and a.paths.handshake_paths() == (RELAY,)
    assert all(path.relay for _, path in a.probes)


def test_nothing_is_sent_without_a_session() -> None:
    net = Net()
    a, _ = net.pair(*public())
    net.meet()
    net.run(2.0)
    a.paths.session_lost(net.now)
    assert a.paths.state is PathState.DOWN and a.paths.next_timeout() is None
    before = len(a.probes)
    a.paths.source_seen(Path(Endpoint("198.51.100.9", 9)), net.now)
    a.paths.receive_probe(Path(Endpoint("198.51.100.9", 9)), net.now)
    net.run(60.0)
    assert len(a.probes) == before
    assert a.paths.handshake_paths()[0] == Path(a.peer.endpoint)


# --- one machine -------------------------------------------------------------------------------

HERE, THERE = Path(Endpoint("192.0.2.1", 1)), Path(Endpoint("192.0.2.2", 2))


def machine(*, live: bool = True) -> PathSet:
    numbers = iter(range(1, 10000))
    paths = PathSet(random=lambda size: next(numbers).to_bytes(size, "big"), limiter=ProbeLimiter())
    if live:
        paths.session_live(0.0)
    return paths


def active(paths: PathSet) -> Path | None:
    return paths.active


def drain(paths: PathSet) -> list[object]:
    outputs: list[object] = []
    while (output := paths.poll_output()) is not None:
        outputs.append(output)
    return outputs


def probes(paths: PathSet) -> list[SendProbe]:
    return [output for output in drain(paths) if isinstance(output, SendProbe)]


def test_reply_from_a_wrong_source_or_with_a_wrong_nonce_moves_nothing() -> None:
    paths = machine()
    paths.add_candidates([HERE.endpoint], Kind.TOLD, 0.0)
    (probe,) = probes(paths)
    assert not paths.receive_reply(probe.nonce, THERE, 0.1)
    assert not paths.receive_reply(probe.nonce + 1, HERE, 0.1)
    assert not paths.receive_reply(probe.nonce, Path(HERE.endpoint, 5), 0.1)
    assert active(paths) is None
    assert paths.receive_reply(probe.nonce, HERE, 0.1)
    assert active(paths) == HERE
    assert not paths.receive_reply(probe.nonce, HERE, 0.2)


def test_source_of_a_packet_is_challenged_once_and_moves_nothing() -> None:
    paths = machine()
    paths.add_relay(RELAY, 0.0)
    drain(paths)
    paths.source_seen(THERE, 5.0)
    sent = probes(paths)
    assert [probe.path for probe in sent if not probe.path.relay] == [THERE]
    assert paths.active == RELAY


def test_many_sources_are_bounded() -> None:
    paths = machine()
    for number in range(200):
        paths.source_seen(Path(Endpoint(f"192.0.2.{number}", 9)), 1.0)
    paths.set_always(True)
    assert len(paths.handshake_paths()) == 4


def test_source_with_an_unknown_relay_is_no_candidate() -> None:
    paths = machine()
    paths.source_seen(Path(HERE.endpoint, 99), 1.0)
    paths.receive_probe(Path(HERE.endpoint, 99), 1.0)
    assert drain(paths) == []


def test_one_endpoint_told_by_many_peers_is_not_hammered() -> None:
    limiter = ProbeLimiter()
    peers = [PathSet(random=bytes, limiter=limiter) for _ in range(100)]
    sent: Counter[int] = Counter()
    for tick in range(1200):
        now = tick / 20
        for paths in peers:
            if tick == 0:
                paths.session_live(now)
                paths.add_candidates([HERE.endpoint], Kind.TOLD, now)
            paths.handle_timeout(now)
            sent[tick // 200] += len(probes(paths))
    assert max(sent.values()) <= 8


def test_quicker_relay_is_taken_once_both_are_measured() -> None:
    other = Path(Endpoint("203.0.113.2", 9993), 88)
    paths = machine()
    paths.add_relay(RELAY, 0.0)
    paths.add_relay(other, 0.0)
    assert active(paths) == RELAY
    by_path = {probe.path: probe.nonce for probe in probes(paths)}
    paths.receive_reply(by_path[other], other, 0.02)
    assert active(paths) == RELAY
    paths.receive_reply(by_path[RELAY], RELAY, 0.1)
    assert active(paths) == other
    paths.remove_relay(other, 1.0)
    assert active(paths) == RELAY
    paths.remove_relay(RELAY, 1.0)
    assert active(paths) is None and paths.relays == ()


def test_relay_is_doubted_when_the_peer_does_not_answer() -> None:
    paths = machine()
    paths.add_relay(RELAY, 0.0)
    paths.challenge(5.0)
    paths.challenge(5.5)
    assert paths.poll_doubted() is None
    paths.handle_timeout(6.0)
    assert [paths.poll_doubted(), paths.poll_doubted()] == [RELAY, None]


def test_path_that_is_no_relay_is_refused_as_one() -> None:
    with pytest.raises(StateError):
        machine().add_relay(HERE, 0.0)


def test_without_any_path_the_peer_is_silent_after_one_round() -> None:
    paths = machine()
    paths.add_candidates([HERE.endpoint], Kind.TOLD, 0.0)
    silent_at = None
    while silent_at is None:
        now = paths.next_timeout()
        assert now is not None
        paths.handle_timeout(now)
        if any(isinstance(output, PeerSilent) for output in drain(paths)):
            silent_at = now
    assert silent_at == pytest.approx(3.5)


def test_handshakes_go_to_all_endpoints_of_a_planet() -> None:
    paths = machine(live=False)
    paths.set_always(True)
    paths.add_candidates([HERE.endpoint, THERE.endpoint], Kind.TOLD, 0.0)
    assert drain(paths) == []
    assert paths.handshake_paths() == paths.handshake_paths() == (HERE, THERE)


def test_handshakes_go_to_no_endpoint_that_a_member_only_named() -> None:
    paths = machine(live=False)
    paths.add_candidates([HERE.endpoint], Kind.TOLD, 0.0)
    paths.add_candidates([THERE.endpoint], Kind.REMEMBERED, 0.0)
    assert paths.handshake_paths() == (THERE,)


def test_own_move_tries_all_candidates_again() -> None:
    paths = machine()
    paths.add_candidates([HERE.endpoint], Kind.TOLD, 0.0)
    (probe,) = probes(paths)
    paths.receive_reply(probe.nonce, HERE, 0.1)
    paths.add_candidates([HERE.endpoint], Kind.TOLD, 20.0)
    assert probes(paths) == []
    paths.add_candidates([], Kind.TOLD, 20.0, again=True)
    assert [probe.path for probe in probes(paths)] == [HERE]
