"""What ``l2mesh guard`` shows of a loop guard, computed when somebody asks."""

from __future__ import annotations

from dataclasses import dataclass

from l2mesh.switch.loopguard import LoopGuard, Role, Segment
from l2mesh.switch.loops import Loop

__all__ = ["GuardView", "VlanView", "guard_view"]


@dataclass(frozen=True, slots=True)
class VlanView:
    """Our LAN in one VLAN."""

    vlan: int
    state: str
    """``forwarding`` or ``blocked``."""
    forwarder: bytes | None
    """Fingerprint of who forwards; None: this node."""
    since_s: float
    neighbours: tuple[bytes, ...]
    """Other bridges on the LAN."""
    reason: str
    """Why, for people."""


@dataclass(frozen=True, slots=True)
class GuardView:
    """The loop guard of one network."""

    network: int
    bridge: bool
    """Our right to forward for others."""
    vlans: tuple[VlanView, ...]
    loops: tuple[Loop, ...]


def guard_view(guard: LoopGuard, now: float) -> GuardView:
    """A guard as it stands."""
    vlans = [_vlan(guard, vlan, segment, now) for vlan, segment in sorted(guard.segments.items())]
    return GuardView(guard.network, guard.bridge, tuple(vlans), tuple(guard.loops.active))


def _vlan(guard: LoopGuard, vlan: int, segment: Segment, now: float) -> VlanView:
    role = guard.role(vlan)
    return VlanView(
        vlan=vlan,
        state=role.value,
        forwarder=segment.forwarder if role is Role.BLOCKED else None,
        since_s=now - segment.since,
        neighbours=tuple(segment.neighbours),
        reason=_reason(guard, role, len(segment.neighbours)),
    )


def _reason(guard: LoopGuard, role: Role, neighbours: int) -> str:
    if not guard.bridge:
        if role is Role.BLOCKED:
            return "a bridge is on our port's LAN, and this member has no right to bridge"
        return "this member has no right to bridge, and no bridge is on its port's LAN"
    if not neighbours:
        return "no other bridge is on our LAN"
    if role is Role.FORWARDING:
        return f"the highest rank of {neighbours + 1} bridges on our LAN"
    return f"another one of {neighbours + 1} bridges on our LAN has the highest rank"
