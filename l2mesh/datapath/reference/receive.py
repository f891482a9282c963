"""Receiving DATA (section 4): look up the index, look at the replay window, open, then believe.

Nothing but a counter changes before the tag has verified. What happens after it, in this order: the
window moves, the session is confirmed, a new source is told, flags are judged, and the plaintext
goes where it belongs.
"""

from functools import lru_cache
from struct import Struct

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
from l2mesh.wire.data import ALLOWED_FLAGS, HEADER, HEADER_BYTES, MAX_INDEX, OVERHEAD, TAG, Flag

_unpack_header = HEADER.unpack_from
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
                    at = begin + stride
                    count, may_follow = self._follow(key, word, run, at, stride, skip, now)
                    begin += count * stride
                    followed = followed + count if may_follow else -1
            else:
                self._receive_control(key, flags, text, Path(source, relay))

    def _follow(
        self,
        key: ReceiveKey,
        word: int,
        run: bytes,
        begin: int,
        stride: int,
        skip: int,
        now: float,
    ) -> tuple[int, bool]:
        """Take what goes on with the super-frame that the newest datagram began.

        How many datagrams, and whether CONT may follow. Their headers are the expected ones, so
        that they are opened together. One that differs, or is forged, is for `receive` to judge.
        """
        word |= _CONT << 24
        flags, first = word >> 24 & _FLAGS, key.window.highest + 1
        if flags not in ALLOWED_FLAGS or self._switching.growing(key.network) is None:
            return 0, True
        most = min(self._refuse - first, WINDOW)
        count = _count_next(run, begin, stride, skip, word << 32 | first, most)
        if not count:
            return 0, True
        run = run[begin : begin + count * stride]
        opened, count = key.open_run(first, run, stride, skip)
        if not count:
            return 0, True
        octets = min(len(run), count * stride)
        key.window.commit_next(count)
        activity = key.peer.activity
        activity.rx_packets += count
        activity.rx_bytes += octets - count * skip
        places = range(skip + HEADER_BYTES, octets, stride)
        length = stride - skip - OVERHEAD
        return count, self._take_texts(key, flags, opened[: octets - TAG], places, length, now)

    def _take_texts(
        self, key: ReceiveKey, flags: int, run: bytes, places: range, length: int, now: float
    ) -> bool:
        """What came with CONT behind the begin of a super-frame; whether CONT may follow.

        The texts lie at `places` in `run`, which ends with the last one; it alone may be shorter.
        """
        may_follow, taken = True, 0
        chain = self._switching.growing(key.network)
        if chain is not None and flags & _CSUM:
            header = _find_header(key, flags, run[places[0] : places[0] + length])
            taken = chain.take_alike(run, places, length, header) if header is not None else 0
        for at in places[taken:]:
            text = run[at : at + length]
            if not (may_follow and self._continue(key, flags, text)):
                may_follow = self._receive_frame(key, flags, text, now)
        return may_follow

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
        header = _find_header(key, flags, text)
        if header is None:
            return False
        return self._join(key.network, header + text, is_open=bool(flags & _CSUM))

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
        else:
            header = _find_header(key, flags, text)
            if header is None:
                self._counters.drop(DropReason.BAD_OFFLOAD)
                return False
            frame = header + text
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


def _find_header(key: ReceiveKey, flags: int, text: bytes) -> bytes | None:
    """The bytes of a frame that were left out before `text`, None if they cannot be known."""
    if not flags & _ELIDED:
        return b""
    return key.elided.get(text[0] >> 4) if text else None


def _count_next(run: bytes, begin: int, stride: int, skip: int, first: int, most: int) -> int:
    """How many datagrams from `begin` on have the headers `first`, `first` + 1 and so on.

    At most `most`. Each is a word and a counter, read as one number.
    """
    full, rest = divmod(len(run) - begin, stride)
    count = min(full + (rest >= skip + OVERHEAD), most)
    if count <= 0:
        return 0
    wanted = range(first, first + count)
    found = _headers(count, stride, skip).unpack_from(run, begin)
    if found == tuple(wanted):
        return count
    return next(at for at, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1])


@lru_cache(maxsize=256)
def _headers(count: int, stride: int, skip: int) -> Struct:
    """The headers of so many datagrams `stride` bytes apart, each behind `skip` others."""
    between = f"{stride - HEADER_BYTES}x"
    return Struct(f">{skip}x{between.join('Q' * count)}")
