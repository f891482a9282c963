"""What a host can send to: by its own versions of IP, and by a NAT64 gateway."""

from ipaddress import IPv6Network

import pytest

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.datapath.streams import stream_endpoint
from l2mesh.path.candidate import Kind
from l2mesh.path.nat64 import Nat64
from l2mesh.path.outputs import SendProbe
from l2mesh.path.paths import PathSet
from l2mesh.path.probe import ProbeLimiter
from l2mesh.path.reach import Reach

V4, V6 = Endpoint("198.18.0.9", 9993), Endpoint("2001:db8::9", 9993)
INSIDE = Endpoint("192.168.1.9", 9993)


def reach(*families: int, nat64: bool = False) -> Reach:
    found = Reach()
    found.families = frozenset(families)
    found.nat64 = Nat64(IPv6Network("2001:db8:64::/96")) if nat64 else None
    return found


@pytest.mark.parametrize(
    ("given", "leads"),
    [
        (Reach(), {V4, V6, INSIDE}),
        (reach(), set()),
        (reach(4), {V4, INSIDE}),
        (reach(6), {V6}),
        (reach(6, nat64=True), {V4, V6}),
    ],
)
def test_leads_to_what_the_kernel_has_a_way_to(given: Reach, leads: set[Endpoint]) -> None:
    assert {each for each in (V4, V6, INSIDE) if given.leads_to(each)} == leads


def test_a_stream_to_a_planet_is_beyond_families() -> None:
    paths = PathSet(random=bytes, limiter=ProbeLimiter(), reach=reach(4))
    paths.add_relay(Path(stream_endpoint(1)), 0.0)
    assert paths.handshake_paths() == (Path(stream_endpoint(1)),)


def probed(paths: PathSet) -> set[Endpoint]:
    found = set()
    while (output := paths.poll_output()) is not None:
        if isinstance(output, SendProbe):
            found.add(output.path.endpoint)
    return found


def test_nothing_else_is_asked_until_there_is_a_way() -> None:
    given, numbers = reach(4), iter(range(1, 100))
    paths = PathSet(
        random=lambda size: next(numbers).to_bytes(size, "big"), limiter=ProbeLimiter(), reach=given
    )
    paths.set_always(True)
    paths.add_candidates([V4, V6], Kind.TOLD, 0.0)
    assert paths.handshake_paths() == (Path(V4),)
    paths.session_live(0.0)
    for step in range(1, 300):
        paths.handle_timeout(step / 10)
        due = paths.next_timeout()
        assert due is not None and due > step / 10
    assert probed(paths) == {V4}
    given.families = frozenset({4, 6})
    paths.add_candidates([], Kind.TOLD, 30.0, again=True)
    assert V6 in probed(paths)
