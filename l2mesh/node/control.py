"""Control inside a session: records in, records out (section 6).

PROBE is answered at once and along the path by which it came. CHUNK and ACK feed the reliable
channel of the session that carried them; complete messages go to the handler of their verb.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from l2mesh.address import shorten
from l2mesh.datapath.interface import ControlReceived, Path, SendControl
from l2mesh.datapath.streams import is_detour
from l2mesh.errors import MalformedPacket
from l2mesh.node.peer import Peer
from l2mesh.session.channel import Channel
from l2mesh.wire.control import (
    Ack,
    Chunk,
    Close,
    Held,
    Probe,
    ProbeReply,
    Record,
    decode_records,
    encode_records,
)
from l2mesh.wire.message import decode_message

if TYPE_CHECKING:
    from l2mesh.node.core import Core

__all__ = ["flush", "receive", "say"]

log = logging.getLogger(__name__)

MAX_RECORDS: Final = 1200
"""Bytes of records in one datagram."""
MAX_DATAGRAMS: Final = 64
"""Datagrams that one flush lets out; the channel's window is smaller."""


def receive(core: Core, upcall: ControlReceived, now: float) -> None:
    """An authentic CONTROL datagram."""
    peer = core.peers.get(upcall.peer)
    if peer is None:
        return
    peer.last_path = upcall.path
    try:
        records = decode_records(upcall.payload)
    except MalformedPacket:
        core.refuse("malformed_control")
        return
    for record in _with_one_probe(core, records):
        _receive_record(core, peer, upcall, record, now)
        if peer.fingerprint not in core.peers:
            return
    core.touch(peer, now)


def say(core: Core, peer: Peer, payload: bytes, path: Path | None = None) -> None:
    """Send records on the current session; nothing without a session or a path."""
    session, where = peer.sessions.current, path or peer.path
    if session is not None and where is not None:
        core.emit(SendControl(peer.fingerprint, session, payload, where))


def flush(core: Core, peer: Peer, now: float) -> None:
    """Send what the channels have: acknowledgements on every session, chunks on the current one."""
    where = peer.path
    if where is None:
        return
    for session, channel in list(peer.channels.items()):
        for _ in range(MAX_DATAGRAMS):
            records = channel.poll_records(MAX_RECORDS, now)
            if not records:
                break
            payload = encode_records(records)
            core.emit(SendControl(peer.fingerprint, session, payload, where))


def _with_one_probe(core: Core, records: Iterable[Record]) -> Iterator[Record]:
    """All but the PROBEs behind the first: one datagram causes one answer."""
    probed = False
    for record in records:
        if isinstance(record, Probe):
            if probed:
                core.refuse("probe_repeated")
                continue
            probed = True
        yield record


def _receive_record(
    core: Core, peer: Peer, upcall: ControlReceived, record: Record, now: float
) -> None:
    match record:
        case Probe(nonce):
            if not peer.paths.may_answer(upcall.path, now):
                core.refuse("probe_not_answered")
                return
            observed = None if is_detour(upcall.path) else upcall.path.endpoint
            payload = encode_records([ProbeReply(nonce, observed)])
            core.emit(SendControl(peer.fingerprint, upcall.session, payload, upcall.path))
            peer.paths.receive_probe(upcall.path, now)
        case ProbeReply(nonce, observed):
            _receive_probe_reply(core, peer, upcall.path, record, now)
        case Ack():
            if channel := peer.channels.get(upcall.session):
                channel.receive_ack(record, now)
                if peer.is_heard:
                    peer.paths.peer_begins(now)
        case Chunk():
            channel = peer.channels.setdefault(upcall.session, Channel())
            channel.receive_chunk(record, now)
            _dispatch(core, peer, upcall.session, channel, now)
            if channel.is_broken:
                core.refuse("broken_channel")
                peer.sessions.drop(upcall.session, now)
        case Held():
            for part in core.parts:
                part.receive_held(peer, record, now)
        case Close(reason):
            core.receive_close(peer, upcall.session, reason, now)


def _receive_probe_reply(core: Core, peer: Peer, path: Path, reply: ProbeReply, now: float) -> None:
    if core.pings.answer(reply.nonce, path, reply.observed, now):
        return
    if peer.paths.receive_reply(reply.nonce, path, now) and reply.observed is not None:
        for part in core.parts:
            part.observed(peer, path.endpoint, reply.observed, now)


def _dispatch(core: Core, peer: Peer, session: int, channel: Channel, now: float) -> None:
    while (data := channel.poll_message()) is not None:
        try:
            message = decode_message(data)
        except MalformedPacket as malformed:
            core.refuse("malformed_message")
            log.debug("message refused: fingerprint=%s %s", shorten(peer.fingerprint), malformed)
            continue
        handler = core.handlers.get(type(message))
        if handler is None:
            core.refuse("unhandled_verb")
            continue
        peer.hearing = session
        handler(peer, message, now)
        if peer.fingerprint not in core.peers:
            return
