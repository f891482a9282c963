"""The key schedule below Noise: one key and salt for every receive index (protocol section 3.6).

The two keys of `split` encrypt nothing themselves. A frame or control record travels under what is
derived here from the key of its direction, the network, the lane and the receiver's index, so that
no two indices ever share a key, a counter or a nonce.
"""

from typing import Final, NamedTuple

from l2mesh.crypto import KEY_BYTES, SALT_BYTES, hmac_blake2s

_LABEL: Final = b"l2mesh data"


class IndexKey(NamedTuple):
    """What seals the DATA of one index, in one direction. The key never shows in a `repr`."""

    key: bytes
    """32 bytes."""
    salt: bytes
    """4 bytes, the front of every nonce."""

    def __repr__(self) -> str:
        return "<IndexKey>"


def derive(direction_key: bytes, network: int, lane: int, index: int) -> IndexKey:
    """The key for DATA towards the announcer of `index`; `direction_key` is `split`'s for that way.

    HKDF-Expand (RFC 5869 section 2.3) over HMAC-BLAKE2s with
    info = "l2mesh data" | network u64 | lane u8 | index u24 and 36 bytes of output. Raises
    OverflowError for a number that does not fit its field.
    """
    info = _LABEL + network.to_bytes(8, "big") + lane.to_bytes(1, "big") + index.to_bytes(3, "big")
    first = hmac_blake2s(direction_key, info + b"\x01")
    second = hmac_blake2s(direction_key, first + info + b"\x02")
    return IndexKey(first[:KEY_BYTES], second[:SALT_BYTES])
