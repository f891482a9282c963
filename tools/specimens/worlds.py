"""Worlds with their updates, and join strings."""

from collections.abc import Iterator

from l2mesh.credential.joinstring import JoinString, format_join_string
from l2mesh.credential.world import Planet, SigningKey, World
from l2mesh.identity import signature_input
from l2mesh.wire.body import pack_value
from l2mesh.wire.endpoint import Endpoint
from tools.specimens.cast import CRYPTO, Case, identity, network, plain, stream

__all__ = ["world_cases", "worlds"]


def worlds() -> tuple[World, World]:
    """A world of revision 1, and an update that changes its signer."""
    old_key = SigningKey.from_seed(stream("l2mesh world 1")(32), CRYPTO)
    new_key = SigningKey.from_seed(stream("l2mesh world 2")(32), CRYPTO)
    one = Planet(identity("alice").public, (Endpoint("192.0.2.1", 9993),))
    two = Planet(identity("bob").public, (Endpoint("2001:db8::1", 9993), Endpoint("192.0.2.2", 1)))
    first = World.create([one], [old_key], CRYPTO)
    second = World.create([one, two], [new_key], CRYPTO, previous=first, previous_keys=[old_key])
    return first, second


def world_cases() -> Iterator[Case]:
    first, second = worlds()
    for one in (first, second):
        yield {
            "id": one.id.hex(),
            "revision": one.revision,
            "signers": plain(one.signers),
            "planets": [
                {"public": planet.identity.encode().hex(), "endpoints": plain(planet.endpoints)}
                for planet in one.planets
            ],
            "signature_input": signature_input("world", 0, one.body).hex(),
            "world": one.encode().hex(),
            "text": one.text(),
        }
    yield {"comment": "the second updates the first", "old": first.encode().hex()} | {
        "new": second.encode().hex()
    }
    damaged = bytearray(first.encode())
    damaged[-1] ^= 1
    yield {"invalid": "the signature does not verify", "world": damaged.hex()}
    unsigned = pack_value(["world", first.body, []])
    yield {"invalid": "the signer has not signed", "world": unsigned.hex()}
    carol = identity("carol")
    for join in (
        JoinString(network(), carol.fingerprint),
        JoinString(network(), carol.fingerprint, first.encode(), bytes(range(16))),
    ):
        yield {"join": plain(join), "join_string": format_join_string(join)}
