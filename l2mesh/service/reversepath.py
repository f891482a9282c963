"""Whether the kernel drops what comes in by an uplink because it would answer by another one.

That is the reverse path filter of IPv4 (RFC 3704): where it is strict, a packet counts only if the
best route to its source leads out by the interface that it came in by. What comes back over an
uplink that is not the host's own choice never does. Of the values for ``all`` and for the interface
the kernel takes the larger one, so 2 (loose) for the interface is enough.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from l2mesh.service.uplinks import UplinkTable

__all__ = ["is_strict", "strict_uplinks"]

CONF: Final = Path("/proc/sys/net/ipv4/conf")
STRICT: Final = 1
IPV4: Final = 4


def is_strict(device: str, conf: Path = CONF) -> bool:
    """Whether the filter of an interface is strict; not where it cannot be told."""
    try:
        return (
            max(int((conf / each / "rp_filter").read_text()) for each in ("all", device)) == STRICT
        )
    except (OSError, ValueError):
        return False


def strict_uplinks(table: UplinkTable, conf: Path = CONF) -> tuple[str, ...]:
    """Uplinks that are used beside the host's own choice, and by which IPv4 brings nothing in."""
    beside = [each for each in table.all[1:] if each.number in table.named]
    return tuple(
        each.device for each in beside if IPV4 in each.families and is_strict(each.device, conf)
    )
