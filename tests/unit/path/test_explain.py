"""What `l2mesh path` says of each candidate."""

import pytest

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.candidate import Kind
from l2mesh.path.explain import Standing, explain
from l2mesh.path.outputs import SendProbe
from l2mesh.path.paths import PathSet
from l2mesh.path.probe import ProbeLimiter

LAN = Path(Endpoint("10.0.0.2", 9993))
WAN = Path(Endpoint("198.51.100.2", 9993))
OTHER = Path(Endpoint("198.51.100.3", 9993))
RELAY = Path(Endpoint("203.0.113.1", 9993), 7)


class Peer:
    """A set of paths whose probes are answered on demand."""

    def __init__(self) -> None:
        self.paths = PathSet(random=self._random, limiter=ProbeLimiter())
        self._nonce = 0
        self._open: dict[Path, int] = {}

    def _random(self, size: int) -> bytes:
        self._nonce += 1
        return self._nonce.to_bytes(size, "big")

    def answer(self, path: Path, now: float) -> None:
        """A reply to the newest probe by this path."""
        while (output := self.paths.poll_output()) is not None:
            if isinstance(output, SendProbe):
                self._open[output.path] = output.nonce
        assert self.paths.receive_reply(self._open[path], path, now)

    def standing(self, now: float) -> dict[Path, Standing]:
        """State of each candidate, best first."""
        return {report.path: report.standing for report in explain(self.paths, now)}


def test_each_candidate_says_what_was_tried_and_what_came_of_it() -> None:
    peer = Peer()
    peer.paths.add_candidates([each.endpoint for each in (LAN, WAN, OTHER)], Kind.TOLD, 0.0)
    assert set(peer.standing(0.0).values()) == {Standing.UNTRIED}
    assert all("no session" in report.reason for report in explain(peer.paths, 0.0))
    peer.paths.session_live(0.0)
    peer.paths.add_relay(RELAY, 0.0)
    assert peer.standing(0.0) == {
        RELAY: Standing.IN_USE,
        LAN: Standing.TRYING,
        WAN: Standing.TRYING,
        OTHER: Standing.TRYING,
    }
    peer.answer(WAN, 0.04)
    peer.answer(OTHER, 0.05)
    reports = {report.path: report for report in explain(peer.paths, 1.04)}
    assert list(reports) == [WAN, OTHER, RELAY, LAN]
    assert reports[WAN].standing is Standing.IN_USE
    assert reports[OTHER].standing is reports[RELAY].standing is Standing.RESERVE
    assert (reports[WAN].probes, reports[WAN].answers) == (1, 1)
    assert reports[WAN].answered_age_s == 1.0
    assert reports[WAN].rtt_ms == 40.0
    assert reports[LAN].standing is Standing.SILENT
    assert "inside a LAN" in reports[LAN].reason
    assert reports[LAN].answered_age_s is None


def test_a_path_that_died_is_told_from_one_that_never_lived() -> None:
    peer = Peer()
    peer.paths.add_candidates([WAN.endpoint, OTHER.endpoint], Kind.TOLD, 0.0)
    peer.paths.session_live(0.0)
    peer.paths.add_relay(RELAY, 0.0)
    peer.answer(WAN, 0.1)
    now = 0.1
    while peer.paths.active == WAN and now < 60:
        now += 1.0
        peer.paths.note_activity(now, 0.1, now, now)
        peer.paths.handle_timeout(now)
    for _ in range(8):
        now += 0.5
        peer.paths.handle_timeout(now)
    standing = peer.standing(now)
    assert standing[RELAY] is Standing.IN_USE
    assert standing[WAN] is Standing.DEAD
    assert standing[OTHER] is Standing.SILENT
    dead = next(report for report in explain(peer.paths, now) if report.path == WAN)
    assert dead.reason == f"answered until {now - 0.1:.0f} s ago, and does not now"
    assert peer.paths.retry_at is not None and peer.paths.retry_at > now - 10


def silent(*endpoints: Endpoint) -> Peer:
    """A peer that has been asked at each of these, in vain."""
    peer = Peer()
    peer.paths.add_candidates(endpoints, Kind.TOLD, 0.0)
    peer.paths.session_live(0.0)
    peer.paths.add_relay(RELAY, 0.0)
    peer.answer(RELAY, 0.1)
    for step in range(1, 7):
        peer.paths.handle_timeout(0.5 * step)
    return peer


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("10.0.0.2", True),
        ("192.168.1.9", True),
        ("100.64.0.9", True),
        ("fd00::2", True),
        ("192.0.2.9", False),
        ("198.18.0.9", False),
        ("2001:db8::9", False),
    ],
)
def test_what_never_answered_is_inside_a_lan_or_behind_something(
    host: str,
    inside: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    peer = silent(Endpoint(host, 9993))
    report = explain(peer.paths, 9.0)[-1]
    assert report.standing is Standing.SILENT
    assert ("inside a LAN" in report.reason) is inside


def test_an_endpoint_of_a_family_that_the_host_has_not_is_out_of_reach() -> None:
    peer = silent(WAN.endpoint, Endpoint("2001:db8::9", 9993))
    peer.paths.reach.families = frozenset({4})
    reasons = {each.path.endpoint.host: each.reason for each in explain(peer.paths, 9.0)}
    assert reasons["2001:db8::9"] == "out of reach: this host has no IPv6"
    assert "never answered" in reasons[WAN.endpoint.host]
    peer.paths.reach.families = frozenset({6})
    reasons = {each.path.endpoint.host: each.reason for each in explain(peer.paths, 9.0)}
    assert reasons[WAN.endpoint.host] == "out of reach: this host has no IPv4"


def test_probes_that_try_a_size_are_counted_neither_as_asked_nor_as_answered() -> None:
    peer = Peer()
    peer.paths.add_candidates([WAN.endpoint], Kind.TOLD, 0.0)
    peer.paths.session_live(0.0)
    peer.answer(WAN, 0.04)
    sizes = 0
    for step in range(1, 9):
        now = 0.5 * step
        peer.paths.note_activity(now, now, now, now)
        peer.paths.handle_timeout(now)
        while (output := peer.paths.poll_output()) is not None:
            if isinstance(output, SendProbe):
                sizes += output.size > 0
                assert peer.paths.receive_reply(output.nonce, output.path, now)
    [report] = explain(peer.paths, 9.0)
    assert sizes and report.answers == report.probes
