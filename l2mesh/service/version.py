"""Which release this is."""

from __future__ import annotations

from importlib import metadata

__all__ = ["version"]


def version() -> str:
    """As the installed package says; ``unknown`` when run without being installed."""
    try:
        return metadata.version("l2mesh")
    except metadata.PackageNotFoundError:
        return "unknown"
