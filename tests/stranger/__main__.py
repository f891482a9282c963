"""The stranger as a program: joins, visits, pings, and answers until SIGTERM.

It writes one line of JSON for each event to stdout.
"""

import argparse
import ipaddress
import os
import signal
import sys
import time
from pathlib import Path as File
from typing import Any

from tests.stranger import messages, wire
from tests.stranger.errors import Refused
from tests.stranger.handshake import PLANET
from tests.stranger.identity import Identity
from tests.stranger.member import Member, any_path
from tests.stranger.peer import log
from tests.stranger.session import Path

PING_BYTES = (64, 1500)
CIPHERS = {"aes": 1, "chacha": 2, "both": 3}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--world", type=File, required=True)
    parser.add_argument("--join", required=True)
    parser.add_argument("--name", default="stranger")
    parser.add_argument("--ciphers", choices=CIPHERS, default="both")
    parser.add_argument("--challenge", action="store_true", help="answer INITs by COOKIE first")
    parser.add_argument("--storm", action="store_true", help="provoke a COOKIE of the planet")
    parser.add_argument("--relay-only", action="store_true")
    parser.add_argument("--visit", help="call this member, by name or address")
    parser.add_argument("--ping", help="ping this address of the network")
    parser.add_argument("--rekey", action="store_true", help="a second handshake after the visit")
    return parser.parse_args()


def main() -> None:
    """The whole story."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    assert not {"l2mesh", "msgpack", "nacl"} & set(sys.modules)
    world = messages.read_world(options.world.read_text())
    member = Member(
        Identity.new(),
        ciphers=CIPHERS[options.ciphers],
        cookies=options.challenge,
        direct=not options.relay_only,
    )
    public = member.identity.public
    log("identity", address=(public.address or b"").hex(), fingerprint=public.fingerprint_text)
    if options.storm:
        storm(member, world)
    member.register(world)
    member.join(options.join, options.name)
    try:
        act(member, options)
        serve(member)
    finally:
        leave(member)


def storm(member: Member, world: dict[str, Any]) -> None:
    """Many INITs at once, until the planet answers with COOKIE."""
    public, endpoints = world["planets"][0]
    path = Path(wire.endpoint_of(endpoints[0]))
    member.contact(public).role = PLANET
    end = time.monotonic() + 60
    while not member.contact(public).cookie:
        if time.monotonic() > end:
            raise Refused("no COOKIE")
        for _ in range(30):
            member.send_init(member.contact(public), path)
        for _ in range(60):
            member.turn()


def act(member: Member, options: argparse.Namespace) -> None:
    """What the command line asks for, one after the other."""
    if options.visit:
        contact = member.visit(options.visit)
        if not options.relay_only:
            member.run(lambda: contact.path and not contact.path.relay, 30, "direct path")
        log("ready", path=any_path(contact.path))
        if options.rekey:
            rekey(member, options.visit)
    if options.ping:
        ping(member, options.ping)


def rekey(member: Member, name: str) -> None:
    """A new handshake with a member whom we have met."""
    contact, network = member.member(name), member.network
    assert contact and contact.path and network
    session = member.call(contact, contact.path)
    extension = network.id in session.theirs
    member.meet(contact, session)
    member.run(lambda: network.id in session.theirs, 20, "INDICES after the rekey")
    log("rekeyed", extension=extension)


def ping(member: Member, text: str) -> None:
    """ARP, then echoes of both sizes."""
    stack, address = member.stack, ipaddress.ip_address(text).packed
    assert stack and member.network
    asked = 0.0
    for number, size in enumerate(PING_BYTES):
        end = time.monotonic() + 30
        while stack.echoes.get(number) != size:
            if time.monotonic() > end:
                raise Refused(f"no echo of {size} bytes")
            if time.monotonic() > asked + 1:
                asked = time.monotonic()
                if address in stack.neighbours:
                    contact = next(
                        member.contacts[who]
                        for who, body in member.network.accepted.items()
                        if body["mac"] == stack.neighbours[address]
                    )
                    member.send_frame(contact, stack.echo_request(address, number, size))
                else:
                    member.flood(stack.who_has(address))
            member.turn()
        log("ping", size=size)


def serve(member: Member) -> None:
    """Answer for ever, and tell what was answered."""
    told: dict[str, int] = {}
    while True:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            member.turn()
        counts = dict(member.stack.counts) if member.stack else {}
        if counts != told:
            told = counts
            log("counts", **counts)


def leave(member: Member) -> None:
    """CLOSE to everybody."""
    for contact in member.contacts.values():
        if contact.session and contact.path:
            close = contact.session.control_datagram(wire.record(wire.CLOSE, b"\0"))
            member.send(contact.path, close)
    log("left", pid=os.getpid())


if __name__ == "__main__":
    main()
