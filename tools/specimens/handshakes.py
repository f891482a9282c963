"""Handshakes with their cookies, and what their payloads say."""

import dataclasses
from collections.abc import Iterator

from l2mesh.crypto import Cipher, Random
from l2mesh.session import macs
from l2mesh.session.handshake import Initiation, Offer, Role, open_init, respond
from l2mesh.wire.handshake import Announcement, Extension, Indices, Lanes, Payload
from tools.specimens.cast import CRYPTO, Case, identity, network, stream

__all__ = ["handshake_cases", "payload_cases"]


def handshake_cases() -> Iterator[Case]:
    alice, bob, draw = identity("alice"), identity("bob"), stream("l2mesh handshake")
    offers = Offer(frozenset(Cipher), 0x010001, (Announcement(network(), 0, 0x020002),), "l2mesh")
    for role in Role:
        random_initiator, random_responder = draw(36), draw(32)
        initiation = Initiation(
            local=alice,
            peer=bob.public,
            role=role,
            crypto=CRYPTO,
            random=_replay(random_initiator),
            offer=offers,
        )
        init = initiation.datagram
        opened = open_init(
            init, local=bob, role=role, crypto=CRYPTO, random=_replay(random_responder)
        )
        response, established = respond(opened, local=bob, offer=Offer(frozenset(Cipher), 0x030003))
        nonce, cookie = draw(24), draw(16)
        cookie_datagram = macs.cookie_datagram(
            init,
            cookie=cookie,
            key=macs.cookie_key(bob.public.exchange),
            crypto=CRYPTO,
            random=_replay(nonce),
        )
        initiation.show(cookie)
        yield {
            "role": int(role),
            "initiator": alice.encode_secret().hex(),
            "responder": bob.encode_secret().hex(),
            "handshake": initiation.handshake,
            "initiator_random": random_initiator.hex(),
            "responder_random": random_responder.hex(),
            "init": init.hex(),
            "response": response.hex(),
            "cipher": established.cipher.name,
            "initiator_sends_with": established.keys.receive.hex(),
            "responder_sends_with": established.keys.send.hex(),
            "cookie": cookie.hex(),
            "cookie_datagram": cookie_datagram.hex(),
            "init_with_cookie": initiation.datagram.hex(),
        }


def payload_cases() -> Iterator[Case]:
    def payload(*extensions: Extension) -> bytes:
        public = identity("alice").public.encode()
        return Payload(public, 1, 3, 0x010001, extensions).encode()

    told = tuple(Announcement(network(), lane, 0x020000 + lane) for lane in (0, 1, 7))
    for sent, lanes in ((None, 1), (1, 1), (2, 2), (8, 8), (9, 8), (255, 8)):
        extensions: list[Extension] = [Indices(told)]
        if sent is not None:
            extensions.append(Lanes(sent))
        yield {
            "indices": [dataclasses.asdict(one) for one in told],
            "lanes": lanes,
            "payload": payload(*extensions).hex(),
        }
    yield {"invalid": "no lane at all", "payload": payload().hex() + "04000100"}
    yield {"invalid": "lanes of two bytes", "payload": payload().hex() + "0400020001"}
    yield {"invalid": "lanes of no byte", "payload": payload().hex() + "040000"}


def _replay(drawn: bytes) -> Random:
    """A source that gives these bytes in turn, and no others."""
    left = bytearray(drawn)

    def draw(size: int) -> bytes:
        assert size <= len(left)
        taken = bytes(left[:size])
        del left[:size]
        return taken

    return draw
