"""People who join, a core that only writes down what it should send, and a store in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from controller.issuer import Issuer
from controller.members import Members
from controller.model import Network, Request, Settings
from controller.settings import change_settings
from controller.store.store import Store
from l2mesh.address import network_id
from l2mesh.datapath.interface import Path as DataPath
from l2mesh.identity import Identity, address_of
from l2mesh.network.state import NetworkState
from l2mesh.node.core import Core
from l2mesh.node.peer import Peer
from l2mesh.wire.message import (
    Config,
    Credential,
    Join,
    JoinReply,
    Message,
    Revocations,
    Roster,
    decode_message,
    encode_message,
)
from tests.simulator.cheap import CheapCrypto

M = TypeVar("M")

NOW = 1000.0
UNIX_NOW = 1_700_000_000.0


def draw(seed: int, crypto: CheapCrypto) -> Identity:
    """An identity that the seed alone decides."""
    return Identity.generate(crypto, Random(seed).randbytes)


@dataclass
class Paths:
    """What the controller asks of a peer's paths."""

    is_kept: bool = False
    needed_at: float = float("-inf")

    def set_always(self, always: bool, *, rests: bool) -> None:  # noqa: FBT001 - as PathSet has it
        self.is_kept = always and rests

    def note_need(self, frame: float) -> None:
        self.needed_at = frame


@dataclass(eq=False)
class Person:
    """Somebody with an identity; as a peer of the controller, live, and with what it was sent."""

    identity: Identity
    address: bytes
    is_live: bool = True
    inbox: list[Message] = field(default_factory=list)
    paths: Paths = field(default_factory=Paths)
    last_path: DataPath | None = None

    @property
    def fingerprint(self) -> bytes:
        return self.identity.fingerprint

    @property
    def public(self) -> Any:
        return self.identity.public

    @property
    def peer(self) -> Peer:
        return cast(Peer, self)

    def request(self, name: str = "", token: bytes | None = None) -> Request:
        return Request(self.fingerprint, self.address, self.public.encode(), name, token)

    def take(self, kind: type[M]) -> list[M]:
        """The messages of a kind; the inbox is empty then."""
        found: list[M] = [message for message in self.inbox if isinstance(message, kind)]
        self.inbox.clear()
        return found


class World:
    """A controller with its store, a core without sessions, and people."""

    def __init__(self, folder: Path) -> None:
        self.crypto = CheapCrypto()
        self.identity = draw(0, self.crypto)
        self.address = self.address_of(self.identity)
        self.path = folder / "controller.db"
        self.store = Store.open(self.path, self.identity.fingerprint)
        self.peers: dict[bytes, Person] = {}
        self.refused: list[str] = []
        self.offered: list[Person] = []
        self.members = self._members()
        self._people = 0

    def _members(self) -> Members:
        settings = SimpleNamespace(crypto=self.crypto, unix_now=lambda: UNIX_NOW)
        core = SimpleNamespace(
            settings=settings, peers=self.peers, send=self._send, refuse=self.refused.append
        )
        issuer = Issuer(self.identity, self.crypto)
        offer = cast(Callable[[Peer, float], None], lambda peer, now: self.offered.append(peer))
        return Members(cast(Core, core), self.store, issuer, offer=offer)

    def address_of(self, identity: Identity) -> bytes:
        address = address_of(identity.fingerprint, self.crypto)
        assert address is not None
        return address

    def network(self, *, number: int = 1, **values: str) -> Network:
        settings = change_settings(Settings(), values)
        return self.store.create_network(network_id(self.address, number), settings)

    def person(self) -> Person:
        self._people += 1
        identity = draw(self._people, self.crypto)
        person = Person(identity, self.address_of(identity))
        self.peers[person.fingerprint] = person
        return person

    def join(self, person: Person, network: Network, now: float = NOW, **fields: Any) -> None:
        self.members.receive_join(person.peer, Join(network=network.id, **fields), now)

    def take_up(self, folder: Path) -> None:
        """A restore: another database and a process that knows nothing of what went before."""
        self.store.close()
        self.store = Store.open(folder, self.identity.fingerprint)
        self.members = self._members()

    def _send(self, peer: Person, message: Message, now: float) -> None:
        peer.inbox.append(decode_message(encode_message(message)))


class Node:
    """What a node makes of what it is sent: the state machine of `l2mesh.network`."""

    def __init__(self, world: World, person: Person, network: Network) -> None:
        self.person = person
        self.state = NetworkState(network.id, world.crypto, controller=world.identity.public)
        self.statuses: list[str] = []
        self.lost = 0

    def read(self) -> None:
        """Takes everything that has come."""
        for message in self.person.inbox:
            self._take(message)
        self.person.inbox.clear()

    def _take(self, message: Message) -> None:
        state = self.state
        match message:
            case JoinReply():
                self.statuses.append(message.status.value)
            case Config():
                assert state.take_config(message.object)
            case Credential():
                assert state.take_credential(message.object, self.person.fingerprint)
            case Revocations():
                assert state.take_revocations(message.object)
            case Roster():
                self._take_roster(message)
            case _:
                raise AssertionError(message)

    def _take_roster(self, message: Roster) -> None:
        roster = self.state.roster
        if message.base == 0:
            roster.remove(list(roster.entries))
        elif message.base != roster.revision:
            self.lost += 1
            return
        for data, public in message.members:
            assert roster.put(self.state.roster_entry(data, public))
        roster.remove(message.removed)
        roster.revision = message.revision

    @property
    def holds(self) -> dict[str, int]:
        """What the next JOIN says."""
        state = self.state
        return {
            "config": state.config.revision if state.config else 0,
            "roster": state.roster.revision,
            "serial": state.credential.serial if state.credential else 0,
            "epoch": state.credential.epoch if state.credential else 0,
            "revocations": state.revocation_revision,
        }

    @property
    def roster(self) -> set[bytes]:
        return {entry.credential.fingerprint for entry in self.state.roster}
