"""One network that this node has joined: what the operator chose, and where the join stands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Final, NamedTuple

from msgspec import Meta

from l2mesh.address import MAC_BYTES
from l2mesh.datapath.interface import OpenPort, SetLimits
from l2mesh.errors import ConfigError
from l2mesh.network.join import JoinMachine, JoinState, Status
from l2mesh.network.meeting import Meetings
from l2mesh.network.state import NetworkState
from l2mesh.node.effects import ConfigureDevice
from l2mesh.wire.fields import Fingerprint

__all__ = ["MAX_VLAN", "Joined", "Options", "StaticEntry", "change_option"]

MAX_VLAN: Final = 4094
MAX_INTERFACE_NAME: Final = 15
"""Bytes that Linux takes (IFNAMSIZ less the final zero)."""


class StaticEntry(NamedTuple):
    """A station of which the operator says where it is (``l2mesh fdb``)."""

    vlan: Annotated[int, Meta(ge=0, le=MAX_VLAN)]
    mac: Annotated[bytes, Meta(min_length=MAC_BYTES, max_length=MAC_BYTES)]
    peer: Fingerprint | None
    """Behind which member; None: behind our own port."""


@dataclass(frozen=True, slots=True)
class Options:
    """Local choices of the operator (``l2mesh join --device`` and ``l2mesh set``)."""

    device: str | None = None
    bridge: str | None = None
    broadcast_route: bool = False
    routes: bool = False
    default_route: bool = False
    dns: bool = False
    replicate: bool = True
    """Carry broadcasts of others on, where we have the right ``relay``."""
    carry: bool = True
    """Relay between others who have no direct path, where we have that right."""
    bond: bool = False
    """Spread the flows to each member over all uplinks that are good enough."""
    static: tuple[StaticEntry, ...] = ()
    """Each station once, in the order of VLAN and MAC."""


@dataclass(slots=True)
class Joined:
    """A network in our list."""

    state: NetworkState
    join: JoinMachine
    options: Options = Options()
    token: bytes | None = None
    """Shown to the controller until it has admitted us."""
    meetings: Meetings = field(init=False)
    port: OpenPort | None = None
    """The port as the engine has it; None while closed."""
    limits: SetLimits | None = None
    static: tuple[StaticEntry, ...] = ()
    """Static entries as the engine has them."""
    device: ConfigureDevice | None = None
    """The device as the host has it."""
    device_name: str | None = None
    """The name that the host gave the device."""
    generations: dict[bytes, int] = field(default_factory=dict)
    """Member -> generation of its broadcasts, as it told us when we met."""
    tellings: int = 0
    """How often one of those has changed."""
    save_at: float | None = None
    """When the state file is written, at the latest; None: it says what we hold."""

    def __post_init__(self) -> None:
        self.meetings = Meetings(self.state)

    @property
    def network(self) -> int:
        """The network ID."""
        return self.state.network

    @property
    def controller(self) -> bytes | None:
        """The controller's fingerprint, once known."""
        return self.state.controller.fingerprint if self.state.controller is not None else None

    @property
    def status(self) -> Status:
        """As the command line shows it. A member stays ``ok`` while its controller is away."""
        if self.port is not None and self.join.state in (JoinState.ASKING, JoinState.SEEKING):
            return Status.OK
        if self.join.status is Status.OK and self.port is None:
            return Status.REQUESTING
        return self.join.status


_SWITCHES: Final = (
    "broadcast_route",
    "routes",
    "default_route",
    "dns",
    "replicate",
    "carry",
    "bond",
)
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def change_option(options: Options, key: str, value: str) -> Options:
    """The options with one changed; ConfigError names what is wrong and what would do."""
    if key == "bridge":
        return replace(options, bridge=_interface_name(value) if value else None)
    if key not in _SWITCHES:
        known = ", ".join(("bridge", *_SWITCHES))
        raise ConfigError(f"there is no setting {key!r}", hint=f"settings are: {known}")
    if value.lower() not in _FLAGS:
        raise ConfigError(f"{key}={value!r} is neither true nor false", hint=f"write {key}=true")
    flag = _FLAGS[value.lower()]
    match key:
        case "broadcast_route":
            return replace(options, broadcast_route=flag)
        case "routes":
            return replace(options, routes=flag)
        case "default_route":
            return replace(options, default_route=flag)
        case "replicate":
            return replace(options, replicate=flag)
        case "carry":
            return replace(options, carry=flag)
        case "bond":
            return replace(options, bond=flag)
        case _:
            return replace(options, dns=flag)


def _interface_name(value: str) -> str:
    """A name that Linux takes for an interface: 1 to 15 bytes, no blank, no slash."""
    valid = 0 < len(value.encode()) <= MAX_INTERFACE_NAME and value.isprintable()
    if not valid or "/" in value or " " in value or value in (".", ".."):
        raise ConfigError(
            f"{value!r} cannot be the name of an interface",
            hint="at most 15 characters without blanks or slashes, as in bridge=br0",
        )
    return value
