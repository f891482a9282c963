"""The paths to one peer: which is in use, which are tried, when one is given up.

What can be asked about them is in `l2mesh.path.known`, their states in `l2mesh.path.state`, what is
asked by which candidate in `l2mesh.path.asking`, how the path in use is watched in
`l2mesh.path.heartbeat`, what follows when no path answers in `l2mesh.path.silence`, and without
frames in `l2mesh.path.resting` (section 8.4 of ``docs/protocol.md``). Nothing moves because of a
source address: an authentic datagram from elsewhere is answered by one PROBE there at most, and
only the reply to that makes the endpoint usable. The owner calls ``note_activity`` before
``handle_timeout``, as often as ``tick_s`` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.datapath.streams import is_stream
from l2mesh.errors import StateError
from l2mesh.path.candidate import Candidate, Kind
from l2mesh.path.choice import best_path
from l2mesh.path.heartbeat import Verdict
from l2mesh.path.known import KnownPaths
from l2mesh.path.outputs import PathChanged, PathOutput
from l2mesh.path.patience import drop_silent, has_better, patience_s
from l2mesh.path.resting import Turn

__all__ = ["PathSet"]

_PROBE_GAP_S: Final = 0.1
_NOT_DUE: Final = float("inf")


class PathSet(KnownPaths):
    """The paths to one peer, as they are tried and chosen. Memory is bounded by what candidates
    there may be, and 256 open probes."""

    # --- what is told -----------------------------------------------------------------------------

    def set_always(self, always: bool, *, rests: bool = False) -> None:  # noqa: FBT001 - the matter
        """Planets and controllers: keep alive for ever, others only while frames pass. ``rests``:
        without any a relay will do."""
        self._need.always, self._need.rests = always, rests

    def set_direct(self, direct: bool, now: float) -> None:  # noqa: FBT001 - as `set_always`
        """Use and try direct paths from now on, or leave them at once for a relay."""
        if direct == self._direct:
            return
        self._direct = direct
        if direct:
            self._rounds.forgive()
            if self._need.live_at is not None:
                self._asking.start_round(self._table.direct(), now)
            return
        before = self._active
        self._rounds.stop(self._table.direct())
        self._table.drop_direct()
        self._settle(now)
        if before is not None and before.is_direct:
            self._copies.send(before, self._active, now)

    def may_answer(self, path: Path, now: float) -> bool:
        """Whether a PROBE by this path is answered: not by one that the peer is not to use, and not
        for ever at an endpoint that does not answer us."""
        if self._steering.is_silent(path, self.active, now):
            return False
        if path.relay or is_stream(path.endpoint):
            return True
        return self._direct and self._asking.may_answer(path, now)

    def set_bond(self, wanted: bool) -> None:  # noqa: FBT001 - as `set_always`
        """Spread flows over several direct paths from now on, or not any more."""
        self._bond.wanted = wanted
        self._bond.tell(self._active)

    def keep_all_open(self) -> None:
        """Planets: keep all open that answer, since each shows what NATs make of us."""
        self._uplinks.keeps_all = True

    def set_uplinks(self, named: tuple[int, ...], now: float, *, lost: bool = False) -> None:
        """See `Core.set_uplinks`."""
        new = self._uplinks.change(named, now)
        if self._active is not None and self._uplinks.is_down(self._active, lost=lost):
            self._active.usable, self._active = False, None
            self._settle(now, changed=True)
            new = self._untried()
        if self._need.live_at is not None:
            self.challenge(now)
            self._asking.search(new, now)

    def follow(self, path: Path | None, now: float) -> None:
        """The peer speaks to us by this path: use it as well, as soon as it has answered."""
        self._followed = path
        self._settle(now)

    def add_relay(self, path: Path, now: float) -> None:
        """Both ends and a planet have agreed on a relay, which may be used at once; or a stream is
        open, which may once it has answered.

        Raises StateError for a path that is neither.
        """
        if not path.relay and not is_stream(path.endpoint):
            raise StateError(f"{path} is no relay")
        relay = self._table.add(path, Kind.RELAY if path.relay else Kind.STREAM, now)
        if relay is not None and self._need.live_at is not None:
            self._asking.start_round([relay], now)
        self._settle(now)

    def remove_relay(self, path: Path, now: float) -> None:
        """The planet has dropped this relay, or the stream is closed."""
        relay = self._table.get(path)
        if relay is None or relay.is_direct:
            return
        self._table.remove(path)
        if relay is self._active:
            self._active = None
            self._settle(now, changed=True)

    def avoid_relay(self, relay: int, now: float, *, avoided: bool) -> None:
        """The planet of this relay is about to stop, or is not any more."""
        for candidate in self._table.relays():
            if candidate.path.relay == relay:
                candidate.avoided = avoided
        self._settle(now)

    def add_candidates(
        self,
        endpoints: Iterable[Endpoint],
        kind: Kind,
        now: float,
        *,
        again: bool = False,
        opens: bool = False,
    ) -> None:
        """Try these endpoints, which `acceptable` let pass: new ones at once, all if ``again``.

        ``again`` is for when we know that we have moved ourselves; ``opens`` for when the peer has
        not heard us yet, and begins only then (`peer_begins`).
        """
        if not self._direct:
            return
        new = self._uplinks.add(endpoints, kind, now)
        if self._need.live_at is None:
            return
        if again:
            self.challenge(now)
            self._asking.search(self._table.direct(), now, opens=opens)
        else:
            self._asking.heard(new, now, opens=opens)

    def peer_begins(self, now: float) -> None:
        """The peer has heard all that we said, so it tries us as well."""
        self._asking.peer_begins(now)

    def session_live(self, now: float) -> None:
        """There is a session (or a newer one): probes can be sealed, paths are tried."""
        if self._need.live_at is None:
            self._begin(now)
        elif self._active is not None and not self._silence.is_told:
            return
        self._silence.end()
        self.challenge(now)
        self._asking.search(list(self._table), now)

    def session_lost(self, now: float) -> None:
        """No session is left: nothing is sent. The path in use is kept for the next handshake."""
        self._need.live_at = None
        self._asking.stop()
        self._heartbeat.moved(now)

    def source_seen(self, path: Path, now: float) -> None:
        """An authentic packet came by a path that is not in use: one probe there, no move.

        The engine tells that once a second for a path, so we send less there than came from it.
        """
        if self._need.live_at is None or path == self.active:
            return
        candidate = self._table.get_or_see(path, now, direct=self._direct)
        if candidate is None:
            return
        if self._uplinks.is_reply(candidate, now):
            self._heartbeat.beside(now)
            return
        if self._rest.is_worth_asking(candidate, now):
            self._asking.probe(candidate, now)
        self._follow(candidate, now)

    def receive_probe(self, path: Path, now: float) -> None:
        """An authentic PROBE came by this path: its NAT is open to us now, so probe back."""
        if self._need.live_at is None:
            return
        candidate = self._table.get_or_see(path, now, direct=self._direct)
        if candidate is None or not candidate.is_direct:
            return
        if candidate is not self._active:
            self._heartbeat.beside(now)
        if candidate.is_asked_again(now):  # a heartbeat there
            if candidate is self._active:
                self._steering.uses_both()
            else:
                self._follow(candidate, now)
        if self._rest.is_worth_asking(candidate, now) and now >= candidate.probed_at + _PROBE_GAP_S:
            self._asking.probe(candidate, now, is_back=True)

    def receive_reply(self, nonce: int, path: Path, now: float) -> bool:
        """A PROBE_REPLY came by ``path``; whether it answers a probe that went there."""
        probe = self._asking.close(nonce, path, now)
        candidate = self._table.get(path)
        if probe is None or candidate is None:
            return False
        candidate.answer(now, now - probe.sent_at, is_size=bool(probe.size))
        if probe.size:
            candidate.size.receive_reply(probe.size, now)
            self._bond.tell(self._active)
        if candidate.is_direct:
            self._asking.answered(path.endpoint, now)
            self._rounds.forgive()
            if not self._uplinks.keeps_all:
                self._rounds.stop(self._table.direct(candidate.uplink))  # the peer asks as well
            candidate.usable = self._direct and not self._rest.is_on
        self._bond.answered(path, now)
        if candidate is self._active:
            self._heartbeat.answered(now)
            if probe.is_heartbeat:
                self._heartbeat.record(probe.sent_at, lost=False)
        else:
            self._heartbeat.beside(now)
        self._silence.end()
        self._settle(now)
        return True

    def note_activity(self, sent: float, received: float, frame: float, now: float) -> None:
        """Traffic with the peer: the engine's ``Activity``. Where frames are spread, what arrives
        says nothing of one path."""
        is_spread = self._heartbeat.is_flowing and self._bond.members
        self._heartbeat.note(sent, float("-inf") if is_spread else received, frame, now)
        self.note_need(frame)

    def note_need(self, frame: float) -> None:
        """When a frame passed for which the peer is needed, though it may be another's."""
        self._need.note_frame(frame)

    def challenge(self, now: float) -> None:
        """Ask the path in use for a sign of life, at most once a second; dead after 3 s without."""
        is_live = self._need.live_at is not None
        if is_live and self._active is not None and not self._heartbeat.has_just_beaten(now):
            self._beat(self._active, now)

    # --- time -------------------------------------------------------------------------------------

    def handle_timeout(self, now: float) -> None:
        """Everything that is due; calling it more often does nothing twice."""
        if self._need.live_at is None:
            return
        for probe in self._asking.expire(now):
            if probe.is_heartbeat and probe.path == self.active:
                self._heartbeat.record(probe.sent_at, lost=True)
        self._asking.continue_round(now)
        flowing = self._heartbeat.is_flowing
        self._uplinks.ask(self._active, now, is_idle=self._need.is_idle, is_flowing=flowing)
        self._rest_when_idle(now)
        self._watch_active(now)
        self._bond.handle_timeout(self._active, now, is_flowing=flowing)
        if self._active is not None and flowing and not self._heartbeat.unanswered:
            self._asking.try_sizes(self._active, now)
            self._bond.tell(self._active)
        self._retry(now)
        if self._active is None and now >= self._rounds.search_until:
            self._silence.tell(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is needed, if nobody reports traffic before that."""
        if self._need.live_at is None:
            return None
        due = [self._rounds.next_timeout(self._table)]
        if self._active is None:
            due.append(max(self._rounds.search_until, self._silence.tell_at()))
        else:
            beat_at = self._heartbeat.next_beat(keep_alive=self._need.keeps_alive)
            due.append(max(beat_at, self._silence.beat_at(self._heartbeat)))
            due.append(self._need.idle_at())
        if self._may_retry():
            due.append(self._rounds.retry_at)
        due.append(self._uplinks.next_timeout(self._active, is_idle=self._need.is_idle))
        first = min(due)
        return None if first == _NOT_DUE else first

    def poll_output(self) -> PathOutput | None:
        """The next thing to do, in order."""
        return self._outputs.popleft() if self._outputs else None

    def poll_doubted(self) -> Path | None:
        """A relay that may be why the peer does not answer: `challenge` the planet that has it.

        Either that planet is gone, or it still knows us by an endpoint that we have left.
        """
        return self._doubted.popitem()[0] if self._doubted else None

    # --- rounds -----------------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        """A session after none: what worked in the last one has to answer anew."""
        self._need.begin(now)
        self._heartbeat.moved(now)
        for candidate in self._table.direct():
            candidate.usable = candidate is self._active

    def _retry(self, now: float) -> None:
        if self._may_retry() and now >= self._rounds.retry_at:
            self._asking.retry(self._untried(), now)

    # --- the path in use --------------------------------------------------------------------------

    def _watch_active(self, now: float) -> None:
        if self._active is None:
            return
        if has_better(self._active, self._heartbeat, self._table, now):
            doubted = self._active
            doubted.doubted_at = now
            self._give_up(doubted, now)
            self._copies.send(doubted, self._active, now)
        if self._heartbeat.has_just_beaten(now):
            return
        bearable_s = patience_s(self._active, self._heartbeat, self._table, now)
        keep_alive = self._need.keeps_alive
        verdict = self._heartbeat.tick(now, patience_s=bearable_s, keep_alive=keep_alive)
        if verdict is Verdict.REST:
            return
        if verdict is Verdict.SEND:
            self._beat(self._active, now)
        elif not self._silence.is_told:
            self._give_up(self._active, now)
        elif now >= self._silence.beat_at(self._heartbeat):
            self._beat(self._active, now)
            self._silence.tell(now)

    def _beat(self, active: Candidate, now: float) -> None:
        """One heartbeat; from the second unanswered one on, what else works is asked as well."""
        if self._heartbeat.unanswered:
            self._doubted |= {relay.path: None for relay in self._table.relays()}
            for other in self._table:
                if other is not active and (other.usable or not other.is_direct):
                    self._asking.probe(other, now)
        self._heartbeat.beat(now)
        self._asking.probe(active, now, is_heartbeat=True)
        self._copies.send_while_late(active, self._heartbeat, self._table, now)

    def _follow(self, candidate: Candidate, now: float) -> None:
        """The peer's newest packets come by this one: does the path in use still work?"""
        self._heartbeat.elsewhere(candidate.path, now)
        self._steering.note(candidate, self._active, now)
        self.challenge(now)

    def _give_up(self, dead: Candidate, now: float) -> None:
        """The path in use is dead: the best of the others, and all endpoints are tried again."""
        since = self._heartbeat.waiting_since
        since = now if since is None else since
        dead.usable = False
        drop_silent(self._heartbeat, self._table, now)
        answered = any(candidate.answered_at >= since for candidate in self._table)
        if dead.is_direct or any(relay.usable for relay in self._table.relays()):
            self._active = None
        self._settle(now, changed=True)
        self._asking.search(self._untried(), now)
        self.challenge(now)
        if not answered:
            self._silence.tell(now)

    def _settle(self, now: float, *, changed: bool = False) -> None:
        """Use the best path there is; ``changed``: the one in use was just taken away."""
        best = best_path(self._table, self._active, self._followed)
        best = self._uplinks.better(best, now)
        if best is self._active and not changed:
            return
        before, self._active = self._active, best
        if best is not before or best is None:
            self._heartbeat.moved(now)
            how = (None, 0) if best is None else self._bond.sending(best)
            self._outputs.append(PathChanged(*how))
            if before is not None and before.usable:
                self._copies.send(before, best, now)
        if best is None:
            self._rounds.extend(now)
        elif best.answered_at == now:
            self._heartbeat.answered(now)

    def _rest_when_idle(self, now: float) -> None:
        """After 600 s without frames the relay takes over; the first frame starts a new search."""
        turn = self._rest.turn(now, is_direct=self.is_direct)
        if turn is Turn.SEARCH:
            self._asking.search(self._untried(), now)
            self.challenge(now)
        elif turn is Turn.REST:
            self._settle(now)
            if self._need.keeps_alive:
                self.challenge(now)
