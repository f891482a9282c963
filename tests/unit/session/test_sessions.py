"""All sessions of a pair: begun, crossed, renewed, lapsed, and never losing a frame."""

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import TypeGuard

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2mesh.crypto import Cipher
from l2mesh.datapath.interface import InstallReceive, InstallSend, RemoveSend, RemoveSession
from l2mesh.errors import HandshakeError
from l2mesh.session import macs
from l2mesh.session.handshake import Refusal, Role, open_init
from l2mesh.session.offering import Offering
from l2mesh.session.outputs import (
    ConnectFailed,
    SendHandshake,
    SessionCurrent,
    SessionDead,
    SessionLive,
)
from l2mesh.session.sessions import SessionSet
from tests.unit.session.pair import (
    CRYPTO,
    LATENCY_S,
    NETWORK,
    PATH,
    Data,
    Host,
    Packet,
    World,
    identity,
)


def inits(world: World, host: Host) -> list[bytes]:
    return [each for who, each in world.sent if who is host and is_handshake(each, 1)]


def is_handshake(packet: Packet, kind: int) -> TypeGuard[bytes]:
    return isinstance(packet, bytes) and packet[0] == kind


def connected(*, seed: int = 1) -> World:
    world = World(seed=seed)
    world.accept()
    world.connect()
    assert world.agreed()
    return world


def traffic(world: World, seconds: float, every: float = 0.05) -> tuple[list[str], list[str]]:
    """Frames from both ends at a steady pace; returns what each end was sent."""
    sent: tuple[list[str], list[str]] = ([], [])
    for step in range(int(seconds / every)):
        for host, texts in ((world.a, sent[1]), (world.b, sent[0])):
            text = f"{host.name}{step} at {world.now}"
            assert world.frame(host, text), f"no key to send at {world.now}"
            texts.append(text)
        world.run(every)
    world.run(1.0)
    return sent


# --- beginning ------------------------------------------------------------------------------------


def test_frames_flow_both_ways_after_one_round_trip() -> None:
    world = World()
    world.accept()
    world.a.sessions.connect(world.now)
    world.pump(world.a)
    world.run(2 * LATENCY_S)
    assert world.frame(world.a, "first")
    world.run(LATENCY_S)
    assert world.b.got == ["first"]
    assert world.frame(world.b, "back")
    world.run(LATENCY_S)
    assert world.a.got == ["back"]


def test_receive_keys_are_installed_before_the_datagram_that_announces_them() -> None:
    world = connected()
    kinds = [type(each) for each in world.b.log]
    assert kinds[:3] == [InstallReceive, InstallReceive, SendHandshake]
    assert kinds[3:] == [InstallSend, SessionLive, SessionCurrent, InstallSend]


def test_connect_is_idempotent() -> None:
    world = connected()
    for _ in range(3):
        world.a.sessions.connect(world.now)
    world.pump(world.a)
    assert len(inits(world, world.a)) == 1


@pytest.mark.parametrize("kind", [1, 2])
def test_lost_handshake_datagrams_are_made_up_for(kind: int) -> None:
    world = World()
    world.accept()
    lost: list[Packet] = []

    def drop(_host: Host, packet: Packet) -> bool:
        if is_handshake(packet, kind) and len(lost) < 2:
            lost.append(packet)
            return True
        return False

    world.drop = drop
    world.connect()
    world.run(2.0)
    assert len(lost) == 2
    assert world.agreed()
    assert len(inits(world, world.a)) == 3


def test_lost_confirmation_is_repeated() -> None:
    world = World()
    lost: list[Packet] = []

    def drop(_host: Host, packet: Packet) -> bool:
        if isinstance(packet, Data) and len(lost) < 3:
            lost.append(packet)
            return True
        return False

    world.drop = drop
    world.connect()
    world.run(3.0)
    assert world.agreed()
    assert len(inits(world, world.a)) == 1


def test_retries_follow_the_schedule_and_end_after_30_seconds() -> None:
    world = World()
    times: list[float] = []

    def drop(_host: Host, _packet: Packet) -> bool:
        times.append(world.now)
        return True

    world.drop = drop
    world.connect()
    world.run(60.0)
    waits = [later - earlier for earlier, later in pairwise(times)]
    for wait, nominal in zip(waits, [0.5, 0.5, 0.5, 1, 1, 1, 2, 2, 5, 5, 5, 5], strict=False):
        assert nominal <= wait <= 1.1 * nominal
    assert times[-1] < times[0] + 30.0
    assert len({each[4:8] for each in inits(world, world.a)}) == len(times)
    assert len({each[8:40] for each in inits(world, world.a)}) == len(times)
    assert world.a.events(ConnectFailed) == [ConnectFailed()]
    assert world.a.sessions.next_timeout() is None
    assert len(world.a.indices) == 0


