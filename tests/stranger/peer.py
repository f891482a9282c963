"""The stranger: a blocking peer of the mesh, written from the protocol's document alone.

`Peer` knows datagrams, handshakes, paths and relays; `member.Member` knows networks.
"""

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.stranger import handshake, messages, wire
from tests.stranger.errors import Refused, require
from tests.stranger.handshake import Answer, Attempt, Payload
from tests.stranger.identity import Identity, Public
from tests.stranger.session import Path, Session
from tests.stranger.wire import IndexKey

REPEATS = (0.5, 1.0, 2.0, 4.0)
PROBE_TIMES = (0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 2.2, 3.0)
KEEP_ALIVE, RENEW, TICK, LIFE = 5.0, 30.0, 0.05, 180.0


def log(event: str, **details: Any) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(
        json.dumps({"event": event, "at": round(time.monotonic(), 3)} | details) + "\n"
    )
    sys.stdout.flush()


@dataclass
class Contact:
    """One other identity; the paths are its own, whatever the session."""

    public: Public
    role: int = handshake.NODE
    path: Path | None = None
    relay: Path | None = None
    sessions: list[Session] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    cookie: bytes = b""
    next_probe: float = 0.0
    own_fingerprint: bytes = b""

    @property
    def session(self) -> Session | None:
        """The session to send on: section 3.7."""
        live = sorted((one for one in self.sessions if one.live), key=lambda one: one.born)
        if len(live) >= 2 and abs(live[-1].born - live[-2].born) <= 5:
            first, second = live[-2:]
            if first.initiator != second.initiator:
                return first if self.prefers(first) else second
        return live[-1] if live else None

    def number(self, session: Session) -> int:
        """A short name of one of its sessions, for people."""
        return int.from_bytes(session.send_key[:2])

    def prefers(self, session: Session) -> bool:
        """Whether the initiator of this session has the smaller fingerprint."""
        own_smaller = self.own_fingerprint < self.public.fingerprint
        return session.initiator == own_smaller


