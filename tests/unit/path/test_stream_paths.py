"""A stream among the paths to a planet: better than nothing, worse than UDP, never unproven."""

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.datapath.streams import stream_endpoint
from l2mesh.path.candidate import Kind
from l2mesh.path.outputs import SendProbe
from l2mesh.path.paths import PathSet
from l2mesh.path.probe import ProbeLimiter

UDP = Path(Endpoint("192.0.2.1", 9993))
STREAM = Path(stream_endpoint(1))


class Planet:
    """The paths to a planet that answers probes by the paths in `open`."""

    def __init__(self, *open_paths: Path) -> None:
        self.open = set(open_paths)
        self.now = 0.0
        self._last = 0
        self.paths = PathSet(random=self._random, limiter=ProbeLimiter())
        self.paths.set_always(True)
        self.paths.add_candidates([UDP.endpoint], Kind.TOLD, 0.0)
        self.paths.session_live(0.0)
        self.run(0.0)

    def _random(self, size: int) -> bytes:
        self._last += 1
        return self._last.to_bytes(size, "big")

    def used(self) -> Path | None:
        """The path in use."""
        return self.paths.active

    def run(self, seconds: float) -> None:
        """Let time pass in steps of 0.1 s, sending all the while."""
        end = self.now + seconds
        while True:
            self.paths.note_activity(self.now, 0.0, 0.0, self.now)
            self.paths.handle_timeout(self.now)
            while (output := self.paths.poll_output()) is not None:
                if isinstance(output, SendProbe) and output.path in self.open:
                    self.paths.receive_reply(output.nonce, output.path, self.now)
            if self.now >= end:
                return
            self.now += 0.1


def test_stream_takes_over_when_udp_dies_and_gives_back_when_it_answers() -> None:
    planet = Planet(UDP)
    assert planet.used() == UDP
    planet.open = {STREAM}
    planet.run(5)
    planet.paths.add_relay(STREAM, planet.now)
    planet.run(1)
    assert planet.used() == STREAM
    planet.open = {STREAM, UDP}
    planet.run(15)
    assert planet.used() == UDP
    planet.paths.remove_relay(STREAM, planet.now)
    assert planet.used() == UDP


def test_stream_that_has_not_answered_is_never_used() -> None:
    """Whoever repeats a datagram over a stream of his own moves nothing there."""
    planet = Planet()
    planet.paths.source_seen(STREAM, planet.now)
    planet.run(10)
    assert planet.used() is None
    planet.open = {UDP}
    planet.paths.add_candidates([], Kind.TOLD, planet.now, again=True)
    planet.run(2)
    assert planet.used() == UDP
    planet.paths.source_seen(STREAM, planet.now)
    planet.open = set()
    planet.run(20)
    assert planet.used() is None


def test_handshakes_go_over_the_stream_as_well() -> None:
    planet = Planet()
    planet.paths.session_lost(planet.now)
    planet.paths.add_relay(STREAM, planet.now)
    assert set(planet.paths.handshake_paths()) == {STREAM, UDP}
