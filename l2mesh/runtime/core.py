"""What the runtime asks of a core: the node, the controller's core and the planet's core."""

from __future__ import annotations

from typing import Protocol, TypeVar

from l2mesh.datapath.interface import Command, Endpoint, Upcall

__all__ = ["Core"]

EffectT_co = TypeVar("EffectT_co", covariant=True)


class Core(Protocol[EffectT_co]):
    """A machine free of I/O above an engine; its effects are what its own service carries out."""

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        """One upcall of the engine."""

    def handle_timeout(self, now: float) -> None:
        """What is due at `now`."""

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is next needed, or None."""

    def poll_output(self) -> Command | EffectT_co | None:
        """The next command for the engine or effect for the service; None when there is none."""

    def set_local_endpoints(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        """The addresses of this host that others may reach us at."""
