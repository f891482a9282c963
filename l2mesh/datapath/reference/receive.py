"""Receiving DATA (section 4): look up the index, look at the replay window, open, then believe.

Nothing but a counter changes before the tag has verified. What happens after it, in this order: the
window moves, the session is confirmed, a new source is told, flags are judged, and the plaintext
goes where it belongs.
"""

from l2mesh.datapath.interface import (
    ControlReceived,
    DropReason,
    Endpoint,
    Path,
    SessionConfirmed,
    SourceSeen,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.fragments import Fragments
from l2mesh.datapath.reference.peers import Peer, Peers, ReceiveKey
from l2mesh.datapath.reference.replication import Replication
from l2mesh.datapath.reference.switching import Switching
from l2mesh.datapath.reference.upcalls import Upcalls
from l2mesh.errors import CryptoError
from l2mesh.session.replay import WINDOW
from l2mesh.wire.data import ALLOWED_FLAGS, HEADER, HEADER_BYTES, MAX_INDEX, TAG, Flag

_unpack_header = HEADER.unpack_from
_pack_header = HEADER.pack
_FLAGS = 0x7F
_CONTROL = int(Flag.CONTROL)
_FRAG = int(Flag.FRAG)
_CONT = int(Flag.CONT)
_CSUM = int(Flag.CSUM)
_ELIDED = int(Flag.ELIDED)
_GROUP = int(Flag.GROUP)


class Receiver:
    """Everything that arrives as DATA."""

    __slots__ = (
        "_bounds",
        "_counters",
        "_fragments",
        "_indices",
        "_join",
        "_refuse",
        "_replication",
        "_switching",
        "_upcalls",
    )

    def __init__(
        self,
        *,
        peers: Peers,
        fragments: Fragments,
        switching: Switching,
        replication: Replication,
        upcalls: Upcalls,
        counters: Counters,
        bounds: Bounds,
    ) -> None:
        self._replication = replication
        self._indices = peers.indices
        self._fragments = fragments
        self._switching = switching
        self._join = switching.join
        self._upcalls = upcalls
        self._counters = counters
        self._bounds = bounds
        self._refuse = bounds.refuse_counter

    def receive(
        self, run: bytes, stride: int, skip: int, source: Endpoint, relay: int, now: float
    ) -> None:
        """DATA datagrams that came from `source`, behind RELAY headers of `skip` bytes or none.

        They are `stride` bytes long, the last perhaps shorter; mostly there is but one.
        """
        key: ReceiveKey | None = None
        index = followed = -1
        begin, end = -stride, len(run)
        while (begin := begin + stride) < end:
            text_at = begin + skip + HEADER_BYTES
            header, sealed = run[begin + skip : text_at], run[text_at : begin + stride]
            if len(sealed) < TAG:
                self._counters.drop(DropReason.MALFORMED)
                continue
            word, counter = _unpack_header(header)
            if word & MAX_INDEX != index:
                index, followed = word & MAX_INDEX, -1
                key = self._indices.get(index)
            if key is None:
                self._counters.drop(DropReason.UNKNOWN_INDEX)
                continue
            text = self._open(key, counter, header, sealed)
            if text is None:
                continue
            peer = key.peer
            activity = peer.activity
            activity.received = now
            activity.rx_packets += 1
            activity.rx_bytes += HEADER_BYTES + len(sealed)
            if not key.session.is_confirmed:
                self._confirm(key)
            if source != peer.endpoint or relay != peer.relay:
                self._note_source(key, counter, source, relay, now)
            flags = word >> 24 & _FLAGS
            if flags & _CONT and counter == followed and self._continue(key, flags, text):
                followed += 1
            elif key.network:
                may_follow = self._receive_frame(key, flags, text, now)
                followed = counter + 1 if may_follow else -1
                if may_follow and counter == key.window.highest:
                    count = self._follow(key, word, run, begin + stride, stride, skip)
                    begin, followed = begin + count * stride, followed + count
            else:
                self._receive_control(key, flags, text, Path(source, relay))

    def _follow(
        self, key: ReceiveKey, word: int, run: bytes, begin: int, stride: int, skip: int
    ) -> int:
        """Take what goes on with the super-frame that the newest datagram began: how many do.

        Their headers are the expected ones and their frames join it, so that nothing else about
        them needs a look. The first that differs, or is forged, is for `receive` to judge.
        """
        word |= _CONT << 24
        flags = word >> 24 & _FLAGS
        chain = self._switching.growing(key.network)
        if chain is None or flags not in ALLOWED_FLAGS:
            return 0
        is_open, is_elided = bool(flags & _CSUM), flags & _ELIDED
        window, open_ = key.window, key.open
        first = counter = window.highest + 1
        last = min(self._refuse, first + WINDOW)
        octets = 0
        for at in range(begin + skip, len(run), stride):
            text_at = at + HEADER_BYTES
            header, sealed = run[at:text_at], run[text_at : at + stride - skip]
            is_next = header == _pack_header(word, counter) and counter < last
            if not (is_next and chain.grows and len(sealed) >= TAG):
                break
            try:
                text = open_(counter, header, sealed)
            except CryptoError:
                break
            frame = _restore_header(key, text) if is_elided else text
            if frame is None or not chain.take(frame, len(frame), is_open=is_open):
                break
            octets += HEADER_BYTES + len(sealed)
            counter += 1
        count = counter - first
        window.commit_next(count)
        key.peer.activity.rx_packets += count
        key.peer.activity.rx_bytes += octets
        return count

    def _open(self, key: ReceiveKey, counter: int, header: bytes, sealed: bytes) -> bytes | None:
        """The plaintext, once it is known to be authentic and new."""
        window = key.window
        if counter <= window.highest and not window.check(counter):
            self._counters.drop(DropReason.REPLAY)
            return None
        if counter >= self._refuse:
            self._counters.drop(DropReason.COUNTER_SPENT)
            return None
        try:
            text = key.open(counter, header, sealed)
        except CryptoError:
            self._counters.drop(DropReason.FORGED)
            return None
        window.commit(counter)
        return text

    def _receive_control(self, key: ReceiveKey, flags: int, text: bytes, path: Path) -> None:
        if flags != _CONTROL:
            self._counters.drop(DropReason.BAD_FLAGS)
            return
        peer, session = key.peer.fingerprint, key.session.number
        self._upcalls.push_control(ControlReceived(peer, session, text, path))

    def _continue(self, key: ReceiveKey, flags: int, text: bytes) -> bool:
        """Whether a CONT frame joined the super-frame of the one before, which surely passed.

        With equal headers it passes like that one, and nothing about it needs another look.
        """
        if flags not in ALLOWED_FLAGS:
            return False
        frame = _restore_header(key, text) if flags & _ELIDED else text
        return frame is not None and self._join(key.network, frame, is_open=bool(flags & _CSUM))

    def _receive_frame(self, key: ReceiveKey, flags: int, text: bytes, now: float) -> bool:
        """The plaintext of a datagram on a network's index; whether CONT may join it."""
        peer = key.peer
        if flags & ~_GROUP == _FRAG:
            frame = self._fragments.add(peer, key.index, text, now)
            if frame is None:
                return False
        elif flags == _GROUP:
            frame = text
        elif flags == _CONTROL or flags not in ALLOWED_FLAGS:
            self._counters.drop(DropReason.BAD_FLAGS)
            return False
        elif flags & _ELIDED:
            whole = _restore_header(key, text)
            if whole is None:
                self._counters.drop(DropReason.BAD_OFFLOAD)
                return False
            frame = whole
        else:
            frame = text
        peer.activity.frame = now
        if flags & _GROUP:
            self._replication.receive(peer, key.network, frame, now)
            return False
        is_open = bool(flags & _CSUM)
        return self._switching.from_mesh(peer, key.network, frame, now, is_open=is_open)

    def _confirm(self, key: ReceiveKey) -> None:
        key.session.is_confirmed = True
        self._upcalls.push_confirmed(SessionConfirmed(key.peer.fingerprint, key.session.number))

    def _note_source(
        self, key: ReceiveKey, counter: int, source: Endpoint, relay: int, now: float
    ) -> None:
        """Tell of a path that is not the one in use, if the packet is the newest of its index."""
        if counter != key.window.highest:
            return
        peer, path = key.peer, Path(source, relay)
        seen, interval = peer.seen, self._bounds.source_seen_interval_s
        told = seen.get(path)
        if told is not None and now - told < interval:
            return
        if told is None and len(seen) >= self._bounds.sources_remembered:
            _forget_old(peer, now - interval)
            if len(seen) >= self._bounds.sources_remembered:
                return
        seen[path] = now
        self._upcalls.push_event(SourceSeen(peer.fingerprint, key.session.number, path))


def _forget_old(peer: Peer, before: float) -> None:
    for path in [path for path, told in peer.seen.items() if told <= before]:
        del peer.seen[path]


def _restore_header(key: ReceiveKey, text: bytes) -> bytes | None:
    """A frame whose 14 bytes of Ethernet header were left out, None if they cannot be known."""
    header = key.elided.get(text[0] >> 4) if text else None
    return None if header is None else header + text
