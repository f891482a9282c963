"""A core on its own: strangers, verbs that nobody handles, and how it leaves."""

from random import Random

import pytest

from l2mesh.datapath.interface import (
    Activity,
    ControlReceived,
    Endpoint,
    HandshakeReceived,
    InstallReceive,
    Path,
    RemoveSession,
    SendControl,
    SendDatagram,
    SessionConfirmed,
    SetGuard,
    SetPath,
)
from l2mesh.errors import StateError
from l2mesh.identity import Identity
from l2mesh.node import core as core_module
from l2mesh.node.core import Core, Settings
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.path.candidate import Kind
from l2mesh.wire.control import Probe, ProbeReply, decode_records, encode_records
from l2mesh.wire.message import Whois
from tests.simulator.cheap import CheapCrypto

CRYPTO = CheapCrypto()
HERE, THERE = Endpoint("192.0.2.1", 9993), Endpoint("192.0.2.2", 9993)


def settings(seed: int) -> Settings:
    random = Random(seed).randbytes
    return Settings(
        identity=Identity.generate(CRYPTO, random),
        crypto=CRYPTO,
        random=random,
        unix_now=lambda: 0.0,
        activity=lambda _: Activity(),
    )


def outputs(core: Core) -> list[object]:
    found: list[object] = []
    while (output := core.poll_output()) is not None:
        found.append(output)
    return found


def connect(seed: int, responder: Core, *, now: float = 0.0) -> tuple[Core, Peer]:
    """A core that has begun a session with ``responder``; its INIT is not delivered yet."""
    core = Core(settings(seed))
    peer = core.add_peer(responder.settings.identity.public, now)
    peer.paths.add_candidates([HERE], Kind.REMEMBERED, now)
    core.connect(peer, now)
    return core, peer


def deliver_handshakes(sender: Core, receiver: Core, source: Endpoint, now: float) -> int:
    """Carry INIT and RESPONSE over; how many."""
    sent = [each for each in outputs(sender) if isinstance(each, SendDatagram)]
    for each in sent:
        receiver.handle_upcall(HandshakeReceived(each.datagram, Path(source)), now)
    return len(sent)


def live_pair() -> tuple[Core, Peer, Core, Peer]:
    """Two cores with a session, both ends of which can send."""
    responder = Core(settings(1))
    core, peer = connect(2, responder)
    assert deliver_handshakes(core, responder, THERE, 0.0) == 1
    assert deliver_handshakes(responder, core, HERE, 0.0) == 1
    other = responder.peers[core.settings.identity.fingerprint]
    session = next(iter(other.sessions._sessions))
    responder.handle_upcall(SessionConfirmed(other.fingerprint, session), 0.0)
    assert peer.is_live and other.is_live
    outputs(core)
    outputs(responder)
    return core, peer, responder, other


def test_the_guard_is_armed_before_anything_else() -> None:
    core = Core(settings(1))
    core.start(0.0)
    (guard,) = outputs(core)
    assert isinstance(guard, SetGuard)
    assert guard.public == core.settings.identity.public.exchange


def test_a_stranger_goes_after_ten_seconds() -> None:
    _, _, responder, other = live_pair()
    responder.handle_timeout(9.9)
    assert other.fingerprint in responder.peers
    responder.handle_timeout(core_module.STRANGER_S)
    assert other.fingerprint not in responder.peers
    gone = outputs(responder)
    assert any(isinstance(each, RemoveSession) for each in gone)
    assert SetPath(other.fingerprint, None) in gone


def test_strangers_are_limited_and_the_next_one_meets_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(core_module, "MAX_STRANGERS", 2)
    responder = Core(settings(1))
    for seed in (2, 3, 4):
        core, _ = connect(seed, responder)
        deliver_handshakes(core, responder, THERE, 0.0)
    assert len(responder.peers) == 2
    assert responder.refused["stranger_refused"] == 1
    answers = [each for each in outputs(responder) if isinstance(each, SendDatagram)]
    assert len(answers) == 2


def test_noise_in_place_of_a_handshake_is_counted_and_changes_nothing() -> None:
    core = Core(settings(1))
    for datagram in (b"\x01" * 400, b"\x02" * 300, b"\x03" * 64, b"\x07"):
        core.handle_upcall(HandshakeReceived(datagram, Path(THERE)), 0.0)
    assert not core.peers
    assert not outputs(core)
    assert sum(core.refused.values()) == 4