def test_the_last_two_attempts_can_be_answered() -> None:
    world = World(drop=lambda _host, _packet: True)
    world.connect()
    world.run(0.3)
    first, second, third = inits(world, world.a)
    world.drop = lambda _host, _packet: False
    world.arrive(world.b, first)
    world.run(LATENCY_S)
    assert world.a.refused == [Refusal.UNKNOWN]
    world.arrive(world.b, second)
    world.run(3 * LATENCY_S)
    assert world.agreed()
    world.arrive(world.b, third)
    world.run(1.0)
    assert world.a.refused == [Refusal.UNKNOWN] * 2
    assert len(world.a.events(SessionLive)) == 1


@pytest.mark.parametrize("gap", [0.0, 0.005, 0.019, 0.021, 0.03, 0.041, 0.05, 0.07])
@pytest.mark.parametrize("a_first", [True, False])
def test_crossing_handshakes_converge_on_one_session(gap: float, *, a_first: bool) -> None:
    world = World()
    world.accept()
    first, second = (world.a, world.b) if a_first else (world.b, world.a)
    for host, at in ((first, world.now), (second, world.now + gap)):
        world.at(at, lambda host=host: host.sessions.connect(world.now))  # type: ignore[misc]
    world.run(4.0)
    assert world.agreed()
    assert world.frame(world.a, "x") and world.frame(world.b, "y")
    assert world.a.send[NETWORK].session == world.a.sessions.current
    assert world.b.send[NETWORK].session == world.b.sessions.current
    world.run(1.0)
    assert (world.a.got, world.b.got) == (["y"], ["x"])
    if gap == 0.0:
        assert isinstance(world.a.log[-1], SessionLive | SessionCurrent | InstallSend)
        lives = {each.initiator for each in world.a.log if isinstance(each, SessionLive)}
        assert True in lives, "the smaller fingerprint's session is used"


def test_after_a_restart_of_the_peer_the_newer_session_is_used_though_they_cross() -> None:
    world = World()
    world.accept()
    world.connect(world.a)
    world.a = Host("a", world.a.local, world.b.local, world.a.random)
    world.a.sessions.accept(NETWORK, None, world.now)
    world.run(3.0)
    world.b.sessions.restart(world.now)
    world.pump(world.b)
    world.run(1.0)
    assert world.agreed()


@pytest.mark.parametrize("first", ["a", "b"])
@pytest.mark.parametrize("again", ["a", "b"])
def test_a_peer_that_was_started_anew_within_seconds_is_heard(first: str, again: str) -> None:
    world = World()
    world.accept()
    world.connect(getattr(world, first))
    fresh: Host = getattr(world, again)
    fresh = Host(again, fresh.local, world.other(fresh).local, fresh.random)
    setattr(world, again, fresh)
    fresh.sessions.accept(NETWORK, None, world.now)
    world.connect(fresh)
    assert world.agreed()
    traffic(world, 5.0, every=1.0)
    assert fresh.lost == 0


def test_session_on_which_nothing_came_gives_way_after_three_seconds() -> None:
    """The peer died as soon as it had answered; what its successor began is heard."""
    world = World()
    world.accept()
    world.a.sessions.connect(world.now)
    world.pump(world.a)
    world.run(2.5 * LATENCY_S)
    silent = world.a.sessions.current
    assert silent is not None
    world.b = Host("b", world.b.local, world.a.local, world.b.random)
    world.b.sessions.accept(NETWORK, None, world.now)
    world.b.sessions.connect(world.now)
    world.pump(world.b)
    world.run(2.8)
    assert world.a.sessions.current == silent
    world.run(0.5)
    assert world.a.sessions.current != silent and world.agreed()
    world.run(10.0)
    assert world.agreed()


@pytest.mark.parametrize("end", ["a", "b"])
def test_a_handshake_begun_on_purpose_is_no_crossing(end: str) -> None:
    world = connected()
    host: Host = getattr(world, end)
    host.sessions.key_spent(host.sessions.current or 0, world.now)
    world.pump(host)
    world.run(1.0)
    assert len(host.events(SessionCurrent)) == 2 and world.agreed()


