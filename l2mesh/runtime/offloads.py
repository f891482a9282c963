"""Which offloads of the kernel are used: a switch for each, what the kernel has, what it refused.

Kernels have had bugs in every one of them, so each can be switched off when the daemon starts. A
probe at the start leaves out what the kernel does not know; one that it refuses at run time is done
without. The daemon works without any of them, only slower.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from l2mesh.errors import ConfigError

__all__ = ["CHOICES", "NAMES", "Offloads"]

NAMES: Final = (
    "tap_csum",
    "tap_tso4",
    "tap_tso6",
    "tap_uso4",
    "tap_uso6",
    "udp_gso",
    "udp_gro",
)
"""Open checksums of TAPs; their super-frames of TCP and UDP over IPv4 and IPv6, which need these;
several datagrams in one send, and in one receipt."""
_GROUPS: Final = {"tap_tso": ("tap_tso4", "tap_tso6"), "tap_uso": ("tap_uso4", "tap_uso6")}
CHOICES: Final = (*NAMES, *_GROUPS)
"""What may be switched off: each, or both families of a kind."""

_BY_OPERATOR: Final = "switched off by the operator"
_COUNTERS: Final = {
    "tap_tso_refused": "tap_tso",
    "tap_uso_refused": "tap_uso",
    "udp_gso_refused": "udp_gso",
}
"""What both engines count when the kernel refuses a super-frame or a train."""


class Offloads:
    """What may be used. Shared by whoever uses offloads; belongs to the event loop's thread."""

    __slots__ = ("_off",)

    def __init__(self) -> None:
        self._off: dict[str, str] = {}

    @classmethod
    def without(cls, names: Iterable[str]) -> "Offloads":
        """All but those named; ConfigError for a name that is none."""
        offloads = cls()
        for name in names:
            if name not in CHOICES:
                raise ConfigError(
                    f"no offload is called {name!r}", hint=f"there are: {', '.join(CHOICES)}"
                )
            offloads.leave_out(name, _BY_OPERATOR)
        return offloads

    def leave_out(self, name: str, why: str) -> None:
        """Use one of `CHOICES` no more; the first reason stays."""
        for each in _GROUPS.get(name, (name,)):
            self._off.setdefault(each, why)

    def has(self, *names: str) -> bool:
        """Whether all of these `NAMES` may be used."""
        return not any(name in self._off for name in names)

    @property
    def tap_tso(self) -> bool:
        """Whether TCP may be merged into super-frames: of both families or of none."""
        return self.has("tap_csum", "tap_tso4", "tap_tso6")

    @property
    def tap_uso(self) -> bool:
        """The same of UDP; Linux has both families or none."""
        return self.has("tap_csum", "tap_uso4", "tap_uso6")

    @property
    def udp_gso(self) -> bool:
        """Whether trains may be sent by one call."""
        return "udp_gso" not in self._off

    @property
    def udp_gro(self) -> bool:
        """Whether datagrams may be received merged."""
        return "udp_gro" not in self._off

    def view(self) -> dict[str, dict[str, Any]]:
        """Each by its name, and why it is off: for ``status``."""
        return {
            name: {"on": name not in self._off, "why": self._off.get(name, "")} for name in NAMES
        }

    @staticmethod
    def problems(counters: Mapping[str, int]) -> list[str]:
        """What the kernel has refused by now, one sentence each, for ``status``."""
        return [
            f"offload {name}: the kernel refused it {counters[counter]} times, "
            f"what was refused went one by one"
            for counter, name in _COUNTERS.items()
            if counters.get(counter)
        ]
