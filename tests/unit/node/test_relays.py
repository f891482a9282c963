"""A relay as its client sees it, at a planet that is played by the test."""

from random import Random

from l2mesh.credential.world import Planet, SigningKey, World
from l2mesh.datapath.interface import Activity, AddRelayLeg, Endpoint, Path
from l2mesh.identity import Identity
from l2mesh.node.core import Core, Settings
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.node.relays import MAX_STRANGERS, Relays
from l2mesh.wire.message import RelayAnswer, RelayOffer, RelayReady, decode_message
from tests.simulator.cheap import CheapCrypto

CRYPTO = CheapCrypto()
AT = Endpoint("192.0.2.1", 9993)


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
        self.outputs()

    def identity(self) -> Identity:
        return Identity.generate(CRYPTO, self.random)

    def outputs(self) -> list[object]:
        found: list[object] = []
        while (output := self.core.poll_output()) is not None:
            found.append(output)
        return found

    def answers(self) -> list[RelayAnswer]:
        said = [decode_message(message) for _, message in self.planet.waiting]
        self.planet.waiting.clear()
        return [message for message in said if isinstance(message, RelayAnswer)]

    def offer(self, relay: int, who: Identity) -> bool:
        self.relays.receive_offer(self.planet, RelayOffer(relay, who.public.encode()), 0.0)
        (answer,) = self.answers()
        return answer.accept


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