def test_restart_begins_once_in_five_seconds() -> None:
    world = connected()
    world.drop = lambda _host, _packet: True
    world.run(5.0)
    for _ in range(3):
        world.a.sessions.restart(world.now)
    world.pump(world.a)
    assert len(inits(world, world.a)) == 2
    assert world.a.sessions.current is not None


def test_restart_asked_for_too_early_begins_later() -> None:
    world = connected()
    world.run(1.0)
    world.a.sessions.restart(world.now)
    world.pump(world.a)
    assert len(inits(world, world.a)) == 1
    world.run(4.5)
    assert len(inits(world, world.a)) == 2 and world.agreed()
    world.run(60.0)
    assert len(inits(world, world.a)) == 2, "once"


def test_restart_asked_for_too_early_is_spared_by_another_session() -> None:
    world = connected()
    world.run(1.0)
    world.a.sessions.restart(world.now)
    world.b.sessions.key_spent(world.b.sessions.current or 0, world.now)
    world.pump(world.b)
    world.run(10.0)
    assert len(inits(world, world.a)) == 1 and world.agreed()


# --- answering ------------------------------------------------------------------------------------


def test_replayed_init_displaces_nothing() -> None:
    world = connected()
    replay = inits(world, world.a)[0]
    before = world.b.sessions.current
    log = len(world.b.log)
    for _ in range(3):
        world.run(10.0)
        world.arrive(world.b, replay)
    world.run(10.0)
    assert world.b.sessions.current == before
    # the session that the INIT made is remembered: it is not even answered
    assert world.b.log[log:] == []
    assert world.frame(world.b, "still") and world.frame(world.a, "here")


def test_replay_of_an_init_whose_session_is_forgotten_makes_an_unconfirmed_one() -> None:
    world = connected()
    replay = inits(world, world.a)[0]
    traffic(world, 200.0, every=1.0)
    before, log = world.b.sessions.current, len(world.b.log)
    world.arrive(world.b, replay)
    world.run(6.0)
    kinds = [type(each) for each in world.b.log[log:]]
    assert kinds == [InstallReceive, InstallReceive, SendHandshake, RemoveSession]
    assert world.b.sessions.current == before


def test_duplicate_by_a_second_path_gets_the_same_answer() -> None:
    world = World(drop=lambda _host, _packet: True)
    world.connect()
    init = inits(world, world.a)[0]
    world.arrive(world.b, init)
    world.arrive(world.b, init)
    answers = world.b.events(SendHandshake)
    assert len(answers) == 2
    assert answers[0] == answers[1]


def test_fifth_unconfirmed_session_is_refused_and_the_four_stay() -> None:
    world = World(drop=lambda _host, _packet: True)
    world.connect()
    world.run(30.0)
    first_five = inits(world, world.a)[:5]
    for each in first_five:
        world.arrive(world.b, each)
    assert world.b.refused == [Refusal.UNCONFIRMED]
    assert len(world.b.receive) == 4
    world.run(4.9)
    assert len(world.b.receive) == 4
    world.run(0.2)
    assert world.b.receive == {}
    assert len(world.b.indices) == 0
    world.arrive(world.b, first_five[4])
    assert len(world.b.receive) == 1


def test_init_of_another_peer_is_refused() -> None:
    world, stranger = connected(), World(seed=50)
    stranger.drop = lambda _host, _packet: True
    foreign = SessionSet(
        Offering(
            local=stranger.a.local,
            peer=world.b.local.public,
            role=Role.NODE,
            crypto=CRYPTO,
            random=stranger.a.random.randbytes,
            ciphers=frozenset(Cipher),
        ),
        indices=stranger.a.indices,
        next_id=stranger.a.next_id,
    )
    foreign.connect(0.0)
    output = foreign.poll_output()
    assert isinstance(output, SendHandshake)
    log = len(world.b.log)
    world.arrive(world.b, output.datagram)
    assert world.b.refused == [Refusal.FOREIGN_IDENTITY]
    assert len(world.b.log) == log


