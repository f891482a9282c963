"""The handshake guard (section 3.5): what strangers send is judged here, before anything above.

Wrong type, version, length or mac1: one keyed hash at most, and silence. While more than 20 INITs a
second come with a right mac1, an INIT must show a cookie, and even then each source prefix gets no
more than its share. Memory: the times of the last 21 INITs, and while under load a bucket for each
prefix that has shown that it receives what is sent to it.
"""

from collections import deque
from typing import Final

from l2mesh.bucket import TokenBucket
from l2mesh.crypto import Crypto, Random
from l2mesh.datapath.endpoint import prefix_of
from l2mesh.datapath.interface import (
    DropReason,
    Endpoint,
    HandshakeReceived,
    Output,
    Path,
    SetGuard,
    Transmit,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.upcalls import Upcalls
from l2mesh.session.macs import CookieSecret, cookie_datagram, cookie_key, has_mac1, mac1_key
from l2mesh.wire.datagram import DatagramType
from l2mesh.wire.handshake import (
    COOKIE_BYTES,
    MAX_HANDSHAKE_BYTES,
    MIN_INIT_BYTES,
    MIN_RESPONSE_BYTES,
    VERSION,
)
from l2mesh.wire.relay import frame_relay

_LENGTHS: Final = {
    DatagramType.INIT: (MIN_INIT_BYTES, MAX_HANDSHAKE_BYTES),
    DatagramType.RESPONSE: (MIN_RESPONSE_BYTES, MAX_HANDSHAKE_BYTES),
    DatagramType.COOKIE: (COOKIE_BYTES, COOKIE_BYTES),
}
_HEADS: Final = {kind: bytes((kind, VERSION, 0, 0)) for kind in _LENGTHS}
LOAD_WINDOW_S: Final = 1.0
"""INITs are counted over it, and it lasts as long once they have become fewer."""


class HandshakeGuard:
    """Lets handshake datagrams up, answers by COOKIE, or drops. Mute until it has its keys."""

    __slots__ = (
        "_arrivals",
        "_bounds",
        "_buckets",
        "_cookie_key",
        "_counters",
        "_crypto",
        "_loaded_until",
        "_mac1_key",
        "_outputs",
        "_random",
        "_rate",
        "_secret",
        "_upcalls",
    )

    def __init__(
        self,
        crypto: Crypto,
        random: Random,
        *,
        outputs: deque[Output],
        upcalls: Upcalls,
        counters: Counters,
        bounds: Bounds,
    ) -> None:
        self._crypto = crypto
        self._random = random
        self._outputs = outputs
        self._upcalls = upcalls
        self._counters = counters
        self._bounds = bounds
        self._secret: CookieSecret | None = None
        self._mac1_key = self._cookie_key = b""
        self._rate = 0
        self._arrivals: deque[float] = deque()
        self._loaded_until = float("-inf")
        self._buckets: dict[int | bytes, TokenBucket] = {}

    def set(self, command: SetGuard, now: float) -> None:
        """Our key, the seed of cookies, and the rate from which on we are under load."""
        self._secret = CookieSecret(command.secret)
        self._mac1_key = mac1_key(command.public)
        self._cookie_key = cookie_key(command.public)
        self._rate = command.inits_per_second
        self._arrivals = deque(maxlen=command.inits_per_second + 1)
        self._buckets.clear()

    def receive(self, datagram: bytes, source: Endpoint, relay: int, now: float) -> None:
        """Judge one datagram whose first byte is INIT, RESPONSE or COOKIE."""
        kind = DatagramType(datagram[0])
        shortest, longest = _LENGTHS[kind]
        if not shortest <= len(datagram) <= longest or datagram[:4] != _HEADS[kind]:
            self._counters.drop(DropReason.MALFORMED)
            return
        secret = self._secret
        if secret is None or (
            kind is not DatagramType.COOKIE and not has_mac1(self._mac1_key, datagram)
        ):
            self._counters.drop(DropReason.BAD_MAC1)
            return
        path = Path(source, relay)
        if kind is DatagramType.INIT and not self._admit(datagram, path, secret, now):
            return
        if self._upcalls.push_handshake(HandshakeReceived(datagram, path)):
            self._counters.handshakes_in += 1

    def _admit(self, init: bytes, path: Path, secret: CookieSecret, now: float) -> bool:
        """Whether an INIT with a right mac1 may go up."""
        if not self._is_loaded(now):
            return True
        if not secret.accepts(init, path, now):
            self._answer(init, path, secret.cookie(path, now))
            self._counters.drop(DropReason.COOKIE_REQUIRED)
            return False
        if not self._take_share(path, now):
            self._counters.drop(DropReason.HANDSHAKE_RATE)
            return False
        return True

    def _is_loaded(self, now: float) -> bool:
        """Whether we are under load, this INIT included."""
        arrivals = self._arrivals
        arrivals.append(now)
        if len(arrivals) == arrivals.maxlen and now - arrivals[0] < LOAD_WINDOW_S:
            self._loaded_until = now + LOAD_WINDOW_S
        if now < self._loaded_until:
            return True
        self._buckets.clear()
        return False

    def _answer(self, init: bytes, path: Path, cookie: bytes) -> None:
        datagram = cookie_datagram(
            init, cookie=cookie, key=self._cookie_key, crypto=self._crypto, random=self._random
        )
        if path.relay:
            datagram = frame_relay(path.relay, datagram)
        self._outputs.append(Transmit(datagram, path.endpoint))
        self._counters.cookies_out += 1
        self._counters.datagrams_out += 1
        self._counters.datagram_bytes_out += len(datagram)

    def _take_share(self, path: Path, now: float) -> bool:
        """Whether the source prefix, or the relay, has not had too many INITs yet."""
        prefix = path.relay or prefix_of(path.endpoint.host)
        bucket = self._buckets.get(prefix)
        if bucket is None:
            if len(self._buckets) >= self._bounds.guard_prefixes:
                self._forget_idle(now)
            if len(self._buckets) >= self._bounds.guard_prefixes:
                return False
            bucket = TokenBucket(self._rate, self._bounds.guard_burst, now)
            self._buckets[prefix] = bucket
        return bucket.take(now)

    def _forget_idle(self, now: float) -> None:
        self._buckets = {
            prefix: bucket for prefix, bucket in self._buckets.items() if not bucket.is_full(now)
        }