class Peer:
    """One identity on one UDP socket."""

    def __init__(self, identity: Identity, *, ciphers: int = 3, cookies: bool = False) -> None:
        """With `cookies` it behaves as a responder under load."""
        self.identity, self.ciphers = identity, ciphers
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("0.0.0.0", 0))
        self.socket.settimeout(TICK)
        self.contacts: dict[bytes, Contact] = {}
        self.indices: dict[int, tuple[Session, IndexKey]] = {}
        self.relays: dict[int, Contact] = {}
        self.planet: Contact | None = None
        self.probes: dict[int, tuple[Contact, Path]] = {}
        self.rounds: list[tuple[float, Contact, Path]] = []
        self.seen_as: set[tuple[str, int]] = set()
        self.claims: dict[bytes, list[bytes]] = {}
        self.cookie_secret = os.urandom(16) if cookies else b""
        self.next_renew = 0.0
        self.handlers: dict[str, Callable[[Contact, Session, dict[str, Any]], None]] = {
            "WhoisReply": self.on_whois_reply,
            "RelayOffer": self.on_relay_offer,
            "RelayReady": self.on_relay_ready,
            "Candidates": self.on_candidates,
        }

    # --- the loop

    def run(self, until: Callable[[], object], timeout: float, what: str) -> None:
        """Work until the condition holds; Refused after the time."""
        end = time.monotonic() + timeout
        while not until():
            require(time.monotonic() < end, f"no {what} in {timeout} s")
            self.turn()

    def turn(self) -> None:
        """Take one datagram, if there is one, and do what is due."""
        try:
            datagram, source = self.socket.recvfrom(65536)
        except (TimeoutError, ConnectionRefusedError):
            datagram, source = b"", ("", 0)
        if datagram:
            try:
                self.on_datagram(datagram, Path(source))
            except Refused as refused:
                log("refused", why=str(refused), first=datagram[0])
        self.tick(time.monotonic())

    def tick(self, now: float) -> None:
        """Repeat chunks, probe, renew relays."""
        for contact in list(self.contacts.values()):
            self.tick_contact(contact, now)
        for due in [one for one in self.rounds if one[0] <= now]:
            self.rounds.remove(due)
            self.probe(due[1], due[2])
        if self.relays and now >= self.next_renew and self.planet:
            self.next_renew = now + RENEW
            self.tell(self.planet, "RelayRenew", relays=list(self.relays))

    def tick_contact(self, contact: Contact, now: float) -> None:
        """Chunks and the keep-alive of one contact; its old sessions die."""
        for session in [one for one in contact.sessions if now - one.born >= LIFE]:
            self.end(contact, session)
        for session in contact.sessions:
            if session.live and contact.path:
                for chunk in session.channel.due(now):
                    self.send(contact.path, session.control_datagram(chunk))
        if contact.session and contact.path and now >= contact.next_probe:
            contact.next_probe = now + (KEEP_ALIVE if contact.session.heard else 0.25)
            self.probe(contact, contact.path)

    def send(self, path: Path, datagram: bytes) -> None:
        """Put a datagram on a path."""
        out = wire.relay_wrap(path.relay, datagram) if path.relay else datagram
        self.socket.sendto(out, path.endpoint)

    def tell(self, contact: Contact, verb: str, /, **fields: Any) -> None:
        """Queue a message on the session in use."""
        session = contact.session
        require(session, "no session")
        assert session
        session.tell(verb, **fields)

    def probe(self, contact: Contact, path: Path) -> None:
        """Send a PROBE along a path."""
        session = contact.session or (contact.sessions[-1] if contact.sessions else None)
        if session is None:
            return
        nonce = int.from_bytes(os.urandom(8))
        self.probes[nonce] = (contact, path)
        records = [wire.record(wire.PROBE, nonce.to_bytes(8)), *self.beside_probe(contact)]
        self.send(path, session.control_datagram(*records))

    def beside_probe(self, contact: Contact) -> list[bytes]:
        """Further records for a contact."""
        return []

    # --- datagrams

    def on_datagram(self, datagram: bytes, path: Path) -> None:
        """Whatever comes in."""
        if datagram[0] == handshake.RELAY:
            relay, datagram = wire.relay_unwrap(datagram)
            require(self.planet and self.planet.path == path, "RELAY from no planet of ours")
            path = Path(path.endpoint, relay)
        kind = datagram[0]
        if kind == handshake.INIT:
            self.on_init(datagram, path)
        elif kind == handshake.RESPONSE:
            self.on_response(datagram)
        elif kind == handshake.COOKIE:
            self.on_cookie(datagram, path)
        elif kind & handshake.DATA:
            self.on_data(datagram, path)
        else:
            raise Refused("an unknown message")

    def new_index(self) -> int:
        """A number that no session uses."""
        while (index := int.from_bytes(os.urandom(3))) == 0 or index in self.indices:
            pass
        return index

    def contact(self, public: Public) -> Contact:
        """The contact of an identity, made if need be."""
        made = Contact(public, own_fingerprint=self.identity.public.fingerprint)
        return self.contacts.setdefault(public.fingerprint, made)

    def accepted_indices(self, contact: Contact) -> list[tuple[int, int, int]]:
        """Fresh indices for the networks in which the contact is accepted."""
        return []

    def new_session(self, contact: Contact, index: int, **fields: Any) -> Session:
        """Keys of a finished handshake, under our control index `index`."""
        session = Session(contact.public, **fields)
        contact.sessions.append(session)
        self.indices[index] = (session, session.announce(0, index))
        return session

    def open_indices(self, session: Session, listed: list[tuple[int, int, int]]) -> None:
        """Receive on the indices that went into a handshake."""
        for network, _, index in listed:
            self.indices[index] = (session, session.announce(network, index))

    # --- initiator

    def call(self, contact: Contact, path: Path, timeout: float = 30.0) -> Session:
        """A new session with a contact, over a path."""
        before = list(contact.sessions)
        repeats, due, end = iter(REPEATS), 0.0, time.monotonic() + timeout
        while not (new := [one for one in contact.sessions if one.initiator and one not in before]):
            now = time.monotonic()
            require(now < end, "no answer to INIT")
            if now >= due:
                self.send_init(contact, path)
                due = now + next(repeats, 5.0)
            self.turn()
        contact.path = contact.path or path
        return new[0]

    def send_init(self, contact: Contact, path: Path) -> Attempt:
        """One more INIT; the last two stay answerable."""
        control = self.new_index()
        listed = self.accepted_indices(contact)
        payload = Payload(self.identity.public, self.ciphers, control, tuple(listed), "a stranger")
        attempt = Attempt(
            self.identity,
            contact.public,
            contact.role,
            int.from_bytes(os.urandom(4)),
            X25519PrivateKey.generate(),
            payload,
            contact.cookie,
        )
        contact.attempts = [*contact.attempts[-1:], attempt]
        self.send(path, attempt.datagram)
        return attempt

    def attempt_of(self, datagram: bytes) -> tuple[Contact, Attempt]:
        """The attempt that a RESPONSE or COOKIE names."""
        number = int.from_bytes(datagram[4:8])
        for contact in self.contacts.values():
            for attempt in contact.attempts:
                if attempt.number == number and not attempt.answered:
                    return contact, attempt
        raise Refused("an answer to no INIT")

    def on_response(self, datagram: bytes) -> None:
        """The session is there; a PROBE confirms it."""
        contact, attempt = self.attempt_of(datagram)
        payload, send_key, receive_key = attempt.finish(datagram)
        attempt.answered = True
        require(payload.ciphers in (1, 2) and payload.ciphers & self.ciphers, "bad cipher")
        control = IndexKey.derive(send_key, payload.ciphers, 0, 0, payload.control)
        session = self.new_session(
            contact,
            attempt.payload.control,
            initiator=True,
            cipher=payload.ciphers,
            send_key=send_key,
            receive_key=receive_key,
            control=control,
        )
        self.open_indices(session, list(attempt.payload.indices))
        self.learn_indices(contact, session, payload)
        session.live = True
        log_session(contact, session)
        contact.next_probe = 0.0

    def learn_indices(self, contact: Contact, session: Session, payload: Payload) -> None:
        """The INDICES extension of a handshake (members only)."""

    def on_cookie(self, datagram: bytes, path: Path) -> None:
        """The same INIT again with mac2, once."""
        contact, attempt = self.attempt_of(datagram)
        require(not attempt.cookie, "a second cookie")
        attempt.take_cookie(datagram)
        contact.cookie = attempt.cookie
        log("cookie", peer=address_text(contact))
        self.send(path, attempt.datagram)

    # --- responder

    def on_init(self, datagram: bytes, path: Path) -> None:
        """Answer along the path on which it came."""
        answer = Answer(self.identity, datagram)
        if self.cookie_secret and not handshake.has_mac2(datagram, self.cookie_secret):
            cookie = handshake.cookie_for(
                self.identity, datagram, self.cookie_secret, os.urandom(24)
            )
            self.send(path, cookie)
            log("challenged")
            return
        contact = self.contact(answer.payload.public)
        for known in contact.sessions:
            if known.ephemeral == answer.ephemeral:
                if not known.live:
                    self.send(path, known.response)
                return
        self.respond(contact, answer, path)

    def respond(self, contact: Contact, answer: Answer, path: Path) -> None:
        """Make the unconfirmed session and send its RESPONSE."""
        cipher = answer.cipher if answer.cipher & self.ciphers else answer.payload.ciphers & 2
        require(cipher & self.ciphers, "no common cipher")
        control, listed = self.new_index(), self.accepted_indices(contact)
        payload = Payload(self.identity.public, cipher, control, tuple(listed))
        response, receive_key, send_key = answer.reply(X25519PrivateKey.generate(), payload)
        session = self.new_session(
            contact,
            control,
            initiator=False,
            cipher=cipher,
            send_key=send_key,
            receive_key=receive_key,
            control=IndexKey.derive(send_key, cipher, 0, 0, answer.payload.control),
            ephemeral=answer.ephemeral,
            response=response,
        )
        self.open_indices(session, listed)
        self.learn_indices(contact, session, answer.payload)
        self.send(path, response)

    # --- DATA

    def on_data(self, datagram: bytes, path: Path) -> None:
        """Everything after the handshake."""
        _, index, _ = wire.data_head(datagram)
        require(index in self.indices, "unknown_index")
        session, key = self.indices[index]
        flags, plaintext = key.open(datagram)
        session.heard = True
        contact = self.contact(session.peer)
        if not session.live:
            session.live = True
            session.born = time.monotonic()
            log_session(contact, session)
        if contact.path is None:
            contact.path = path
        if key.network == 0:
            for kind, value in wire.records(plaintext):
                self.on_record(contact, session, path, kind, value)
        else:
            self.on_frame(contact, session, key, flags, plaintext)

    def on_frame(
        self, contact: Contact, session: Session, key: IndexKey, flags: int, plaintext: bytes
    ) -> None:
        """A frame or a piece of one (members only)."""

    def on_record(
        self, contact: Contact, session: Session, path: Path, kind: int, value: bytes
    ) -> None:
        """One control record."""
        if kind == wire.PROBE:
            seen = None if path.relay else path.endpoint
            reply = wire.record(wire.PROBE_REPLY, value + wire.pack_endpoint(seen))
            self.send(path, session.control_datagram(reply))
        elif kind == wire.PROBE_REPLY:
            self.on_probe_reply(path, value)
        elif kind == wire.ACK:
            session.channel.on_ack(value)
        elif kind == wire.CHUNK:
            done = session.channel.on_chunk(value)
            self.send(path, session.control_datagram(session.channel.ack()))
            for message in done:
                self.on_message(contact, session, message)
        elif kind == wire.HELD:
            network, revision = struct.unpack(">QI", value)
            self.on_held(session, network, revision)
        elif kind == wire.CLOSE:
            log("closed", peer=address_text(contact), reason=value[0])
            self.end(contact, session)

    def end(self, contact: Contact, session: Session) -> None:
        """A session is dead, and so are its indices."""
        contact.sessions.remove(session)
        self.indices = {at: one for at, one in self.indices.items() if one[0] is not session}

    def on_held(self, session: Session, network: int, revision: int) -> None:
        """The newest revocations that a member holds (members only)."""

    def on_probe_reply(self, path: Path, value: bytes) -> None:
        """A path answered; a direct one is better than a relay."""
        contact, asked = self.probes.pop(int.from_bytes(value[:8]), (None, None))
        require(contact and asked == path, "an answer to no PROBE")
        assert contact
        seen = wire.observed(value)
        if seen and contact.role == handshake.PLANET:
            self.seen_as.add(seen)
        if contact.path is None or (contact.path.relay and not path.relay):
            contact.path = path
            log("path", peer=address_text(contact), relayed=bool(path.relay))

    def on_message(self, contact: Contact, session: Session, raw: bytes) -> None:
        """One message of the reliable channel."""
        verb, body = messages.decode(raw)
        if verb in self.handlers:
            self.handlers[verb](contact, session, body)
        else:
            log("unhandled", verb=verb)

    # --- planets, relays, direct paths

    def register(self, world: dict[str, Any]) -> None:
        """A session with the first planet of a world."""
        public, endpoints = world["planets"][0]
        self.planet = self.contact(public)
        self.planet.role = handshake.PLANET
        host, port = wire.endpoint_of(endpoints[0])
        self.planet.path = Path((host, port))
        self.call(self.planet, self.planet.path)
        self.run(lambda: self.seen_as, 20, "PROBE_REPLY of the planet")

    def whois(self, address: bytes) -> list[Public]:
        """Whom the planet knows under an address."""
        assert self.planet
        self.tell(self.planet, "Whois", address=address)
        self.run(lambda: address in self.claims, 20, "WHOIS_REPLY")
        return [Public(raw) for raw in self.claims[address]]

    def on_whois_reply(self, contact: Contact, session: Session, body: dict[str, Any]) -> None:
        """What whois waits for."""
        self.claims[body["address"]] = body["claims"]

    def reach(self, public: Public) -> Contact:
        """A contact with a session, called over the relay if there is none yet."""
        contact = self.contact(public)
        assert self.planet
        if contact.session is None:
            self.tell(self.planet, "RelayRequest", peer=public.fingerprint)
            self.run(lambda: contact.relay, 20, "RELAY_READY")
            assert contact.relay
            self.call(contact, contact.relay)
        return contact

    def on_relay_offer(self, contact: Contact, session: Session, body: dict[str, Any]) -> None:
        """Anybody may relay to us."""
        require(contact is self.planet, "an offer from no planet")
        self.contact(Public(body["peer"]))
        self.tell(contact, "RelayAnswer", relay=body["relay"], accept=True)

    def on_relay_ready(self, contact: Contact, session: Session, body: dict[str, Any]) -> None:
        """The relay stands."""
        require(contact.path and body["peer"] in self.contacts, "a relay to nobody")
        assert contact.path
        other = self.contacts[body["peer"]]
        other.relay = Path(contact.path.endpoint, body["relay"])
        self.relays[body["relay"]] = other
        log("relay", peer=address_text(other))

    def offer_paths(self, contact: Contact) -> None:
        """CANDIDATES: the endpoints under which a planet saw us."""
        texts = [f"{host}:{port}" for host, port in sorted(self.seen_as)]
        self.tell(contact, "Candidates", endpoints=texts)

    def on_candidates(self, contact: Contact, session: Session, body: dict[str, Any]) -> None:
        """Probe each of them at the times of section 8.4."""
        now = time.monotonic()
        for listed in body["endpoints"]:
            try:
                path = Path(wire.endpoint_of(listed))
            except Refused:
                continue
            if ":" not in path.endpoint[0]:
                self.rounds += [(now + after, contact, path) for after in PROBE_TIMES]


def address_text(contact: Contact) -> str:
    """The address of a contact for people."""
    return (contact.public.address or b"").hex()


def log_session(contact: Contact, session: Session) -> None:
    """A session came to life."""
    log(
        "session",
        peer=address_text(contact),
        number=contact.number(session),
        initiator=session.initiator,
        cipher=session.cipher,
    )