def test_response_is_no_longer_than_its_init_and_the_rest_is_announced_later() -> None:
    world = World()
    networks = range(1, 60)
    for network in networks:
        world.b.sessions.accept(network, None, world.now)
    world.a.sessions.accept(59, None, world.now)
    world.a.sessions.connect(world.now)
    world.pump(world.a)
    world.run(LATENCY_S)
    responses = [each for each in world.b.log if isinstance(each, SendHandshake)]
    assert len(responses[0].datagram) <= len(inits(world, world.a)[0]) == 384
    told = 59 - len(world.b.sessions.unannounced(1))
    assert told == (384 - 205 - 14 - 3) // 12
    world.run(1.0)
    assert world.a.send[59].network == 59


def test_init_announces_as_many_networks_as_1200_bytes_hold() -> None:
    world = World()
    for network in range(1, 101):
        world.a.sessions.accept(network, None, world.now)
        world.b.sessions.accept(network, None, world.now)
    world.connect()
    assert 1188 < len(inits(world, world.a)[0]) <= 1200
    assert len(world.b.send) == len(world.a.send) == 64  # what a peer remembers in one session


# --- cookies --------------------------------------------------------------------------------------


def test_cookie_round() -> None:
    world = World()
    secret = macs.CookieSecret(b"s" * 32)
    public = world.b.local.public.exchange
    cookie_key = macs.cookie_key(public)

    def guard(host: Host, packet: Packet) -> bool:
        if not is_handshake(packet, 1):
            return False
        if secret.accepts(packet, PATH, world.now):
            return False
        answer = macs.cookie_datagram(
            packet,
            cookie=secret.cookie(PATH, world.now),
            key=cookie_key,
            crypto=CRYPTO,
            random=host.random.randbytes,
        )
        world.at(world.now + LATENCY_S, lambda: world.arrive(host, answer))
        return True

    world.drop = guard
    world.connect()
    assert world.agreed()
    plain, shown = inits(world, world.a)
    assert plain[:-16] == shown[:-16] and plain[-16:] == macs.NO_MAC
    world.run(60.0)
    world.a.sessions.restart(world.now)
    world.pump(world.a)
    world.run(1.0)
    assert len(inits(world, world.a)) == 3, "the cookie is remembered"
    world.run(70.0)
    world.a.sessions.restart(world.now)
    world.pump(world.a)
    world.run(1.0)
    assert inits(world, world.a)[3][-16:] == macs.NO_MAC


def test_cookie_repeats_an_init_once_and_must_answer_it() -> None:
    world = World(drop=lambda _host, _packet: True)
    world.connect()
    init = inits(world, world.a)[-1]
    key = macs.cookie_key(world.b.local.public.exchange)
    made = [
        macs.cookie_datagram(
            init, cookie=b"c" * 16, key=key, crypto=CRYPTO, random=world.a.random.randbytes
        )
        for _ in range(3)
    ]
    for each in made:
        world.arrive(world.a, each)
    assert inits(world, world.a).count(init) == 1
    assert len(inits(world, world.a)) == 3
    forged = made[0][:-1] + bytes([made[0][-1] ^ 1])
    foreign = made[0][:4] + bytes(4) + made[0][8:]
    world.arrive(world.a, forged)
    world.arrive(world.a, foreign)
    world.arrive(world.a, made[0][:-1])
    assert world.a.refused == [Refusal.AUTHENTICATION, Refusal.UNKNOWN, Refusal.MALFORMED]


# --- renewing and ending --------------------------------------------------------------------------


def test_rekey_under_constant_traffic_loses_nothing() -> None:
    world = connected()
    sent = traffic(world, 400.0)
    assert (world.a.got, world.b.got) == sent
    assert world.a.lost == world.b.lost == 0
    assert len(world.a.events(SessionLive)) == 4
    assert len(world.a.events(SessionDead)) == 2


@pytest.mark.parametrize("kind", [1, 2])
def test_rekey_survives_lost_handshakes(kind: int) -> None:
    world = connected()
    lost: list[Packet] = []

    def drop(_host: Host, packet: Packet) -> bool:
        if is_handshake(packet, kind) and len(lost) < 4:
            lost.append(packet)
            return True
        return False

    world.drop = drop
    sent = traffic(world, 200.0)
    assert len(lost) == 4
    assert (world.a.got, world.b.got) == sent


