"""Which release this is."""

from __future__ import annotations

__all__ = ["version"]


def version() -> str:
    """As the installed package says; ``unknown`` when run without being installed."""
    from importlib import metadata  # noqa: PLC0415 - brings `email` and `zipfile` along

    try:
        return metadata.version("l2mesh")
    except metadata.PackageNotFoundError:
        return "unknown"
