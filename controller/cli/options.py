"""What the commands share: the program's names and defaults, and asking the daemon.

An option comes from its flag, else from ``L2MESH_CONTROLLER_<OPTION>``, else from the file named by
``--config``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from controller.service.socket import SOCKET
from l2mesh.cli.client import Wording, request
from l2mesh.cli.options import state_of

__all__ = ["DEFAULT_STATE", "PREFIX", "PROGRAM", "ask"]

PROGRAM: Final = "l2mesh-controller"
PREFIX: Final = "L2MESH_CONTROLLER"
DEFAULT_STATE: Final = Path("/var/lib/l2mesh/controller")
WORDING: Final = Wording(
    name="controller",
    start_hint="start `l2mesh-controller serve`, or name its directory with --state",
    permit_hint="run the command as root or as the user that runs `serve`",
)


def ask(context: click.Context, verb: str, **arguments: Any) -> dict[str, Any]:
    """The running controller's answer; Failure when there is none."""
    return request(str(state_of(context) / SOCKET), verb, arguments, wording=WORDING)
