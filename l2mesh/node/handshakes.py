"""Handshake datagrams that the engine's guard let up (section 3)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from l2mesh.datapath.interface import Path
from l2mesh.errors import CryptoError, HandshakeError, MalformedPacket
from l2mesh.node.peer import Peer
from l2mesh.session.handshake import open_init
from l2mesh.wire.datagram import DatagramType

if TYPE_CHECKING:
    from l2mesh.node.core import Core

__all__ = ["receive"]

log = logging.getLogger(__name__)


def receive(core: Core, datagram: bytes, path: Path, now: float) -> None:
    """An INIT, RESPONSE or COOKIE. Whatever is wrong with it: counted, no answer, no change."""
    try:
        match datagram[0]:
            case DatagramType.INIT:
                _receive_init(core, datagram, path, now)
            case DatagramType.RESPONSE:
                _receive_response(core, datagram, path, now)
            case DatagramType.COOKIE:
                _receive_cookie(core, datagram, now)
            case _:
                core.refuse("handshake_unknown")
    except (CryptoError, HandshakeError, MalformedPacket) as error:
        core.refuse("handshake_refused")
        log.debug("handshake refused: path=%s %s", path, error)


def _receive_init(core: Core, datagram: bytes, path: Path, now: float) -> None:
    settings = core.settings
    opened = open_init(
        datagram,
        local=settings.identity,
        role=settings.role,
        crypto=settings.crypto,
        random=settings.random,
    )
    peer = core.peers.get(opened.peer.fingerprint)
    if peer is None:
        if core.is_closing or not core.may_add_stranger(opened.peer, now):
            core.refuse("stranger_refused")
            return
        peer = core.add_peer(opened.peer, now)
    peer.sessions.receive_init(opened, now, path)
    core.touch(peer, now)


def _receive_response(core: Core, datagram: bytes, path: Path, now: float) -> None:
    peer = _initiator_of(core, datagram)
    if peer is None:
        core.refuse("handshake_unknown")
        return
    peer.last_path = path if peer.paths.active is None else peer.last_path
    peer.sessions.receive_response(datagram, now)
    core.touch(peer, now)


def _receive_cookie(core: Core, datagram: bytes, now: float) -> None:
    peer = _initiator_of(core, datagram)
    if peer is None:
        core.refuse("handshake_unknown")
        return
    peer.sessions.receive_cookie(datagram, now)
    core.touch(peer, now)


def _initiator_of(core: Core, datagram: bytes) -> Peer | None:
    """The peer whose handshake number stands in bytes 4 to 7."""
    fingerprint = core.initiations.get(int.from_bytes(datagram[4:8], "big"))
    return core.peers.get(fingerprint) if fingerprint is not None else None
