"""Who hears a request for a signed address."""

from l2mesh.datapath.interface import DropReason, Path, SetPath
from tests.engine.lab import NETWORK, Host, carry, ethernet, tagged
from tests.engine.members import FREE4, REPLY, STATION, arp, ip4, ip6, make_lan, nd, option


def reached(host: Host, frame: bytes, hosts: list[Host]) -> list[int]:
    """Who hears a frame, by number."""
    numbers = {one.endpoint: one.number for one in hosts}
    return sorted(numbers[out.endpoint] for out in host.send(frame))


def solicit(a: Host, b: Host, sender: bytes | None = None) -> bytes:
    group = bytes.fromhex("3333ff") + ip6(b)[-3:]
    body = bytes(4) + ip6(b) + (option(1, a.mac) if sender is None else b"")
    return nd(a.mac, ip6(a) if sender is None else sender, 135, body, destination=group)


def test_requests_go_to_the_owner_and_then_to_everyone() -> None:
    hosts = make_lan(4)
    a, _, c, _ = hosts
    for frame in (arp(a.mac, ip4(a), ip4(c)), solicit(a, c)):
        assert reached(a, frame, hosts) == [3]
        a.now += 1.0
        assert reached(a, frame, hosts) == [2, 3, 4], "it was not answered"
        a.now += 5.0
        assert reached(a, frame, hosts) == [3]


def test_an_answered_request_goes_to_the_owner_again() -> None:
    hosts = make_lan(3)
    a, b, _ = hosts
    answers = (
        arp(b.mac, ip4(b), ip4(a), operation=REPLY, destination=a.mac),
        nd(b.mac, ip6(b), 136, bytes(4) + ip6(b) + option(2, b.mac), destination=a.mac),
    )
    for frame, answer in zip((arp(a.mac, ip4(a), ip4(b)), solicit(a, b)), answers, strict=True):
        for _ in range(3):
            assert reached(a, frame, hosts) == [2]
            b.engine.handle_frame(NETWORK, answer, b.now)
            carry(hosts)


def test_a_request_for_an_owner_who_is_away_waits_and_the_next_goes_to_everyone() -> None:
    hosts = make_lan(4)
    a, b, _, _ = hosts
    a.do(SetPath(b.fingerprint, None))
    frame = arp(a.mac, ip4(a), ip4(b))
    assert reached(a, frame, hosts) == [], "nobody else may answer, and nobody is disturbed"
    a.now += 1.0
    assert reached(a, frame, hosts) == [3, 4], "whoever knows better may say so"
    a.now += 1.0
    assert reached(a, frame, hosts) == [3, 4]
    a.do(SetPath(b.fingerprint, Path(b.endpoint)))
    for out in a.outputs():
        b.engine.handle_datagram(out.datagram, a.endpoint, b.now)
    b.outputs()
    assert b.delivered == [frame] * 3, "it is back within 3 s, and has been asked"


def test_a_request_for_an_owner_who_stays_away_is_dropped_after_3_s() -> None:
    hosts = make_lan(3)
    a, b, _ = hosts
    a.do(SetPath(b.fingerprint, None))
    assert reached(a, arp(a.mac, ip4(a), ip4(b)), hosts) == []
    a.wait(3.1)
    assert a.drops == {DropReason.HELD_TOO_LONG: 1}


def test_other_requests_go_to_everyone() -> None:
    hosts = make_lan(3)
    a, b, _ = hosts
    everyone = [
        arp(a.mac, bytes(4), ip4(b)),  # a probe (RFC 5227)
        arp(a.mac, ip4(a), ip4(a)),  # gratuitous
        arp(a.mac, ip4(a), ip4(a), operation=REPLY),
        arp(a.mac, ip4(a), FREE4),
        tagged(arp(a.mac, ip4(a), ip4(b)), 7),
        solicit(a, b, bytes(16)),  # duplicate address detection (RFC 4862)
        nd(a.mac, ip6(a), 136, bytes(4) + ip6(a) + option(2, a.mac)),
    ]
    for frame in everyone:
        assert reached(a, frame, hosts) == [2, 3]


def test_a_request_for_our_own_address_stays_here() -> None:
    hosts = make_lan(3, bridge=(1,))
    a, _, _ = hosts
    frame = arp(STATION, FREE4, ip4(a))
    assert reached(a, frame, hosts) == [] and a.drops == {DropReason.SAME_PORT: 1}
    assert reached(a, frame, hosts) == [2, 3]


def test_a_gratuitous_arp_moves_a_station_at_once() -> None:
    hosts = make_lan(4, bridge=(2, 3))
    a, b, c, _ = hosts
    for bridge in (b, c):
        bridge.engine.handle_frame(NETWORK, arp(STATION, FREE4, FREE4), bridge.now)
        carry(hosts)
        assert reached(a, ethernet(STATION, a.mac), hosts) == [bridge.number]
