"""Who wants which IP group: what members have told of their ports decides where a frame goes.

A member's port, in one VLAN and for one IP version (a *segment*), is open until it is listed: then
it gets the groups that it has listed and no others, and of the reports of others only what it asks
for. RFC 4541 is the model; how a port comes to its list stands in ``snooping``. Everybody hears
224.0.0.0/24, ff02::1, groups that no host reports (ff00::/15), groups of no IP, queries, and
neighbour discovery. The key is the IP group, because 32 groups of IPv4 share a MAC.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from l2mesh.switch.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, Header
from l2mesh.switch.fdb import Owner

MAX_REMEMBERED: Final = 1024
"""Lists of receivers; they are made anew when there are more."""

IPV4: Final[Literal[4]] = 4
IPV6: Final[Literal[6]] = 6
_IPV4_TARGET: Final = 16
IPV4_BYTES: Final = 4
_IPV6_TARGET: Final = 24
IPV6_BYTES: Final = 16
_CLASS_D: Final = 0xE
_LOCAL_NETWORK_CONTROL: Final = bytes((224, 0, 0))
_ALL_NODES: Final = bytes.fromhex("ff02") + bytes(13) + b"\x01"
_IPV6_GROUP: Final = 0xFF
_UNREPORTED_SCOPES: Final = frozenset({0, 1})
"""RFC 2710 section 6: reserved, and local to the interface."""


class Segment(NamedTuple):
    """A port's share in one VLAN and IP version."""

    vlan: int
    version: int
    """4 or 6."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody's port wants."""

    listed: Mapping[Segment, bool] = field(default_factory=dict)
    """Segments in which only `groups` are wanted, and whether others' reports are."""
    groups: frozenset[tuple[int, bytes]] = frozenset()
    """(VLAN, address of 4 or 16 bytes)."""

    def is_for(self, segment: Segment, group: bytes) -> bool:
        """Whether frames to the group are wanted."""
        return segment not in self.listed or (segment.vlan, group) in self.groups

    def hears_reports(self, segment: Segment) -> bool:
        """Whether reports of other ports are wanted."""
        return self.listed.get(segment, True)


_OPEN: Final = Wanted()


def group_of(frame: bytes, header: Header) -> bytes:
    """The IP group that a frame is for, of 4 or 16 bytes; empty if it is for none."""
    at = header.payload
    if header.ethertype == ETHERTYPE_IPV4:
        group = frame[at + _IPV4_TARGET : at + _IPV4_TARGET + IPV4_BYTES]
        return group if len(group) == IPV4_BYTES and is_group(group) else b""
    if header.ethertype == ETHERTYPE_IPV6:
        group = frame[at + _IPV6_TARGET : at + _IPV6_TARGET + IPV6_BYTES]
        return group if len(group) == IPV6_BYTES and is_group(group) else b""
    return b""


def is_group(address: bytes) -> bool:
    """Whether an IP address of 4 or 16 bytes names a group."""
    if len(address) == IPV4_BYTES:
        return address[0] >> 4 == _CLASS_D
    return address[0] == _IPV6_GROUP


def segment_of(vlan: int, group: bytes) -> Segment:
    """Where frames to the group belong."""
    return Segment(vlan, IPV4 if len(group) == IPV4_BYTES else IPV6)


def is_for_all(group: bytes) -> bool:
    """Whether no list names the group, because everybody hears it."""
    if len(group) == IPV4_BYTES:
        return group.startswith(_LOCAL_NETWORK_CONTROL)
    return group == _ALL_NODES or group[1] & 0x0F in _UNREPORTED_SCOPES


class Groups:
    """What the members of one network and this node (None) want."""

    __slots__ = ("_receivers", "_registered", "_wanted")

    def __init__(self) -> None:
        self._wanted: dict[Owner, Wanted] = {}
        self._registered: dict[tuple[int, bytes], int] = {}
        """How many list it."""
        self._receivers: dict[tuple[int, bytes], tuple[bytes, ...]] = {}

    def set(self, owner: Owner, wanted: Wanted) -> None:
        """Replace what somebody wants."""
        self.forget(owner)
        self._wanted[owner] = wanted
        for key in wanted.groups:
            self._registered[key] = self._registered.get(key, 0) + 1

    def forget(self, owner: Owner) -> None:
        """Somebody's port is open."""
        self._receivers.clear()
        for key in self._wanted.pop(owner, _OPEN).groups:
            left = self._registered[key] - 1
            if left:
                self._registered[key] = left
            else:
                del self._registered[key]

    def members_changed(self) -> None:
        """The members among whom receivers are chosen are others."""
        self._receivers.clear()

    def of_group(
        self, vlan: int, group: bytes, everyone: Iterable[bytes], *, floods: bool
    ) -> tuple[bytes, ...]:
        """Those of `everyone` who want a group; `floods`: who lists none gets what nobody lists."""
        found = self._receivers.get((vlan, group))
        if found is None:
            if len(self._receivers) >= MAX_REMEMBERED:
                self._receivers.clear()
            segment = segment_of(vlan, group)
            is_flooded = floods and (vlan, group) not in self._registered
            found = self._receivers[vlan, group] = tuple(
                one for one in everyone if is_flooded or self._of(one).is_for(segment, group)
            )
        return found

    def of_report(self, segment: Segment, everyone: Iterable[bytes]) -> tuple[bytes, ...]:
        """Those of `everyone` who hear what others report."""
        return tuple(one for one in everyone if self._of(one).hears_reports(segment))

    def is_wanted(self, vlan: int, group: bytes, *, floods: bool) -> bool:
        """Whether our own port wants a group."""
        is_flooded = floods and (vlan, group) not in self._registered
        return is_flooded or self._of(None).is_for(segment_of(vlan, group), group)

    def hears_reports(self, segment: Segment) -> bool:
        """Whether our own port hears what others report."""
        return self._of(None).hears_reports(segment)

    def _of(self, owner: Owner) -> Wanted:
        return self._wanted.get(owner, _OPEN)
