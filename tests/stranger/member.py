"""The stranger in a network: joining, meeting members, frames (sections 4, 8 and 9)."""

import time
from dataclasses import dataclass, field
from typing import Any

from tests.stranger import ether, messages, wire
from tests.stranger.errors import Refused, require
from tests.stranger.ether import Stack
from tests.stranger.handshake import Payload
from tests.stranger.identity import Identity, Public
from tests.stranger.peer import Contact, Peer, address_text, log
from tests.stranger.session import Path, Session
from tests.stranger.wire import IndexKey

Body = dict[str, Any]
NOTHING: Body = {"revision": 0, "minimum_epoch": 0, "revoked": []}


@dataclass
class Network:
    """What is held of the one network."""

    id: int
    controller: Public
    status: str = ""
    config: Body = field(default_factory=lambda: {"revision": 0, "mtu": 1500})
    own: Body = field(default_factory=lambda: {"serial": 0, "epoch": 0})
    credential: bytes = b""
    revocations: Body = field(default_factory=lambda: NOTHING)
    raw_revocations: bytes = b""
    revision: int = 0
    roster: dict[bytes, Body] = field(default_factory=dict)
    accepted: dict[bytes, Body] = field(default_factory=dict)

    def open(self, raw: bytes, kind: str) -> Body:
        """The body of an object that the controller signed."""
        return messages.open_object(raw, kind, self.id, self.controller)

    def judge(self, body: Body, fingerprint: bytes) -> Body:
        """Refused unless a credential counts for this fingerprint: section 8.2."""
        revoked = dict(self.revocations["revoked"]).get(fingerprint, -1)
        require(body["fingerprint"] == fingerprint, "the credential of another")
        require(body["serial"] > revoked, "revoked")
        require(body["epoch"] >= self.revocations["minimum_epoch"], "an old epoch")
        require(body["expires"] is None or body["expires"] > time.time(), "expired")
        return body

    def take_revocations(self, raw: bytes) -> bool:
        """Whether these are newer; Refused if they let count what was void."""
        new, old = self.open(raw, "revocations"), self.revocations
        if new["revision"] <= old["revision"]:
            return False
        if new["minimum_epoch"] == old["minimum_epoch"]:
            later = dict(new["revoked"])
            kept = all(later.get(who, -1) >= serial for who, serial in old["revoked"])
            require(kept, "revocations that forget")
        else:
            require(new["minimum_epoch"] > old["minimum_epoch"], "an older epoch")
        self.revocations, self.raw_revocations = new, raw
        return True


