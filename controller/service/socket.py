"""Where the admin CLI finds a running controller."""

from typing import Final

__all__ = ["SOCKET"]

SOCKET: Final = "controller.sock"
"""In the state directory."""
