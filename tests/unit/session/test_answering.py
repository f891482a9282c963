"""Sessions of a pair, at the end that answers: replays, strangers, cookies."""

from l2mesh.crypto import Cipher
from l2mesh.datapath.interface import InstallReceive, RemoveSession
from l2mesh.session import macs
from l2mesh.session.handshake import Refusal, Role
from l2mesh.session.offering import Offering
from l2mesh.session.outputs import (
    SendHandshake,
)
from l2mesh.session.sessions import SessionSet
from tests.unit.session.pair import (
    CRYPTO,
    LATENCY_S,
    PATH,
    Host,
    Packet,
    World,
    connected,
    inits,
    is_handshake,
    traffic,
)


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
