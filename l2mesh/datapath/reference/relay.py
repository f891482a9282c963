"""RELAY (section 5): as a client we unwrap, as a planet we forward the very bytes.

What a planet forwards is limited for each client, over all its relays: a client's bucket lives as
long as any relay that it is an end of.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from l2mesh.bucket import TokenBucket
from l2mesh.datapath.interface import (
    AddRelayLeg,
    DropReason,
    Endpoint,
    Output,
    RemoveRelay,
    RemoveRelayLeg,
    SetRelay,
    Transmit,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.trains import push_trains
from l2mesh.wire.relay import RELAY_HEADER_BYTES

_ID: Final = slice(1, RELAY_HEADER_BYTES)


@dataclass(frozen=True, slots=True)
class Relay:
    """Two ends and what each may still send."""

    left: Endpoint
    right: Endpoint
    left_bucket: TokenBucket
    right_bucket: TokenBucket


class Relays:
    """Relays that we use and relays that we are."""

    __slots__ = ("_bounds", "_buckets", "_counters", "_legs", "_outputs", "_relays")

    def __init__(self, bounds: Bounds, counters: Counters, outputs: deque[Output]) -> None:
        self._bounds = bounds
        self._counters = counters
        self._outputs = outputs
        self._legs: dict[int, Endpoint] = {}
        self._relays: dict[int, Relay] = {}
        self._buckets: WeakValueDictionary[bytes, TokenBucket] = WeakValueDictionary()

    def add_leg(self, command: AddRelayLeg, now: float) -> None:
        """Take this id from that planet."""
        self._legs[command.relay] = command.endpoint

    def remove_leg(self, command: RemoveRelayLeg, now: float) -> None:
        """Take this id no more."""
        self._legs.pop(command.relay, None)

    def set(self, command: SetRelay, now: float) -> None:
        """Forward between two ends, or change them."""
        self._relays[command.relay] = Relay(
            command.left,
            command.right,
            self._bucket(command.left_client, now),
            self._bucket(command.right_client, now),
        )

    def remove(self, command: RemoveRelay, now: float) -> None:
        """Forward this id no more."""
        self._relays.pop(command.relay, None)

    def is_one(self, run: bytes, stride: int) -> bool:
        """Whether all datagrams of a run are RELAY of one id, and none is empty."""
        head, starts = run[:RELAY_HEADER_BYTES], range(0, len(run), stride)
        if min(stride, len(run) - starts[-1]) <= RELAY_HEADER_BYTES:
            return False
        return all(run[at : at + RELAY_HEADER_BYTES] == head for at in starts)

    def find_leg(self, datagram: bytes, source: Endpoint) -> int:
        """The relay id if what is inside is for us, else 0."""
        number = int.from_bytes(datagram[_ID], "big")
        return number if self._legs.get(number) == source else 0

    def forward_run(self, run: bytes, stride: int, source: Endpoint, now: float) -> bool:
        """Whether `source` is an end; if so a run of one id goes to the other as trains.

        What exceeds the client's rate is cut off, as if the datagrams had come one by one.
        """
        relay = self._relays.get(int.from_bytes(run[_ID], "big"))
        if relay is None or source not in (relay.left, relay.right):
            return False
        is_left = source == relay.left
        bucket = relay.left_bucket if is_left else relay.right_bucket
        count = -(-len(run) // stride)
        passing = bucket.take_some(now, count)
        counters = self._counters
        if passing < count:
            counters.drop(DropReason.RELAY_RATE, count - passing)
            run = run[: passing * stride]
        push_trains(self._outputs, run, stride, relay.right if is_left else relay.left)
        counters.relayed_packets += passing
        counters.relayed_bytes += len(run)
        counters.datagrams_out += passing
        counters.datagram_bytes_out += len(run)
        return True

    def receive(self, datagram: bytes, source: Endpoint, now: float) -> int:
        """Take one RELAY datagram: its id if what is inside is for us, else 0."""
        if len(datagram) <= RELAY_HEADER_BYTES:
            self._counters.drop(DropReason.MALFORMED)
            return 0
        number = int.from_bytes(datagram[_ID], "big")
        relay = self._relays.get(number)
        if relay is not None and self._forward(relay, datagram, source, now):
            return 0
        if self.find_leg(datagram, source):
            return number
        self._counters.drop(DropReason.UNKNOWN_RELAY)
        return 0

    def _forward(self, relay: Relay, datagram: bytes, source: Endpoint, now: float) -> bool:
        """Whether `source` is an end; if so its datagram goes to the other or is one too many."""
        if source == relay.left:
            bucket, target = relay.left_bucket, relay.right
        elif source == relay.right:
            bucket, target = relay.right_bucket, relay.left
        else:
            return False
        counters = self._counters
        if not bucket.take(now):
            counters.drop(DropReason.RELAY_RATE)
            return True
        self._outputs.append(Transmit(datagram, target))
        length = len(datagram)
        counters.relayed_packets += 1
        counters.relayed_bytes += length
        counters.datagrams_out += 1
        counters.datagram_bytes_out += length
        return True

    def _bucket(self, client: bytes, now: float) -> TokenBucket:
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = TokenBucket(self._bounds.relay_rate, self._bounds.relay_burst, now)
            self._buckets[client] = bucket
        return bucket
