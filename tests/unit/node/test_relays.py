"""A relay as its client sees it, at a planet that is played by the test."""

from random import Random

from l2mesh.credential.world import Planet, SigningKey, World
from l2mesh.datapath.interface import Activity, AddRelayLeg, Endpoint, Path
from l2mesh.identity import Identity
from l2mesh.node.core import Core, Settings
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.node.relays import MAX_AT_MEMBERS, MAX_MEMBERS, MAX_STRANGERS, Relays
from l2mesh.wire.message import RelayAnswer, RelayGone, RelayOffer, RelayReady, decode_message
from tests.simulator.cheap import CheapCrypto

CRYPTO = CheapCrypto()
AT = Endpoint("192.0.2.1", 9993)
MEMBER_AT = Endpoint("192.0.2.2", 9993)


class Client:
    """A core with relays, and a planet of its world that says what the test lets it say."""

    def __init__(self) -> None:
        self.random = Random(1).randbytes
        settings = Settings(
            identity=self.identity(),
            crypto=CRYPTO,
            random=self.random,
            unix_now=lambda: 0.0,
            activity=lambda _: Activity(),
        )
        self.core = Core(settings)
        planets = Planets(self.core)
        self.relays = Relays(self.core, planets)
        for part in (planets, self.relays):
            self.core.add_part(part)
        planet = self.identity()
        key = SigningKey.from_seed(bytes(32), CRYPTO)
        planets.adopt(World.create([Planet(planet.public, (AT,))], [key], CRYPTO), 0.0)
        self.planet: Peer = self.core.peers[planet.fingerprint]
        self.planet.last_path = Path(AT)
        self.member: Peer = self.core.add_peer(self.identity().public, 0.0)
        self.member.last_path = Path(MEMBER_AT)
        self.outputs()

    def identity(self) -> Identity:
        return Identity.generate(CRYPTO, self.random)

    def outputs(self) -> list[object]:
        found: list[object] = []
        while (output := self.core.poll_output()) is not None:
            found.append(output)
        return found

    def answers(self, carrier: Peer) -> list[RelayAnswer]:
        said = [decode_message(message) for _, message in carrier.waiting]
        carrier.waiting.clear()
        return [message for message in said if isinstance(message, RelayAnswer)]

    def offer(self, relay: int, who: Identity, by: Peer | None = None) -> bool:
        carrier = by or self.planet
        self.relays.receive_offer(carrier, RelayOffer(relay, who.public.encode()), 0.0)
        (answer,) = self.answers(carrier)
        return answer.accept

    def let_carry(self, *peers: Identity) -> None:
        """The member may carry for these."""
        pairs = {(self.member.fingerprint, peer.fingerprint) for peer in peers}
        self.relays.may_carry = lambda carrier, peer: (carrier, peer) in pairs


def test_a_relay_is_heard_from_the_moment_of_consent() -> None:
    client = Client()
    stranger = client.identity()
    assert client.offer(7, stranger)
    assert AddRelayLeg(7, AT) in client.outputs()
    client.relays.receive_ready(client.planet, RelayReady(7, stranger.fingerprint), 0.0)
    peer = client.core.add_peer(stranger.public, 0.0)
    assert peer.paths.relays == (Path(AT, 7),)


def test_offers_of_strangers_are_limited() -> None:
    client = Client()
    for relay in range(1, MAX_STRANGERS + 1):
        assert client.offer(relay, client.identity())
    assert not client.offer(MAX_STRANGERS + 1, client.identity())
    assert MAX_STRANGERS + 1 not in client.relays.legs


def test_who_is_no_planet_offers_nothing() -> None:
    client = Client()
    liar = client.core.add_peer(client.identity().public, 0.0)
    stranger = client.identity()
    client.relays.receive_offer(liar, RelayOffer(9, stranger.public.encode()), 0.0)
    client.relays.receive_ready(liar, RelayReady(9, stranger.fingerprint), 0.0)
    assert not client.relays.legs and not liar.waiting


