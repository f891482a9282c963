"""INDICES name indices of one session: they are told on it, and heard as its own."""

from types import SimpleNamespace
from typing import Any, cast

from l2mesh.datapath.interface import ControlReceived, Path, SendControl, SessionConfirmed
from l2mesh.node.core import Core
from l2mesh.node.networks import Networks
from l2mesh.node.peer import Peer
from l2mesh.node.verbs import indices
from l2mesh.wire.control import Chunk, decode_records, encode_records
from l2mesh.wire.message import Indices, LaneIndex, Message, Whois, decode_message, encode_message
from tests.unit.node.test_core import HERE, THERE, deliver_handshakes, live_pair, outputs

NETWORK = 5
WHOIS = Whois(b"\1\2\3\4\5")


def two_sessions() -> tuple[Core, Peer, int, int]:
    """A core with an older and a newer live session with a peer."""
    core, peer, responder, other = live_pair()
    (older,) = peer.channels
    peer.sessions.restart(10.0)
    core.touch(peer, 10.0)
    assert deliver_handshakes(core, responder, THERE, 10.0) >= 1
    assert deliver_handshakes(responder, core, HERE, 10.0) >= 1
    for session in list(other.sessions._sessions):
        responder.handle_upcall(SessionConfirmed(other.fingerprint, session), 10.0)
    (newer,) = set(peer.channels) - {older}
    assert peer.sessions.current == newer
    outputs(core)
    return core, peer, older, newer


def told(core: Core) -> list[tuple[int, Message]]:
    """The messages that leave, each with the session that carries it."""
    return [
        (each.session, decode_message(record.data))
        for each in outputs(core)
        if isinstance(each, SendControl)
        for record in decode_records(each.payload)
        if isinstance(record, Chunk)
    ]


def test_they_do_not_move_to_a_newer_session() -> None:
    core, peer, _, _ = live_pair()
    (older,) = peer.channels
    announcement = Indices(NETWORK, (LaneIndex(0, 77),))
    core.send_on(peer, older, announcement, 0.0)
    core.send(peer, WHOIS, 0.0)
    assert told(core) == [(older, announcement), (older, WHOIS)]
    peer.move_channel(older + 1, 0.1)
    owed = peer.channels[older + 1].poll_records(1200, 0.1)
    assert [decode_message(each.data) for each in owed if isinstance(each, Chunk)] == [WHOIS]


def test_what_has_not_left_yet_stays_too() -> None:
    _, peer, _, _ = live_pair()
    (older,) = peer.channels
    message = encode_message(Indices(NETWORK, (LaneIndex(0, 77),)))
    peer.queue_on(older, 1, message, 0.0)
    peer.move_channel(older + 1, 0.1)
    assert not peer.channels[older + 1].poll_records(1200, 0.1)
    (chunk,) = peer.channels[older].poll_records(1200, 0.1)
    assert isinstance(chunk, Chunk) and chunk.data == message


def test_each_session_announces_its_own() -> None:
    core, peer, older, newer = two_sessions()
    networks = SimpleNamespace(core=core)
    peer.sessions.accept(NETWORK, None, 10.0)
    Networks.announce(cast(Any, networks), cast(Any, SimpleNamespace(network=NETWORK)), peer, 10.0)
    announced = {
        session: message.indices[0].number
        for session, message in told(core)
        if isinstance(message, Indices)
    }
    assert announced == {
        session: peer.sessions.announcements(session, NETWORK)[0].index
        for session in (older, newer)
    }


def test_they_are_heard_as_those_of_the_session_that_carried_them() -> None:
    core, peer, older, newer = two_sessions()
    networks = cast(
        Any, SimpleNamespace(joined={NETWORK: object()}, core=core, met=lambda *_: None)
    )
    core.handlers[Indices] = cast(
        Any, lambda peer, message, now: indices.handle(networks, peer, message, now)
    )
    message = encode_message(Indices(NETWORK, (LaneIndex(0, 77),)))
    payload = encode_records([Chunk(0, 3, message)])
    core.handle_upcall(ControlReceived(peer.fingerprint, older, payload, Path(HERE)), 10.0)
    assert peer.sessions._sessions[older].send == {NETWORK: 77}
    assert peer.sessions._sessions[newer].send == {}
