"""The node: one port of a virtual Ethernet switch that is stretched over the internet.

The package is layered, and `setup.cfg` holds the layers as import contracts. Values at the bottom
(errors, address, identity), then wire formats, then credentials; above them four machines that
never import each other (session, path, switch, network); then the data path, the node that puts
the machines together, the runtime that drives it, and on top the daemon and its command line.
Everything below the runtime is free of I/O: time, randomness and received bytes are arguments,
and what shall be done comes back as values.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from l2mesh.service.openport import Port, open_port, open_port_async

__all__ = ["Port", "open_port", "open_port_async"]


def __getattr__(name: str) -> Any:
    """The Python API, imported when it is first used: commands start fast without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from l2mesh.service import openport  # noqa: PLC0415 - see above

    return getattr(openport, name)