def test_a_member_that_may_carry_is_heard() -> None:
    client = Client()
    friend = client.identity()
    client.let_carry(friend)
    assert client.offer(7, friend, client.member)
    assert AddRelayLeg(7, MEMBER_AT) in client.outputs()
    peer = client.core.add_peer(friend.public, 0.0)
    client.relays.receive_ready(client.member, RelayReady(7, friend.fingerprint), 0.0)
    assert peer.paths.relays == (Path(MEMBER_AT, 7),)


def test_a_member_carries_for_nobody_else() -> None:
    client = Client()
    client.let_carry(client.identity())
    stranger = client.identity()
    client.relays.receive_offer(client.member, RelayOffer(9, stranger.public.encode()), 0.0)
    client.relays.receive_ready(client.member, RelayReady(9, stranger.fingerprint), 0.0)
    assert not client.relays.legs and not client.member.waiting
    assert client.core.refused == {"no_carrier": 2}


def test_a_member_that_is_relayed_itself_carries_nothing() -> None:
    client = Client()
    friend = client.identity()
    client.let_carry(friend)
    client.member.last_path = Path(AT, 5)
    assert not client.offer(7, friend, client.member)
    client.relays.receive_ready(client.member, RelayReady(7, friend.fingerprint), 0.0)
    assert AddRelayLeg(7, AT) not in client.outputs()


def test_nobody_takes_over_the_relay_of_another() -> None:
    client = Client()
    friend = client.identity()
    client.let_carry(friend)
    assert client.offer(7, friend)
    client.outputs()
    client.relays.receive_offer(client.member, RelayOffer(7, friend.public.encode()), 0.0)
    client.relays.receive_ready(client.member, RelayReady(7, friend.fingerprint), 0.0)
    client.relays.receive_gone(client.member, RelayGone((7,)), 0.0)
    assert client.relays.legs[7].carrier == client.planet.fingerprint
    assert not client.member.waiting and client.outputs() == []
    assert client.core.refused == {"foreign_relay": 2}


def test_members_do_not_fill_the_table() -> None:
    client = Client()
    client.relays.may_carry = lambda *_: True
    for relay in range(1, MAX_AT_MEMBERS + 2):
        client.relays.receive_ready(client.member, RelayReady(relay, relay.to_bytes(32)), 0.0)
    assert len(client.relays.legs) == MAX_AT_MEMBERS
    assert client.core.refused == {"too_many_relays": 1}
    assert client.offer(MAX_AT_MEMBERS + 2, client.identity())


def test_a_member_has_one_relay_for_a_peer() -> None:
    client = Client()
    friend = client.core.add_peer(client.identity().public, 0.0)
    client.relays.may_carry = lambda *_: True
    for relay in (1, 2, 3):
        client.relays.receive_ready(client.member, RelayReady(relay, friend.fingerprint), 0.0)
    assert client.relays.legs.keys() == {3}
    assert friend.paths.relays == (Path(MEMBER_AT, 3),)


def test_few_members_carry_for_a_pair() -> None:
    client = Client()
    friend = client.identity().public.fingerprint
    client.relays.may_carry = lambda *_: True
    for relay in range(1, MAX_MEMBERS + 2):
        member = client.core.add_peer(client.identity().public, 0.0)
        client.relays.receive_ready(member, RelayReady(relay, friend), 0.0)
    assert len(client.relays.legs) == MAX_MEMBERS
    client.relays.receive_ready(client.planet, RelayReady(99, friend), 0.0)
    assert 99 in client.relays.legs


def test_relays_are_renewed_at_once_when_their_planet_is_reached_by_another_path() -> None:
    client = Client()
    stranger = client.identity()
    assert client.offer(7, stranger)
    client.relays.receive_ready(client.planet, RelayReady(7, stranger.fingerprint), 0.0)
    client.relays.handle_timeout(1.0)
    assert client.relays.next_timeout() == 31.0
    client.relays.path_changed(client.planet, 2.0)
    assert client.relays.next_timeout() == 2.0