class Member(Peer):
    """A peer that joins one network; `direct` lets it offer and try paths without the planet."""

    def __init__(
        self, identity: Identity, *, ciphers: int = 3, cookies: bool = False, direct: bool = True
    ) -> None:
        """Nothing joined yet."""
        super().__init__(identity, ciphers=ciphers, cookies=cookies)
        self.network: Network | None = None
        self.stack: Stack | None = None
        self.direct = direct
        self.judging: list[tuple[float, Contact, Session, Body]] = []
        self.handlers |= {
            "JoinReply": self.on_join_reply,
            "Config": self.on_config,
            "Credential": self.on_credential,
            "Roster": self.on_roster,
            "Revocations": self.on_revocations,
            "Meet": self.on_meet,
            "Indices": self.on_indices,
            "Want": self.on_want,
            "Refuse": self.on_refuse,
        }
        if not direct:
            del self.handlers["Candidates"]

    def held(self, body: Body) -> Network:
        """Our network, if the message is about it."""
        require(self.network and body["network"] == self.network.id, "another network")
        assert self.network
        return self.network

    # --- with the controller

    def join(self, join_string: str, name: str) -> None:
        """Look up the controller, ask it, and wait for all that it signs."""
        wanted = messages.read_join_string(join_string)
        address = (wanted["network"] >> 24).to_bytes(5)
        for public in self.whois(address):
            if public.fingerprint == wanted["fingerprint"] and public.address == address:
                break
        else:
            raise Refused("nobody with that fingerprint")
        self.network = network = Network(wanted["network"], public)
        controller = self.reach(public)
        self.tell(
            controller,
            "Join",
            network=network.id,
            name=name,
            token=wanted["token"],
            config=0,
            roster=0,
            serial=0,
            epoch=0,
            revocations=0,
        )
        self.run(lambda: network.status, 20, "JOIN_REPLY")
        require(network.status == "ok", network.status)
        self.run(lambda: network.credential and network.config["revision"], 20, "objects")
        own = network.own
        log("joined", mac=own["mac"].hex(":"), name=own["name"], addresses=own["addresses"])

    def on_join_reply(self, contact: Contact, session: Session, body: Body) -> None:
        """The controller's word."""
        network = self.held(body)
        require(contact.public == network.controller, "not from the controller")
        network.status = body["status"]
        log("status", status=body["status"], reason=body["reason"])
        if self.direct and body["status"] == "ok":
            self.offer_paths(contact)

    def on_config(self, contact: Contact, session: Session, body: Body) -> None:
        """A newer configuration."""
        network = self.held(body)
        new = network.open(body["object"], "config")
        if new["revision"] > network.config["revision"]:
            network.config = new

    def on_credential(self, contact: Contact, session: Session, body: Body) -> None:
        """Our own credential; from now on we have a MAC, and maybe an address."""
        network, own = self.held(body), self.identity.public
        network.own = network.judge(network.open(body["object"], "credential"), own.fingerprint)
        require(network.own["address"] == own.address, "another address")
        network.credential = body["object"]
        if network.own["addresses"]:
            self.stack = Stack(network.own["mac"], network.own["addresses"][0])

    def on_roster(self, contact: Contact, session: Session, body: Body) -> None:
        """Whole or a change; each member's credential is verified."""
        network = self.held(body)
        require(contact.public == network.controller, "not from the controller")
        require(body["base"] in (0, network.revision), "a base that we do not hold")
        if body["base"] == 0:
            network.roster = {}
        for raw, public in body["members"]:
            who = Public(public)
            network.roster[who.fingerprint] = network.judge(
                network.open(raw, "credential"), who.fingerprint
            )
            self.contact(who)
        for fingerprint in body["removed"]:
            network.roster.pop(fingerprint, None)
        network.revision = body["revision"]
        log("roster", names=sorted(member["name"] for member in network.roster.values()))

    def on_revocations(self, contact: Contact, session: Session, body: Body) -> None:
        """From anybody: if newer, everyone is judged again."""
        network = self.held(body)
        if not network.take_revocations(body["object"]):
            return
        log("revocations", revision=network.revocations["revision"])
        for fingerprint, credential in list(network.accepted.items()):
            try:
                network.judge(credential, fingerprint)
            except Refused as refused:
                self.drop(network, self.contacts[fingerprint], str(refused))
        self.judge_waiting(time.monotonic(), everyone=True)

    def drop(self, network: Network, contact: Contact, why: str) -> None:
        """A member counts no longer: its indices go at once."""
        del network.accepted[contact.public.fingerprint]
        for session in contact.sessions:
            session.theirs.pop(network.id, None)
            gone = session.own.pop(network.id, None)
            if gone:
                del self.indices[gone.index]
        log("dropped", peer=address_text(contact), why=why)

    # --- with members

    def beside_probe(self, contact: Contact) -> list[bytes]:
        """HELD, to those accepted."""
        network = self.network
        if network is None or contact.public.fingerprint not in network.accepted:
            return []
        value = network.id.to_bytes(8) + network.revocations["revision"].to_bytes(4)
        return [wire.record(wire.HELD, value)]

    def on_held(self, session: Session, network: int, revision: int) -> None:
        """Ask for newer revocations."""
        ours = self.network
        if ours and ours.id == network and revision > ours.revocations["revision"]:
            self.want(session, ours)

    @staticmethod
    def want(session: Session, network: Network) -> None:
        """WANT."""
        session.tell("Want", network=network.id, revocations=network.revocations["revision"])

    def on_want(self, contact: Contact, session: Session, body: Body) -> None:
        """Answer with ours if they are newer."""
        network = self.held(body)
        if network.revocations["revision"] > body["revocations"]:
            session.tell("Revocations", network=network.id, object=network.raw_revocations)

    def meet(self, contact: Contact, session: Session) -> None:
        """Our MEET, once in a session."""
        network = self.network
        assert network
        if network.id not in session.met:
            session.met.add(network.id)
            session.tell(
                "Meet",
                network=network.id,
                revocations=network.revocations["revision"],
                credential=network.credential,
            )

    def on_meet(self, contact: Contact, session: Session, body: Body) -> None:
        """Judge at once, or after the newer revocations that the MEET names."""
        network = self.held(body)
        ours = network.revocations["revision"]
        if body["revocations"] > ours:
            self.want(session, network)
            self.judging.append((time.monotonic() + 2, contact, session, body))
            return
        if body["revocations"] < ours:
            session.tell("Revocations", network=network.id, object=network.raw_revocations)
        self.judge_meet(contact, session, body)

    def judge_meet(self, contact: Contact, session: Session, body: Body) -> None:
        """Accept or refuse."""
        network, who = self.held(body), contact.public.fingerprint
        try:
            credential = network.judge(network.open(body["credential"], "credential"), who)
        except Refused as refused:
            log("refuses", peer=address_text(contact), why=str(refused))
            session.tell("Refuse", network=network.id)
            return
        network.accepted[who] = credential
        log("met", name=credential["name"], session=contact.number(session))
        self.meet(contact, session)
        key = session.own.get(network.id)
        if key is None:
            index = self.new_index()
            key = session.announce(network.id, index)
            self.indices[index] = (session, key)
        session.tell("Indices", network=network.id, indices=[[0, key.index]])
        if self.direct:
            self.offer_paths(contact)

    def judge_waiting(self, now: float, *, everyone: bool = False) -> None:
        """The MEETs that waited for revocations."""
        for due in list(self.judging):
            if everyone or now >= due[0]:
                self.judging.remove(due)
                self.judge_meet(*due[1:])

    def tick(self, now: float) -> None:
        """Also judge what has waited."""
        super().tick(now)
        self.judge_waiting(now)

    def on_indices(self, contact: Contact, session: Session, body: Body) -> None:
        """Frames may flow to the member; an empty array withdraws."""
        network = self.held(body)
        if not body["indices"]:
            for each in contact.sessions:
                each.theirs.pop(network.id, None)
            return
        for lane, index in body["indices"]:
            if lane == 0:
                session.learn(network.id, lane, index)
        log("indices", lanes=len(body["indices"]), session=contact.number(session))

    def on_refuse(self, contact: Contact, session: Session, body: Body) -> None:
        """We are not wanted."""
        log("refused_by", peer=address_text(contact))

    def accepted_indices(self, contact: Contact) -> list[tuple[int, int, int]]:
        """For a rekey that costs no round trip."""
        network = self.network
        if network is None or contact.public.fingerprint not in network.accepted:
            return []
        return [(network.id, 0, self.new_index())]

    def learn_indices(self, contact: Contact, session: Session, payload: Payload) -> None:
        """Ignored unless we have accepted the sender."""
        for network, lane, index in payload.indices:
            if self.network and network == self.network.id:
                who = contact.public.fingerprint
                log("extension", peer=address_text(contact), accepted=who in self.network.accepted)
                if who in self.network.accepted:
                    session.learn(network, lane, index)

    # --- frames

    def on_frame(
        self, contact: Contact, session: Session, key: IndexKey, flags: int, plaintext: bytes
    ) -> None:
        """Whole frames go to the stack, and its answer back."""
        require(self.network and self.stack, "no_port")
        assert self.network and self.stack
        sender = self.network.accepted.get(contact.public.fingerprint)
        require(sender, "not_a_member")
        assert sender
        require(not flags & wire.GROUP, "not asked to have anything replicated for us")
        raw: bytes | None = plaintext
        if flags == wire.FRAG:
            self.stack.count("pieces")
            raw = key.collect(plaintext)
        elif flags & wire.ELIDED:
            self.stack.count("elided")
            raw = ether.restore_header(plaintext, self.stack.mac, sender["mac"])
        if raw is None:
            return
        require(14 <= len(raw) <= self.network.config["mtu"] + 14, "bad_frame")
        require(raw[6:12] == sender["mac"], "source_mac")
        answer = self.stack.receive(raw, partial=bool(flags & wire.CSUM))
        if answer:
            self.send_frame(contact, answer)

    def send_frame(self, contact: Contact, raw: bytes) -> None:
        """Towards a member; UDP goes with an unfinished checksum and without its header."""
        key = self.key_towards(contact)
        require(key and contact.path, "no index of the member")
        assert key and contact.path
        if raw[12:14] == b"\x08\0" and raw[23] == ether.UDP:
            self.send(contact.path, key.seal(wire.CSUM | wire.ELIDED, raw[14:]))
            return
        for flags, plaintext in wire.cut(raw, contact.path.datagram_size, key.counter):
            self.send(contact.path, key.seal(flags, plaintext))

    def key_towards(self, contact: Contact) -> IndexKey | None:
        """Of the session in use, or of an older one while that has none."""
        network, newest = self.network, contact.session
        order = ([newest] if newest else []) + [one for one in contact.sessions[::-1] if one.live]
        known = (one.theirs.get(network.id) for one in order if network)
        return next((key for key in known if key), None)

    def flood(self, raw: bytes) -> None:
        """To every member met."""
        assert self.network
        for fingerprint in self.network.accepted:
            self.send_frame(self.contacts[fingerprint], raw)

    def member(self, name: str) -> Contact | None:
        """The contact of a member of the roster, by name or address."""
        assert self.network
        for fingerprint, body in self.network.roster.items():
            if name in (body["name"], body["address"].hex()):
                return self.contacts[fingerprint]
        return None

    def visit(self, name: str) -> Contact:
        """A session with a member, met and ready for frames."""
        self.run(lambda: self.member(name), 30, f"{name} in the roster")
        found = self.member(name)
        assert found
        self.reach(found.public)
        assert found.session
        self.meet(found, found.session)
        self.run(lambda: self.key_towards(found), 20, "INDICES")
        return found


def any_path(path: Path | None) -> str:
    """A path for people."""
    return "none" if path is None else "relay" if path.relay else "direct"