def test_a_probe_is_answered_along_the_path_by_which_it_came() -> None:
    core, peer, _, _ = live_pair()
    assert peer.sessions.current is not None
    elsewhere = Path(Endpoint("198.51.100.7", 4000))
    payload = encode_records([Probe(77)])
    core.handle_upcall(
        ControlReceived(peer.fingerprint, peer.sessions.current, payload, elsewhere), 1.0
    )
    sent = [each for each in outputs(core) if isinstance(each, SendControl)]
    assert sent[0].path == elsewhere
    assert decode_records(sent[0].payload) == [ProbeReply(77, elsewhere.endpoint)]


def test_broken_records_and_unknown_peers_change_nothing() -> None:
    core, peer, _, _ = live_pair()
    session = peer.sessions.current
    assert session is not None
    core.handle_upcall(ControlReceived(peer.fingerprint, session, b"\x03\xff", Path(HERE)), 1.0)
    core.handle_upcall(ControlReceived(bytes(32), session, b"", Path(HERE)), 1.0)
    assert core.refused == {"malformed_control": 1}
    assert peer.is_live


def test_messages_wait_for_a_session_and_too_many_are_refused() -> None:
    responder = Core(settings(1))
    core, peer = connect(2, responder)
    for _ in range(70):
        core.send(peer, Whois(address=bytes(5)), 0.0)
    assert len(peer.waiting) == 64
    assert core.refused["channel_full"] == 6


def test_a_verb_that_nobody_handles_is_counted() -> None:
    core, peer, responder, other = live_pair()
    core.send(peer, Whois(address=bytes(5)), 1.0)
    sent = [each for each in outputs(core) if isinstance(each, SendControl)]
    assert other.sessions.current is not None
    for each in sent:
        responder.handle_upcall(
            ControlReceived(other.fingerprint, other.sessions.current, each.payload, Path(THERE)),
            1.0,
        )
    assert responder.refused == {"unhandled_verb": 1}


def test_a_verb_has_one_handler() -> None:
    class Answers(Part):
        def handlers(self) -> dict[type, Handler]:
            return {Whois: lambda _peer, _message, _now: None}

    core = Core(settings(1))
    core.add_part(Answers())
    with pytest.raises(StateError, match="Whois"):
        core.add_part(Answers())


def test_leaving_tells_every_live_peer_and_is_understood() -> None:
    core, _, responder, other = live_pair()
    core.close(1.0)
    sent = [each for each in outputs(core) if isinstance(each, SendControl)]
    assert other.sessions.current is not None
    for each in sent:
        responder.handle_upcall(
            ControlReceived(other.fingerprint, other.sessions.current, each.payload, Path(THERE)),
            1.0,
        )
    assert other.fingerprint not in responder.peers


def test_a_closing_core_takes_no_more_strangers() -> None:
    responder = Core(settings(1))
    responder.close(0.0)
    core, _ = connect(2, responder)
    deliver_handshakes(core, responder, THERE, 0.0)
    assert not responder.peers


def test_the_receive_key_is_installed_before_the_answer_leaves() -> None:
    responder = Core(settings(1))
    core, _ = connect(2, responder)
    deliver_handshakes(core, responder, THERE, 0.0)
    kinds = [type(each) for each in outputs(responder)]
    assert kinds.index(InstallReceive) < kinds.index(SendDatagram)


def test_all_peers_are_looked_at_in_the_same_moments_so_that_a_node_sleeps_in_between() -> None:
    core = Core(settings(1))
    for number in range(8):
        core.add_peer(settings(10 + number).identity.public, 100 + number / 10, always=True)
    wakes = 0
    while (due := core.next_timeout()) is not None and due < 110.9:
        core.handle_timeout(due)
        wakes += 1
    assert wakes in {10, 11}  # once a second, and not once for each peer


def test_a_look_at_traffic_is_not_put_off_by_what_arrives_just_before() -> None:
    core = Core(settings(1))
    peer = core.add_peer(settings(2).identity.public, 100.0, always=True)
    core.handle_timeout(100.0)
    first = core.next_timeout()
    assert first is not None and first <= 101.1
    core.touch(peer, first - 0.01)
    assert core.next_timeout() == first
    core.handle_timeout(first)
    assert core.next_timeout() == first + 1.0
