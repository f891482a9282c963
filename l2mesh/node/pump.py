"""Let out what a peer's machines have to say, until they are silent.

Sessions and paths answer with commands for the engine and with events. This file turns the events
into what follows from them: where a handshake goes, what a new session means, which PROBE to send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from l2mesh.datapath.interface import Endpoint, Path, SendDatagram, SendTwice, SetPath
from l2mesh.node import control
from l2mesh.node.effects import SendOpener
from l2mesh.node.peer import Peer
from l2mesh.path import outputs
from l2mesh.path.opening import is_near
from l2mesh.path.outputs import PathChanged, PeerSilent, SendCopies, SendingChanged, SendProbe
from l2mesh.path.redundancy import COPIES_BYTES, COPIES_S
from l2mesh.session.outputs import (
    ConnectFailed,
    SendHandshake,
    SessionCurrent,
    SessionDead,
    SessionLive,
)
from l2mesh.wire.control import CONTROL_OVERHEAD, Probe, Record, encode_records, pad_records

if TYPE_CHECKING:
    from l2mesh.node.core import Core

__all__ = ["drain"]

MAX_INITIATIONS: Final = 4096


def drain(core: Core, peer: Peer, now: float) -> None:
    """Until nothing is left to say: sessions first, then paths, then the channels."""
    progress = True
    while progress:
        progress = _drain_sessions(core, peer, now) | _drain_paths(core, peer, now)
    control.flush(core, peer, now)


def _drain_sessions(core: Core, peer: Peer, now: float) -> bool:
    progress = False
    while (output := peer.sessions.poll_output()) is not None:
        progress = True
        match output:
            case SendHandshake():
                _send_handshake(core, peer, output)
            case SessionLive(session, initiator):
                _session_live(core, peer, session, now, initiator=initiator)
            case SessionCurrent(session):
                peer.move_channel(session, now)
            case SessionDead(session):
                _session_dead(core, peer, session, now)
            case ConnectFailed():
                for part in core.parts:
                    part.connect_failed(peer, now)
            case _:
                core.emit(output)
    return progress


def _drain_paths(core: Core, peer: Peer, now: float) -> bool:
    progress = False
    while (output := peer.paths.poll_output()) is not None:
        progress = True
        match output:
            case SendProbe(nonce, path, size):
                _send_probe(core, peer, nonce, path, size)
            case outputs.SendOpener(endpoint):
                _open_nat(core, endpoint)
            case outputs.TellAgain():
                for part in core.parts:
                    part.endpoints_wanted(peer, now)
            case SendingChanged(path, size, spread):
                core.emit(SetPath(peer.fingerprint, path, size, spread))
            case PathChanged(path, size, spread):
                core.emit(SetPath(peer.fingerprint, path, size, spread))
                _path_changed(core, peer, path, now)
            case SendCopies(path, size):
                core.emit(SendTwice(peer.fingerprint, path, size, COPIES_S, COPIES_BYTES))
            case PeerSilent():
                peer.sessions.restart(now)
    while (path := peer.paths.poll_doubted()) is not None:
        for part in core.parts:
            part.relay_doubted(peer, path.relay, now)
    return progress


def _path_changed(core: Core, peer: Peer, path: Path | None, now: float) -> None:
    peer.last_path = peer.last_path if path is not None else None
    for channel in peer.channels.values():
        channel.path_changed()
    for part in core.parts:
        part.path_changed(peer, now)


def _open_nat(core: Core, endpoint: Endpoint) -> None:
    """Nothing is to be opened where we have a public IPv4 address of our own."""
    own = (each for each in core.local_endpoints if ":" not in each.host)
    if all(map(is_near, own)):
        core.emit(SendOpener(endpoint))


def _send_handshake(core: Core, peer: Peer, output: SendHandshake) -> None:
    if output.handshake is not None:
        core.initiations[output.handshake] = peer.fingerprint
        _forget_old_initiations(core)
    paths: tuple[Path, ...] = peer.paths.handshake_paths()
    if output.path is not None:
        paths = (output.path,)
    elif output.is_renewal and (proven := peer.paths.proven) is not None:
        paths = (proven,)
    for each in paths:
        core.emit(SendDatagram(output.datagram, each))


def _forget_old_initiations(core: Core) -> None:
    """Keep the newest 4,096 handshake numbers; the oldest are long answered or dead."""
    while len(core.initiations) > MAX_INITIATIONS:
        del core.initiations[next(iter(core.initiations))]


def _session_live(core: Core, peer: Peer, session: int, now: float, *, initiator: bool) -> None:
    peer.move_channel(session, now)
    peer.paths.session_live(now)
    if initiator and peer.last_path is not None:
        peer.paths.source_seen(peer.last_path, now)
    for part in core.parts:
        part.session_live(peer, session, now, initiator=initiator)


def _session_dead(core: Core, peer: Peer, session: int, now: float) -> None:
    channel = peer.channels.pop(session, None)
    if channel is None or peer.is_live:
        return
    peer.waiting.extend(channel.unacknowledged()[: 64 - len(peer.waiting)])
    peer.paths.session_lost(now)
    for part in core.parts:
        part.session_lost(peer, now)


def _send_probe(core: Core, peer: Peer, nonce: int, path: Path, size: int) -> None:
    records: list[Record] = [Probe(nonce)]
    for part in core.parts:
        records += part.held(peer)
    payload = pad_records(encode_records(records), size - CONTROL_OVERHEAD)
    control.say(core, peer, payload, path=path)