def test_rekey_survives_a_lost_confirmation() -> None:
    world = connected()
    lost: list[Packet] = []

    def drop(_host: Host, packet: Packet) -> bool:
        if isinstance(packet, Data) and packet.content is None:
            lost.append(packet)
            return True
        return False

    world.drop = drop
    sent = traffic(world, 130.0)
    assert lost
    assert (world.a.got, world.b.got) == sent
    assert len(world.b.events(SessionLive)) == 2, "a frame confirms as well"


def test_responder_renews_at_150_seconds_if_the_initiator_does_not() -> None:
    world = connected()
    world.drop = lambda host, packet: host is world.a and is_handshake(packet, 1)
    traffic(world, 155.0, every=0.5)
    assert len(inits(world, world.b)) == 1
    assert len(world.b.events(SessionLive)) == 2
    assert world.agreed()


def test_spent_key_is_renewed_at_once() -> None:
    world = connected()
    current = world.a.sessions.current
    assert current is not None
    world.a.sessions.key_spent(current, world.now)
    world.pump(world.a)
    world.run(1.0)
    assert world.a.sessions.current != current
    world.a.sessions.key_spent(current, world.now)
    world.pump(world.a)
    assert len(inits(world, world.a)) == 2


def test_keys_are_erased_at_180_seconds() -> None:
    world = connected()
    world.drop = lambda _host, _packet: True
    world.run(178.9)
    assert world.a.receive and world.a.sessions.current is not None
    world.run(1.2)
    for host in (world.a, world.b):
        assert host.sessions.current is None
        assert not host.receive and not host.control and not host.send
        assert host.events(RemoveSession) and host.events(SessionDead)
        assert not host.events(RemoveSend)
    world.run(60.0)
    assert len(world.a.indices) == len(world.b.indices) == 0


def test_session_without_frames_for_600_seconds_lapses() -> None:
    world = connected()
    traffic(world, 10.0)
    world.run(1200.0)
    assert world.a.sessions.current is None and world.b.sessions.current is None
    # born at 0, 120, ... 600: the last rekey whose due time saw a frame within 600 s
    assert len(world.a.events(SessionLive)) == 6


def test_session_that_is_always_wanted_never_lapses() -> None:
    world = connected()
    world.b.sessions.always = True
    world.run(2000.0)
    assert world.agreed()
    assert world.b.sessions.next_timeout() is not None


def test_frame_after_a_long_pause_renews_a_session_past_its_rekey() -> None:
    world = connected()
    for host in (world.a, world.b):
        host.sessions._renewal.frame_at = world.now - 1000.0
    world.run(160.0)
    assert len(inits(world, world.a)) == 1
    world.frame(world.a, "x")
    world.run(1.0)
    assert len(inits(world, world.a)) == 2
    assert world.agreed()


def test_given_up_renewal_begins_again_while_frames_pass() -> None:
    world = connected()
    world.run(110.0)
    world.drop = lambda _host, packet: is_handshake(packet, 1)
    traffic(world, 45.0, every=1.0)
    assert world.a.events(ConnectFailed)
    world.drop = lambda _host, _packet: False
    traffic(world, 20.0, every=1.0)
    assert len(world.a.events(SessionLive)) == 2


def test_confirmed_sessions_are_capped() -> None:
    world = connected()
    for _ in range(12):
        world.run(6.0)
        world.a.sessions.restart(world.now)
        world.pump(world.a)
    world.run(1.0)
    for host in (world.a, world.b):
        assert len({each.session for each in host.receive.values()}) == 8
    assert world.agreed()


def test_close_erases_everything() -> None:
    world = connected()
    world.a.sessions.restart(world.now + 10.0)
    world.a.sessions.close(world.now)
    world.pump(world.a)
    assert world.a.sessions.accepted == {}
    assert not world.a.receive and not world.a.control and not world.a.send
    assert world.a.sessions.next_timeout() is None
    assert len(world.a.indices) == 0
    assert len(world.a.events(SessionDead)) == 1


def test_dropped_session_gives_way_to_the_one_before() -> None:
    world = connected()
    first = world.a.sessions.current
    world.run(6.0)
    world.a.sessions.restart(world.now)
    world.pump(world.a)
    world.run(1.0)
    second = world.a.sessions.current
    assert second is not None and second != first
    world.a.sessions.drop(second, world.now)
    world.pump(world.a)
    assert world.a.sessions.current == first
    assert not world.frame(world.a, "x"), "its index for the network was given up"


# --- networks -------------------------------------------------------------------------------------


