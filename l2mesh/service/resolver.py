"""Name servers of a network, given to the resolver that the host has (only with `dns=true`).

systemd-resolved where it runs (`resolvectl`), else resolvconf, which merges what every interface
brings into /etc/resolv.conf. That file itself is never written: it is somebody else's.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["set_servers"]

RESOLVED: Final = Path("/run/systemd/resolve")
"""There while systemd-resolved runs."""
PATIENCE_S: Final = 5.0
LEAVING_S: Final = 2.0
"""For taking servers back, which a daemon does that has 5 s to end."""


def set_servers(device: str, servers: Sequence[str]) -> list[str]:
    """Name the servers (IP addresses) of an interface, none of them to take them back.

    Returns what went wrong, in words. Waits for a program, at most 5 s, or 2 s to take servers
    back: not for the event loop.
    """
    patience_s = PATIENCE_S if servers else LEAVING_S
    if RESOLVED.exists() and shutil.which("resolvectl"):
        verb = ["dns", device, *servers] if servers else ["revert", device]
        return _run(["resolvectl", *verb], "", patience_s)
    if shutil.which("resolvconf"):
        record = f"{device}.l2mesh"
        lines = "".join(f"nameserver {server}\n" for server in servers)
        return _run(["resolvconf", "-a" if servers else "-d", record], lines, patience_s)
    if not servers:
        return []
    wanted = ", ".join(servers)
    return [f"name servers {wanted} are not in use: install systemd-resolved or resolvconf"]


def _run(words: list[str], text: str, patience_s: float) -> list[str]:
    try:
        subprocess.run(
            words, input=text, text=True, capture_output=True, check=True, timeout=patience_s
        )
    except subprocess.CalledProcessError as error:
        said = str(error.stderr).strip() or f"exit status {error.returncode}"
        return [f"name servers: {' '.join(words)}: {said}"]
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"name servers: {' '.join(words)}: {error}"]
    return []
