"""What ``l2mesh groups`` shows, computed when somebody asks."""

from __future__ import annotations

from dataclasses import dataclass

from l2mesh.node.groups import MulticastGroups, Port
from l2mesh.switch.groups import Segment
from l2mesh.switch.snooping import Share

__all__ = ["GroupView", "GroupsView", "ShareView", "groups_view"]


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group."""

    vlan: int
    group: bytes
    """Of 4 or 16 bytes."""
    members: tuple[bytes | None, ...]
    """Whose ports want it; None: ours."""


@dataclass(frozen=True, slots=True)
class ShareView:
    """Our own port in one VLAN and IP version."""

    vlan: int
    version: int
    is_listed: bool
    """It gets only the groups that its hosts want."""
    is_router: bool
    """A multicast router is behind it, so it gets all."""
    is_asking: bool
    """We ask its hosts."""
    querier: bytes | None
    """IP address of who else asks them."""


@dataclass(frozen=True, slots=True)
class GroupsView:
    """One network."""

    network: int
    groups: tuple[GroupView, ...]
    shares: tuple[ShareView, ...]
    """Empty where nobody is behind the port, or the network does not snoop."""


def groups_view(part: MulticastGroups, network: int) -> GroupsView:
    """Groups by VLAN and address."""
    wanting: dict[tuple[int, bytes], list[bytes | None]] = {}
    port = part.ports.get(network)
    for vlan, group in port.wanted.groups if port is not None else ():
        wanting.setdefault((vlan, group), []).append(None)
    for fingerprint, message in part.members.get(network, {}).items():
        for each in message.groups:
            wanting.setdefault((each.vlan, each.group), []).append(fingerprint)
    groups = (GroupView(*key, tuple(wanting[key])) for key in sorted(wanting))
    shares = sorted(port.snooper.shares.items()) if port is not None else ()
    views = (_share(port, *one) for one in shares if port is not None)
    return GroupsView(network, tuple(groups), tuple(views))


def _share(port: Port, segment: Segment, share: Share) -> ShareView:
    snooper = port.snooper
    return ShareView(
        vlan=segment.vlan,
        version=segment.version,
        is_listed=snooper.is_listed(segment, share),
        is_router=snooper.is_router(segment),
        is_asking=share.other is None and share.asked > 0,
        querier=share.other,
    )