def test_network_accepted_later_is_announced_in_band_and_inherited_by_the_next_session() -> None:
    world = World()
    world.connect()
    assert not world.frame(world.a, "early")
    world.accept()
    for host in (world.a, world.b):
        current = host.sessions.current
        assert current is not None
        assert host.sessions.unannounced(current) == (NETWORK,)
        world.announce(host, current, NETWORK)
    world.run(1.0)
    assert world.frame(world.a, "late") and world.frame(world.b, "late")
    sent = traffic(world, 130.0)
    assert (world.a.got[1:], world.b.got[1:]) == sent
    assert len(world.a.events(SessionLive)) == 2


def test_announcement_that_comes_before_acceptance_is_remembered() -> None:
    world = World()
    world.connect()
    world.b.sessions.accept(NETWORK, None, world.now)
    world.pump(world.b)
    assert world.b.sessions.current is not None
    world.announce(world.b, world.b.sessions.current, NETWORK)
    world.run(1.0)
    assert not world.frame(world.a, "too early")
    world.a.sessions.accept(NETWORK, None, world.now)
    world.pump(world.a)
    assert world.frame(world.a, "now")


def test_at_most_64_networks_are_remembered() -> None:
    world = World()
    world.connect()
    current = world.a.sessions.current
    assert current is not None
    for network in range(1, 200):
        world.a.sessions.announced(current, network, [(0, network)], world.now)
    for network in range(1, 200):
        world.a.sessions.accept(network, None, world.now)
    world.pump(world.a)
    assert len(world.a.send) == 64


@pytest.mark.parametrize("indices", [[(1, 5)], [(0, 0)], [(0, 1 << 24)], [(0, -1)]])
def test_announcement_of_what_cannot_be_used_is_ignored(indices: list[tuple[int, int]]) -> None:
    world = World()
    world.connect()
    world.a.sessions.accept(NETWORK, None, world.now)
    current = world.a.sessions.current
    assert current is not None
    world.a.sessions.announced(current, NETWORK, indices, world.now)
    world.a.sessions.announced(current, 0, [(0, 7)], world.now)
    world.a.sessions.announced(99, NETWORK, [(0, 7)], world.now)
    world.pump(world.a)
    assert world.a.send == {}


def test_older_session_carries_a_network_until_the_newer_one_can() -> None:
    world = connected()
    old = world.a.sessions.current
    b_networks = dict(world.b.sessions.accepted)
    world.run(6.0)
    world.b.sessions.accepted.clear()  # b's next RESPONSE announces nothing
    world.a.sessions.restart(world.now)
    world.pump(world.a)
    world.run(1.0)
    world.b.sessions.accepted.update(b_networks)
    new = world.a.sessions.current
    assert new != old
    assert world.a.send[NETWORK].session == old
    assert world.frame(world.a, "carried")
    world.run(1.0)
    assert world.b.got == ["carried"]
    assert not world.a.events(RemoveSend)


def test_withdrawn_network_is_neither_heard_nor_sent() -> None:
    world = connected()
    world.a.sessions.withdraw(NETWORK, world.now)
    world.pump(world.a)
    assert not world.frame(world.a, "x")
    assert world.frame(world.b, "y")
    world.run(1.0)
    assert world.a.got == [] and world.a.lost == 1
    current = world.a.sessions.current
    assert current is not None
    assert world.a.sessions.announcements(current, NETWORK) == ()
    world.say(world.a, current, (NETWORK, []))
    world.run(1.0)
    assert not world.frame(world.b, "z")
    assert world.b.events(RemoveSend)


def test_network_accepted_again_gets_a_new_session_because_its_index_was_in_use() -> None:
    world = connected()
    world.a.sessions.withdraw(NETWORK, world.now)
    world.a.sessions.accept(NETWORK, None, world.now)
    world.pump(world.a)
    assert not world.frame(world.a, "not with the same key from counter 0")
    world.run(1.0)
    assert world.frame(world.a, "x") and world.frame(world.b, "y")
    world.run(1.0)
    assert (world.a.got, world.b.got) == (["y"], ["x"])


