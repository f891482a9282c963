"""Searching for each other where candidates alone lead to no direct path (CALL, section 8.4).

A second after CANDIDATES a peer that is still on the relay is called: CALL says how our NAT chooses
ports. It answers with a CALL of its own, and both begin to try what they can foretell of the other.
What gets through becomes a candidate as anything does that comes from a new place.

| event                              | what is done                                        |
|------------------------------------|-----------------------------------------------------|
| CANDIDATES heard, still relayed    | a call after 1 s                                    |
| a call is due, frames pass         | CALL; the next one after 60, 120, 300 and 600 s     |
| CALL heard, still relayed          | candidates again; CALL, unless just sent; a search  |
| the own NAT counts ports up        | a scout goes before CALL and search, see `Scouts`   |
| direct, or no session              | search and calls end                                |
| relayed again, or we are elsewhere | calls begin anew                                    |
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.node import control
from l2mesh.node.candidates import Candidates
from l2mesh.node.core import Core
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.node.scouts import Scouts
from l2mesh.path.candidate import Kind
from l2mesh.path.foretell import foretell
from l2mesh.path.mapping import Forecast, Mapping
from l2mesh.path.quota import SearchQuota
from l2mesh.wire.control import Probe, encode_records
from l2mesh.wire.message import Call

__all__ = ["Calls"]

FIRST_S: Final = 1.0
"""After CANDIDATES, for what needs no search to become direct."""
AGAIN_S: Final = (60.0, 120.0, 300.0, 600.0)
"""Between calls; after these none is made until something changes."""
LOOK_S: Final = 10.0
"""Before a call that nobody needs now is thought of again. The first one does not wait so long: the
frame for which two peers met is need enough."""
HEARD_S: Final = 20.0
"""Between two CALLs of a peer that are heeded."""
JUST_S: Final = 5.0
"""A CALL that we sent so long ago is the one which the peer answers."""
PACE_S: Final = 0.02
"""Between two probes of a search."""
MAX_SEARCHES: Final = 8
"""Peers that are searched at the same time."""
IPV4: Final = 4


@dataclass(slots=True)
class _State:
    """What is between us and one relayed peer; times are monotonic seconds."""

    due_at: float | None
    """The next CALL of ours."""
    calls: int = 0
    called_at: float = float("-inf")
    heard_at: float = float("-inf")
    probe_at: float = 0.0
    targets: deque[Endpoint] = field(default_factory=deque)
    """Endpoints that are still to be tried."""
    is_waiting: bool = False
    """A CALL of ours waits for the scout."""
    theirs: Forecast | None = None
    """What the peer has told, for a search that is to begin."""


@dataclass(slots=True, eq=False)
class Calls(Part):
    """CALLs and the searches that follow. Bounded by the peers, 128 targets each."""

    core: Core
    candidates: Candidates
    scouts: Scouts
    quota: SearchQuota = field(default_factory=SearchQuota)
    _states: dict[bytes, _State] = field(default_factory=dict)

    def handlers(self) -> dict[type, Handler]:
        return {Call: self.receive}

    def told(self, peer: Peer, now: float) -> None:
        """CANDIDATES came: if they lead to nothing, call."""
        if not peer.paths.is_direct:
            self._states.setdefault(peer.fingerprint, _State(now + FIRST_S))

    def receive(self, peer: Peer, call: Call, now: float) -> None:
        """The peer begins to look for us. Strangers are not listened to."""
        if not self.core.direct or not self.core.knows(peer) or peer.paths.is_direct:
            return
        state = self._states.setdefault(peer.fingerprint, _State(None))
        if now < state.heard_at + HEARD_S:
            self.core.refuse("call_too_soon")
            return
        state.heard_at = now
        state.theirs = Forecast(_mapping(call.mapping), call.parsed(), call.step)
        calls = now >= state.called_at + JUST_S
        opens = calls or not peer.is_heard
        peer.paths.add_candidates([], Kind.TOLD, now, again=True, opens=opens)
        self._proceed(peer, state, now, calls=calls)
        self.core.touch(peer, now)

    def scouted(self, now: float) -> None:
        """Where our NAT stands is known now, or stays unknown: what waited for it goes on."""
        for fingerprint, state in list(self._states.items()):
            peer = self.core.peers.get(fingerprint)
            if state.is_waiting and peer is not None:
                state.is_waiting = False
                self._go_on(peer, state, now, calls=True)
                self.core.touch(peer, now)

    # --- hooks ----------------------------------------------------------------------------------

    def path_changed(self, peer: Peer, now: float) -> None:
        if peer.paths.is_direct:
            self._states.pop(peer.fingerprint, None)
        elif peer.is_live and peer.fingerprint in self.candidates.told:
            self._states[peer.fingerprint] = _State(now + FIRST_S)

    def session_lost(self, peer: Peer, now: float) -> None:
        self._states.pop(peer.fingerprint, None)

    def peer_removed(self, peer: Peer, now: float) -> None:
        self._states.pop(peer.fingerprint, None)

    def local_endpoints_changed(self, now: float) -> None:
        for state in self._states.values():
            state.due_at, state.calls = now + FIRST_S, 0
            state.targets.clear()

    def direct_changed(self, now: float) -> None:
        if not self.core.direct:
            self._states.clear()

    def next_timeout(self) -> float | None:
        due = [state.due_at for state in self._states.values()]
        due += [state.probe_at for state in self._states.values() if state.targets]
        return min((at for at in due if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        for fingerprint, state in list(self._states.items()):
            peer = self.core.peers.get(fingerprint)
            if peer is None:
                del self._states[fingerprint]
                continue
            if state.due_at is not None and now >= state.due_at:
                self._call_if_needed(peer, state, now)
            if state.targets and now >= state.probe_at:
                self._probe(peer, state, now)

    # --- inside ---------------------------------------------------------------------------------

    def _call_if_needed(self, peer: Peer, state: _State, now: float) -> None:
        """While frames pass by a relay, and no oftener than `AGAIN_S` says."""
        if peer.is_live and peer.paths.retry_at is not None:
            self._proceed(peer, state, now, calls=True)
        else:
            state.due_at = now + LOOK_S

    def _proceed(self, peer: Peer, state: _State, now: float, *, calls: bool) -> None:
        """Call and search, but a scout goes first where our NAT counts up: what it finds is told,
        and it takes a port, which would upset a search that is under way."""
        if calls and self.scouts.begin(now):
            state.is_waiting, state.due_at = True, None
        elif not state.is_waiting:
            self._go_on(peer, state, now, calls=calls)

    def _go_on(self, peer: Peer, state: _State, now: float, *, calls: bool) -> None:
        if calls:
            self._call(peer, state, now)
        if state.theirs is not None:
            self._search(peer, state, state.theirs, now)
            state.theirs = None

    def _call(self, peer: Peer, state: _State, now: float) -> None:
        state.called_at = now
        state.due_at = now + AGAIN_S[state.calls] if state.calls < len(AGAIN_S) else None
        state.calls += 1
        ours = self._forecast()
        self.core.send(peer, Call.of(ours.mapping.value, ours.seen, ours.step), now)

    def _forecast(self) -> Forecast:
        own = {each.host for each in self.core.local_endpoints}
        return self.candidates.planets.mappings.forecast(own, family=IPV4)

    def _search(self, peer: Peer, state: _State, theirs: Forecast, now: float) -> None:
        searches = sum(1 for each in self._states.values() if each.targets and each is not state)
        if searches >= MAX_SEARCHES:
            self.core.refuse("too_many_searches")
            return
        ours, own = self._forecast(), self.core.settings.identity.public.fingerprint
        random = self.core.settings.random
        targets = foretell(ours, theirs, leads=own < peer.fingerprint, random=random)
        state.targets = deque(each for each in targets if self.candidates.is_acceptable(each))
        state.probe_at = now

    def _probe(self, peer: Peer, state: _State, now: float) -> None:
        """One probe. Its answer shows a new source, whom the paths then ask themselves."""
        endpoint = state.targets.popleft()
        state.probe_at = now + PACE_S
        if not self.quota.allow(endpoint.host, now):
            state.targets.clear()
        elif self.core.limiter.allow_foretold(endpoint, now):
            nonce = int.from_bytes(self.core.settings.random(8), "big")
            control.say(self.core, peer, encode_records([Probe(nonce)]), path=Path(endpoint))


def _mapping(word: str) -> Mapping:
    """What a CALL says; a later version may know more kinds."""
    try:
        return Mapping(word)
    except ValueError:
        return Mapping.UNKNOWN
