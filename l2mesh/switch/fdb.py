"""The forwarding database of one network: (VLAN, MAC) -> where that station was last heard.

An owner is a peer's fingerprint, or None for this node's own port. Signed MACs hold in every VLAN,
never age and win over anything else (section 10). Static entries (IEEE 802.1Q-2022 clause 8.8.1),
in which the operator says where a station is, win over anything learned: they stay until they are
taken back. Learned entries are kept in the order in which they were last heard, so that ageing
looks at the oldest only: look-ups and learning take constant time, spread over many, and memory is
bounded by the caps.
"""

import enum
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from l2mesh.switch.ethernet import is_learnable

AGEING_S: Final = 300.0
"""IEEE 802.1Q-2022 table 8-6 recommends it."""
MAX_PER_PEER: Final = 1024
MAX_OWN: Final = 4096
"""Behind this node's own port, so that a flood there leaves room for stations of others."""
MAX_PER_NETWORK: Final = 8192
MAX_STATIC: Final = 1024
"""Static entries of one network; those behind them are ignored."""
MOVES: Final = 5
"""So often within `DAMPING_S` of its first move a station may move at once; then it has to stay."""
DAMPING_S: Final = 10.0


class Nobody(enum.Enum):
    """The owner of a MAC that no entry names; None is taken by this node."""

    NOBODY = enum.auto()


NOBODY: Final = Nobody.NOBODY

Owner = bytes | None


class Learned(enum.Enum):
    """What `Fdb.learn` did."""

    REFRESHED = enum.auto()
    NEW = enum.auto()
    MOVED = enum.auto()
    FULL = enum.auto()
    """A cap was reached; nothing changed."""
    DAMPED = enum.auto()
    """It moves to and fro too often and stays, for now, where it is."""
    IGNORED = enum.auto()
    """It is signed or has a static entry, or the address names no single station."""


@dataclass(slots=True)
class Station:
    """One learned entry."""

    owner: Owner
    seen: float
    """When a frame from it last came, monotonic seconds."""
    moves: int = 0
    """Since `moving`."""
    moving: float = float("-inf")


class Fdb:
    """Stations of one network."""

    __slots__ = (
        "_counts",
        "_learned",
        "_own",
        "_per_network",
        "_per_peer",
        "signed",
        "static",
    )

    signed: dict[bytes, Owner]
    """Signed MACs and who owns them."""
    static: dict[tuple[int, bytes], Owner]
    """Static entries in the order of VLAN and MAC; an owner may be no member at present."""

    def __init__(
        self,
        per_peer: int = MAX_PER_PEER,
        per_network: int = MAX_PER_NETWORK,
        own: int = MAX_OWN,
    ) -> None:
        self.signed = {}
        self.static = {}
        self._learned: OrderedDict[tuple[int, bytes], Station] = OrderedDict()
        self._counts: dict[Owner, int] = {}
        self._per_peer = per_peer
        self._per_network = per_network
        self._own = own

    def lookup(self, vlan: int, mac: bytes, now: float) -> Owner | Nobody:
        """Who owns `mac` in `vlan`, NOBODY if that is not known or too long ago."""
        owner = self.signed.get(mac, NOBODY)
        if owner is not NOBODY:
            return owner
        owner = self.static.get((vlan, mac), NOBODY)
        if owner is not NOBODY:
            return owner
        station = self._learned.get((vlan, mac))
        if station is None or now - station.seen >= AGEING_S:
            return NOBODY
        return station.owner

    def learn(self, vlan: int, mac: bytes, owner: Owner, now: float) -> Learned:
        """Note that a frame from `mac` came from `owner`."""
        key = (vlan, mac)
        if mac in self.signed or key in self.static or not is_learnable(mac):
            return Learned.IGNORED
        station = self._learned.get(key)
        if station is not None and station.owner == owner and now - station.seen < AGEING_S:
            station.seen = now
            self._learned.move_to_end(key)
            return Learned.REFRESHED
        self.expire(now)
        return self._enter(key, owner, now)

    def _enter(self, key: tuple[int, bytes], owner: Owner, now: float) -> Learned:
        """A new entry, or one that moves."""
        station = self._learned.get(key)
        moves, moving = 0, now
        if station is not None and now - station.moving < DAMPING_S:
            moves, moving = station.moves, station.moving
            if moves >= MOVES:
                return Learned.DAMPED
        cap = self._own if owner is None else self._per_peer
        if self._counts.get(owner, 0) >= cap:
            return Learned.FULL
        if station is None and len(self._learned) >= self._per_network:
            return Learned.FULL
        if station is None:
            self._learned[key] = Station(owner, now)
        else:
            self._forget(key)
            self._learned[key] = Station(owner, now, moves + 1, moving)
        self._counts[owner] = self._counts.get(owner, 0) + 1
        return Learned.NEW if station is None else Learned.MOVED

    def expire(self, now: float) -> None:
        """Forget stations not heard for 300 s."""
        while self._learned:
            key, station = next(iter(self._learned.items()))
            if now - station.seen < AGEING_S:
                return
            self._forget(key)

    def next_expiry(self) -> float | None:
        """When the oldest station is forgotten."""
        if not self._learned:
            return None
        return next(iter(self._learned.values())).seen + AGEING_S

    def sign(self, mac: bytes, owner: Owner) -> None:
        """Sign `mac` to `owner`; what was learned of it is forgotten."""
        self.signed[mac] = owner
        for key in [key for key in self._learned if key[1] == mac]:
            self._forget(key)

    def set_static(self, entries: Iterable[tuple[int, bytes, Owner]]) -> None:
        """Have these static entries and no others; the last one about a station counts."""
        first = islice(entries, MAX_STATIC)
        found = {(vlan, mac): owner for vlan, mac, owner in first if is_learnable(mac)}
        self.static = {key: found[key] for key in sorted(found)}
        for key in self.static:
            if key in self._learned:
                self._forget(key)

    def is_elsewhere(self, vlan: int, mac: bytes, owner: Owner) -> bool:
        """Whether a static entry names another place than `owner` for a MAC signed to nobody."""
        said = self.static.get((vlan, mac), owner)
        return said != owner and mac not in self.signed

    def flush(self, owner: Owner) -> None:
        """Forget what was learned behind `owner`."""
        if not self._counts.get(owner):
            return
        for key in [key for key, station in self._learned.items() if station.owner == owner]:
            self._forget(key)

    def learned(self, now: float) -> list[tuple[int, bytes, Station]]:
        """VLAN, MAC and station of what is known by learning, the longest silent first."""
        return [
            (vlan, mac, station)
            for (vlan, mac), station in self._learned.items()
            if now - station.seen < AGEING_S
        ]

    def _forget(self, key: tuple[int, bytes]) -> None:
        owner = self._learned.pop(key).owner
        left = self._counts[owner] - 1
        if left:
            self._counts[owner] = left
        else:
            del self._counts[owner]