def test_new_elided_header_needs_a_new_index_and_the_old_one_still_receives() -> None:
    world = connected()
    current = world.a.sessions.current
    assert current is not None
    (before,) = world.a.sessions.announcements(current, NETWORK)
    world.a.sessions.accept(NETWORK, b"\x02" * 12, world.now)
    world.pump(world.a)
    (after,) = world.a.sessions.announcements(current, NETWORK)
    assert before.index != after.index
    assert world.a.receive[after.index].elided == b"\x02" * 12
    assert world.frame(world.b, "under way")
    world.announce(world.a, current, NETWORK)
    world.run(1.0)
    assert world.frame(world.b, "new")
    world.run(1.0)
    assert world.a.got == ["under way", "new"]
    assert world.b.send[NETWORK].index == after.index
    for step in range(20):
        world.a.sessions.accept(NETWORK, bytes([step]) * 12, world.now)
    world.pump(world.a)
    assert len(world.a.receive) == 10, "control, one in force, eight retired"


def test_acceptance_during_a_handshake_is_not_lost() -> None:
    world = World()
    world.a.sessions.connect(world.now)
    world.pump(world.a)
    world.accept()
    world.run(1.0)
    current = world.a.sessions.current
    assert current is not None
    assert world.a.sessions.unannounced(current) == (NETWORK,)
    assert world.frame(world.a, "x") and world.frame(world.b, "y")


def test_no_index_left_refuses_new_sessions_and_keeps_the_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("l2mesh.session.indices.SLOTS", 2)
    world = connected()
    assert len(world.a.indices) == 2
    world.run(6.0)
    world.a.sessions.restart(world.now)
    world.pump(world.a)
    assert world.a.events(ConnectFailed)
    assert world.frame(world.a, "x")


def test_exhausted_responder_answers_nothing() -> None:
    world = World()
    while len(world.b.indices) < 1 << 16:
        world.b.indices.allocate(world.now)
    world.connect()
    assert set(world.b.refused) == {Refusal.EXHAUSTED}
    assert world.b.log == []


def test_peer_with_an_unusable_key_is_not_connected_to() -> None:
    world = World()
    local = world.a.local
    hostile = replace(identity(9).public, exchange=bytes(32))
    sessions = SessionSet(
        Offering(
            local=local,
            peer=hostile,
            role=Role.NODE,
            crypto=CRYPTO,
            random=world.a.random.randbytes,
            ciphers=frozenset(Cipher),
        ),
        indices=world.a.indices,
        next_id=world.a.next_id,
    )
    sessions.connect(1.0)
    assert sessions.poll_output() == ConnectFailed()
    assert sessions.poll_output() is None
    assert len(world.a.indices) == 0
    assert not sessions.is_connecting


def test_set_tells_cipher_and_software_of_the_current_session() -> None:
    world = World()
    assert world.a.sessions.cipher is None and world.a.sessions.software == ""
    world.connect()
    assert world.a.sessions.cipher is world.b.sessions.cipher
    assert world.a.sessions.software == "l2mesh test"


def test_verbs_about_unknown_sessions_change_nothing() -> None:
    world = connected()
    log = len(world.a.log)
    sessions = world.a.sessions
    sessions.confirmed(99, world.now)
    sessions.drop(99, world.now)
    sessions.key_spent(99, world.now)
    sessions.withdraw(77, world.now)
    world.pump(world.a)
    assert len(world.a.log) == log
    assert sessions.announcements(99, NETWORK) == () == sessions.unannounced(99)


def test_failed_response_leaves_the_attempt_answerable() -> None:
    world = World(drop=lambda _host, _packet: True)
    world.connect()
    world.arrive(world.b, inits(world, world.a)[-1])
    sent = world.b.events(SendHandshake)[0]
    assert isinstance(sent, SendHandshake)
    for position in range(len(sent.datagram)):
        broken = bytearray(sent.datagram)
        broken[position] ^= 1
        with pytest.raises(HandshakeError):
            world.a.sessions.receive_response(bytes(broken), world.now)
        with pytest.raises(HandshakeError):
            world.a.sessions.receive_response(sent.datagram[:position], world.now)
    world.a.sessions.receive_response(sent.datagram, world.now)
    assert world.a.sessions.current is not None


def test_opened_init_cannot_be_answered_for_another_role() -> None:
    world = World(drop=lambda _host, _packet: True)
    world.connect()
    with pytest.raises(HandshakeError, match=Refusal.AUTHENTICATION):
        open_init(
            inits(world, world.a)[0],
            local=world.b.local,
            role=Role.PLANET,
            crypto=CRYPTO,
            random=bytes,
        )


