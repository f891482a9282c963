"""All sessions of a pair: what cannot be done, and that any order of verbs ends well."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2mesh.crypto import Cipher
from l2mesh.errors import HandshakeError
from l2mesh.session.handshake import Refusal, Role, open_init
from l2mesh.session.offering import Offering
from l2mesh.session.outputs import (
    ConnectFailed,
    SendHandshake,
)
from l2mesh.session.sessions import SessionSet
from tests.unit.session.pair import (
    CRYPTO,
    NETWORK,
    Host,
    World,
    connected,
    identity,
    inits,
)


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
