"""Which offloads of the kernel are used: switches for each, and what the kernel refused.

Kernels have had bugs in every one of them, so each can be switched off when the daemon starts, and
is switched off by itself when the kernel refuses it at run time. Without any the daemon works, only
slower.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from l2mesh.errors import ConfigError

__all__ = ["NAMES", "Offloads"]

NAMES: Final = ("tap_tso", "tap_uso", "udp_gso", "udp_gro")
"""TCP and UDP super-frames of TAPs; several datagrams in one send, and in one receipt."""


@dataclass(slots=True)
class Offloads:
    """What may be used. Shared by whoever uses offloads; belongs to the event loop's thread."""

    tap_tso: bool = True
    tap_uso: bool = True
    udp_gso: bool = True
    udp_gro: bool = True
    refused: dict[str, str] = field(default_factory=dict)
    """Name -> why, for those that the kernel refused at run time."""

    @classmethod
    def without(cls, names: Iterable[str]) -> "Offloads":
        """All but those named; ConfigError for a name that is none."""
        offloads = cls()
        for name in names:
            if name not in NAMES:
                raise ConfigError(
                    f"no offload is called {name!r}", hint=f"there are: {', '.join(NAMES)}"
                )
            setattr(offloads, name, False)
        return offloads

    def refuse(self, name: str, reason: str) -> None:
        """Switch one off because the kernel does not do it."""
        setattr(self, name, False)
        self.refused[name] = reason

    def problems(self) -> list[str]:
        """What the kernel refused, one sentence each, for `status`."""
        return [f"offload {name} is off: {why}" for name, why in self.refused.items()]
