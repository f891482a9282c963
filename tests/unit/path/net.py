"""Two ends with a PathSet each, NATs, and a relay between them, in virtual time.

A NAT keeps the inner port (or draws one for each destination if symmetric), and lets in only what
comes from where something was sent to within 30 s.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.candidate import Kind
from l2mesh.path.outputs import (
    PathChanged,
    PeerSilent,
    SendCopies,
    SendingChanged,
    SendOpener,
    SendProbe,
    TellAgain,
)
from l2mesh.path.paths import PathSet
from l2mesh.path.probe import ProbeLimiter

RELAY = Path(Endpoint("203.0.113.1", 9993), 77)
LATENCY_S = 0.02
NAT_S = 30.0


@dataclass
class Nat:
    host: str
    symmetric: bool = False
    open: bool = False  # a host on the public internet
    holes: dict[tuple[int, Endpoint], float] = field(default_factory=dict)
    ports: dict[tuple[int, Endpoint], int] = field(default_factory=dict)

    def leave(self, port: int, to: Endpoint, now: float) -> Endpoint:
        outer = port
        if self.symmetric:
            outer = self.ports.setdefault((port, to), 40000 + len(self.ports))
        self.holes[outer, to] = now
        return Endpoint(self.host, outer)

    def lets_in(self, source: Endpoint, port: int, now: float) -> bool:
        return self.open or now - self.holes.get((port, source), -1e9) <= NAT_S


class End:
    def __init__(self, net: Net, name: str, nat: Nat, port: int, *, direct: bool = True) -> None:
        seeded = Random(f"{net.seed}{name}")
        self.net, self.name, self.nat, self.port = net, name, nat, port
        self.paths = PathSet(random=seeded.randbytes, limiter=net.limiter, direct=direct)
        self.peer: End = self
        self.sent = self.received = self.frame = 0.0
        self.probes: list[tuple[float, Path]] = []
        self.moves: list[tuple[float, Path | None]] = []
        self.copies: list[tuple[float, Path]] = []
        self.silent: list[float] = []
        self.sizes: list[tuple[float, Path, int]] = []
        self.frames: list[tuple[float, Path]] = []
        self.lost_frames = 0
        self.told: dict[Path, float] = {}
        self.is_deaf = False
        self.has_session = True

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.nat.host, self.port)

    def send_frame(self) -> None:
        self.frame = self.net.now
        if self.paths.active is None:
            self.lost_frames += 1
        else:
            self.net.send(self, "frame", 0, self.paths.active)
        self.net.settle(self)

    def receive(self, kind: str, nonce: int, path: Path) -> None:
        now = self.net.now
        if self.is_deaf or not self.has_session:
            return
        self.received = now
        if path != self.paths.active and now >= self.told.get(path, -9.0) + 1.0:
            self.told[path] = now
            self.paths.source_seen(path, now)
        if kind == "probe":
            self.net.send(self, "reply", nonce, path)
            self.paths.receive_probe(path, now)
        elif kind == "reply":
            self.paths.receive_reply(nonce, path, now)
        else:
            self.frame = now
            self.frames.append((now, path))
        self.net.settle(self)


class Net:
    def __init__(self, seed: int = 1) -> None:
        self.seed, self.now = seed, 100.0
        self.random = Random(seed)
        self.limiter = ProbeLimiter()
        self.ends: list[End] = []
        self.openers: list[tuple[float, Endpoint]] = []
        self.relay_works = True
        self.loss = 0.0
        self.largest = 1472
        self.blocked: set[tuple[str, str]] = set()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def pair(self, nat_a: Nat, nat_b: Nat, *, direct: bool = True) -> tuple[End, End]:
        a, b = End(self, "a", nat_a, 1111, direct=direct), End(self, "b", nat_b, 2222)
        a.peer, b.peer = b, a
        self.ends = [a, b]
        return a, b

    def meet(self, *, relay: bool = True) -> None:
        """A session over the relay, then CANDIDATES in both directions."""
        for end in self.ends:
            if relay:
                end.paths.add_relay(RELAY, self.now)
            end.paths.session_live(self.now)
            end.paths.add_candidates([end.peer.endpoint], Kind.TOLD, self.now)
            self.settle(end)

    def send(self, end: End, kind: str, nonce: int, path: Path) -> None:
        end.sent = self.now
        if kind == "probe":
            end.probes.append((self.now, path))
        peer = end.peer
        if path.relay:
            if self.relay_works and path == RELAY and self._survives():
                self.after(2 * LATENCY_S, lambda: peer.receive(kind, nonce, RELAY))
            return
        source = end.nat.leave(end.port, path.endpoint, self.now)
        if self._survives() and (end.name, peer.name) not in self.blocked:
            self.after(LATENCY_S, lambda: self._arrive(peer, kind, nonce, source, path.endpoint))

    def _survives(self) -> bool:
        return self.random.random() >= self.loss

    def _arrive(self, peer: End, kind: str, nonce: int, source: Endpoint, to: Endpoint) -> None:
        if to.host == peer.nat.host and peer.nat.lets_in(source, to.port, self.now):
            peer.receive(kind, nonce, Path(source))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), call))

    def every(self, seconds: float, call: Callable[[], None], until: float) -> None:
        def again() -> None:
            call()
            if self.now + seconds < until:
                self.after(seconds, again)

        self.after(0.0, again)

    def settle(self, end: End) -> None:
        while (output := end.paths.poll_output()) is not None:
            match output:
                case SendProbe(nonce, path, size):
                    if size <= self.largest:
                        self.send(end, "probe", nonce, path)
                case SendOpener(endpoint):
                    self.openers.append((self.now, endpoint))
                    end.nat.leave(end.port, endpoint, self.now)
                case TellAgain():
                    pass  # these ends hear of each other's endpoints by `meet` alone
                case PathChanged(path):
                    end.moves.append((self.now, path))
                case SendingChanged(path, size):
                    end.sizes.append((self.now, path, size))
                case SendCopies(path, _):
                    end.copies.append((self.now, path))
                case PeerSilent():
                    end.silent.append(self.now)

    def run(self, seconds: float) -> None:
        """Events and timers in order; traffic is reported as often as paths ask, as a core does."""
        until = self.now + seconds
        tick = self.now
        while self.now < until:
            due = [end.paths.next_timeout() for end in self.ends]
            at = min([tick, until, *(at for at in due if at is not None)])
            if self._events and self._events[0][0] <= at:
                self.now, _, call = heapq.heappop(self._events)
                call()
                continue
            self.now = max(self.now, at)
            if self.now >= until:
                return
            if self.now >= tick:
                tick = self.now + min(end.paths.tick_s for end in self.ends)
            for end in self.ends:
                end.paths.note_activity(end.sent, end.received, end.frame, self.now)
                end.paths.handle_timeout(self.now)
                self.settle(end)
                due_next = end.paths.next_timeout()
                assert due_next is None or due_next > self.now, "a timer would spin"
