"""A join token as people paste it."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from l2mesh.errors import ConfigError

__all__ = ["parse_token"]

MIN_TOKEN_BYTES: Final = 16
MAX_TOKEN_BYTES: Final = 32
HEX_CHARACTERS: Final = 2 * MAX_TOKEN_BYTES


def parse_token(text: str) -> bytes:
    """The bytes of a token in base64url without padding, or in hex; ConfigError shows no token."""
    text = text.strip()
    try:
        if len(text) == HEX_CHARACTERS:
            token = bytes.fromhex(text)
        else:
            token = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        token = b""
    if not MIN_TOKEN_BYTES <= len(token) <= MAX_TOKEN_BYTES:
        raise ConfigError(
            "that is no join token",
            hint="copy what `l2mesh-controller token create` shows as `token`, or its join string",
        )
    return token
