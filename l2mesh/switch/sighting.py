"""Proofs that two bridges heard each other on a LAN (section 10.1).

A beacon's nonce goes over the LAN in the clear and lives for 3 s. Who heard it proves so to its
sender by a tag, and the sender proves by another that it was his. Both are bound to the two who
talk, inside their session; so neither a host on the LAN nor a member that is not on it has anything
to forge or to pass on.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import Final

__all__ = ["NONCE_S", "Nonces", "asked_tag", "confirmed_tag"]

NONCE_S: Final = 3.0
"""How long a sighting of a beacon counts."""
MAX_NONCES: Final = 8
TAG_BYTES: Final = 16


def asked_tag(nonce: bytes, network: int, vlan: int, asker: bytes) -> bytes:
    """What `asker` shows to the sender of a beacon that it heard."""
    text = b"l2mesh sighted" + network.to_bytes(8, "big") + vlan.to_bytes(2, "big") + asker
    return blake2b(text, key=nonce, digest_size=TAG_BYTES).digest()


def confirmed_tag(nonce: bytes, network: int, vlan: int, asker: bytes, sender: bytes) -> bytes:
    """What the `sender` of a beacon shows to who heard it."""
    text = b"l2mesh confirmed" + network.to_bytes(8, "big") + vlan.to_bytes(2, "big")
    return blake2b(text + asker + sender, key=nonce, digest_size=TAG_BYTES).digest()


class Nonces:
    """The newest nonces in one VLAN, at most 8, each for 3 s."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: deque[tuple[bytes, float]] = deque(maxlen=MAX_NONCES)

    def add(self, nonce: bytes, now: float) -> None:
        """One more; the oldest goes when there are too many."""
        self._held.append((nonce, now + NONCE_S))

    def live(self, now: float) -> list[bytes]:
        """Those that still count, the newest first."""
        return [nonce for nonce, until in reversed(self._held) if now < until]

    def remove(self, nonce: bytes) -> None:
        """One counts no more."""
        self._held = deque((one for one in self._held if one[0] != nonce), maxlen=MAX_NONCES)