def test_no_common_cipher_is_refused_and_leaves_nothing() -> None:
    world = World()
    world.accept()
    for host, cipher in zip((world.a, world.b), Cipher, strict=True):
        offering = host.sessions._offering
        host.sessions._offering = replace(offering, ciphers=frozenset({cipher}))
    world.connect()
    assert set(world.b.refused) == {Refusal.CIPHER}
    assert len(world.b.indices) == 0 and world.b.log == []


def test_network_withdrawn_during_a_handshake_gets_no_index() -> None:
    world = World()
    world.accept()
    world.a.sessions.connect(world.now)
    world.pump(world.a)
    world.a.sessions.withdraw(NETWORK, world.now)
    world.run(1.0)
    assert {each.network for each in world.a.receive.values()} == {0}
    assert len(world.a.indices) == 1
    assert not world.frame(world.a, "x")


def test_network_accepted_anew_during_a_handshake_is_announced_by_its_new_index() -> None:
    world = World()
    world.accept()
    world.a.sessions.connect(world.now)
    world.pump(world.a)
    world.a.sessions.accept(NETWORK, b"\x02" * 12, world.now)
    world.run(1.0)
    assert world.a.sessions.unannounced(world.a.sessions.current or 0) == (NETWORK,)
    assert world.frame(world.b, "x")
    world.run(1.0)
    assert world.a.got == ["x"] and world.a.lost == 0


def test_spent_receive_indices_leave_a_session_without_the_network() -> None:
    world = connected()
    while len(world.a.indices) < 1 << 16:
        world.a.indices.allocate(world.now)
    world.a.sessions.accept(NETWORK + 1, None, world.now)
    world.pump(world.a)
    current = world.a.sessions.current or 0
    assert world.a.sessions.announcements(current, NETWORK + 1) == ()
    assert len(world.a.sessions.announcements(current, NETWORK)) == 1


VERBS = ["connect", "restart", "accept", "withdraw", "tell", "drop", "close", "replay", "spend"]
PAUSES_S = [0.0, 0.01, 0.3, 4.0, 70.0]


@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(
        st.tuples(st.sampled_from(VERBS), st.booleans(), st.sampled_from(PAUSES_S)),
        max_size=25,
    ),
    loss=st.sampled_from([0.0, 0.3, 0.9]),
)
@settings(max_examples=60)
def test_whatever_happens_the_pair_recovers(
    seed: int, steps: list[tuple[str, bool, float]], loss: float
) -> None:
    """No send key twice, no index twice (`Host.execute` checks), and in the end frames flow."""
    world, random = World(), Random(seed)
    world.drop = lambda _host, _packet: random.random() < loss
    for verb, is_a, pause in steps:
        act(world, world.a if is_a else world.b, verb, random)
        world.run(pause)
    world.drop = lambda _host, _packet: False
    world.run(40.0)
    # what a node does when nothing comes back: begin anew, meet again, tell indices
    for host in (world.a, world.b):
        host.sessions.accept(NETWORK, None, world.now)
    world.a.sessions.restart(world.now)
    world.pump(world.a)
    world.run(2.0)
    for host in (world.a, world.b):
        act(world, host, "tell", random)
    world.run(2.0)
    assert world.agreed()
    for host in (world.a, world.b):
        assert world.frame(host, f"from {host.name}")
    world.run(1.0)
    assert world.a.got[-1:] == ["from b"] and world.b.got[-1:] == ["from a"]
    world.run(2000.0)
    for host in (world.a, world.b):
        assert host.sessions.current is None
        assert len(host.indices) == 0 and not host.receive and not host.control


def act(world: World, host: Host, verb: str, random: Random) -> None:
    sessions, current = host.sessions, host.sessions.current
    match verb:
        case "connect":
            sessions.connect(world.now)
        case "restart":
            sessions.restart(world.now)
        case "accept":
            sessions.accept(NETWORK, random.choice([None, b"\x02" * 12]), world.now)
        case "withdraw":
            sessions.withdraw(NETWORK, world.now)
        case "tell" if current is not None:
            world.announce(host, current, NETWORK)
        case "drop" if current is not None:
            sessions.drop(current, world.now)
        case "close":
            sessions.close(world.now)
        case "spend" if current is not None:
            sessions.key_spent(current, world.now)
        case "replay":  # to its receiver, or reflected
            heard = [each for _, each in world.sent if isinstance(each, bytes)]
            if heard:
                world.arrive(host, random.choice(heard))
        case _:
            pass
    world.pump(host)
