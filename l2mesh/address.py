"""Addresses, network IDs, fingerprints and MACs: values, and the text that people see.

| what | value | text | section |
|---|---|---|---|
| address | 5 bytes, not all zero, not beginning with 0xff | 10 hex digits | 1 |
| network ID | u64: controller's address, 40 bits, over a number 1..2^24-1 | 16 hex digits | 1 |
| fingerprint | 32 bytes | 52 characters of base32 | 1 |
| MAC | 6 bytes | six pairs of hex digits, with colons | IEEE 802 |

Text is written in lower case and read in either. What a `parse_` function cannot read raises
ConfigError, whose message shows what was given and whose `hint` gives an example. Nothing here
proves who somebody is: an address is a hint, and only a fingerprint names one identity.
"""

import base64
from hashlib import blake2b
from typing import Final

from l2mesh.errors import ConfigError

__all__ = [
    "ADDRESS_BYTES",
    "FINGERPRINT_BYTES",
    "MAC_BYTES",
    "MAX_NETWORK_NUMBER",
    "controller_address",
    "derive_mac",
    "format_address",
    "format_fingerprint",
    "format_mac",
    "format_network_id",
    "is_address",
    "is_network_id",
    "network_id",
    "parse_address",
    "parse_fingerprint",
    "parse_mac",
    "parse_network_id",
    "shorten",
]

ADDRESS_BYTES: Final = 5
FINGERPRINT_BYTES: Final = 32
MAC_BYTES: Final = 6
NETWORK_ID_BYTES: Final = 8
FINGERPRINT_CHARACTERS: Final = 52
MAX_NETWORK_NUMBER: Final = 2**24 - 1
MAX_SALT: Final = 255
SHORT_LETTERS: Final = 12

_HEX: Final = frozenset("0123456789abcdef")
_SHOWN_MAX: Final = 80  # of a text that we refuse


def is_address(value: bytes) -> bool:
    """Whether five bytes may be the address of a node (section 1)."""
    return len(value) == ADDRESS_BYTES and any(value) and value[0] != 0xFF  # noqa: PLR2004


def parse_address(text: str) -> bytes:
    """The 5 bytes of an address."""
    value = _parse_hex(text, ADDRESS_BYTES, "address", "89e92ceee5")
    if not is_address(value):
        raise _refused(text, "address", "no address is all zero or begins with ff", "89e92ceee5")
    return value


def format_address(address: bytes) -> str:
    return address.hex()


def is_network_id(network: int) -> bool:
    """Whether the number names a network, which 0 (control traffic) does not."""
    return 0 < network < 2**64 and bool(network & MAX_NETWORK_NUMBER) and _has_controller(network)


def _has_controller(network: int) -> bool:
    return is_address((network >> 24).to_bytes(ADDRESS_BYTES, "big"))


def network_id(address: bytes, number: int) -> int:
    """The ID of a controller's network `number` (1 to 2^24-1); ConfigError for another one."""
    if not 1 <= number <= MAX_NETWORK_NUMBER:
        raise ConfigError(
            f"network number {number} is not in 1..{MAX_NETWORK_NUMBER}",
            hint="give six hex digits from 000001 to ffffff",
        )
    if not is_address(address):
        raise ConfigError(f"{address.hex()!r} is not the address of a controller")
    return int.from_bytes(address, "big") << 24 | number


def controller_address(network: int) -> bytes:
    """The 5-byte address of the controller that a network ID begins with."""
    return (network >> 24).to_bytes(ADDRESS_BYTES, "big")


def parse_network_id(text: str) -> int:
    """The u64 of a network ID, never one that `is_network_id` refuses."""
    example = "89e92ceee5000001"
    network = int.from_bytes(_parse_hex(text, NETWORK_ID_BYTES, "network ID", example), "big")
    if not network & MAX_NETWORK_NUMBER:
        raise _refused(text, "network ID", "number 000000 is not a network", example)
    if not _has_controller(network):
        raise _refused(text, "network ID", "it begins with no controller's address", example)
    return network


def format_network_id(network: int) -> str:
    return f"{network:016x}"


def parse_fingerprint(text: str) -> bytes:
    """The 32 bytes of a fingerprint."""
    example = "take all 52 characters from `l2mesh-controller` or `l2mesh status` of the other side"
    if len(text) != FINGERPRINT_CHARACTERS:
        raise _refused(text, "fingerprint", f"it has {len(text)} characters, not 52", hint=example)
    try:
        value = base64.b32decode(text.upper() + "====")
    except ValueError:
        reason = "only a to z and 2 to 7 occur in one"
        raise _refused(text, "fingerprint", reason, hint=example) from None
    if format_fingerprint(value) != text.lower():
        raise _refused(text, "fingerprint", "its last character is wrong", hint=example)
    return value


def format_fingerprint(fingerprint: bytes) -> str:
    return base64.b32encode(fingerprint).decode("ascii").rstrip("=").lower()


def shorten(fingerprint: bytes) -> str:
    """The beginning of its text, for logs: enough to find it in ``member list`` or ``peers``."""
    return format_fingerprint(fingerprint)[:SHORT_LETTERS]


def parse_mac(text: str) -> bytes:
    """The 6 bytes of a MAC; colons or hyphens between its pairs."""
    example = "02:4c:32:00:00:01"
    pairs = text.replace("-", ":").split(":")
    is_hex = _HEX.issuperset("".join(pairs).lower())
    if len(pairs) != MAC_BYTES or {len(pair) for pair in pairs} != {2} or not is_hex:
        raise _refused(text, "MAC", "it is not six pairs of hex digits", example)
    return bytes.fromhex("".join(pairs))


def format_mac(mac: bytes) -> str:
    return mac.hex(":")


def derive_mac(network: int, address: bytes, salt: int) -> bytes:
    """The MAC that a member has at first (section 1); `salt` 0..255 counts up on a clash."""
    if not 0 <= salt <= MAX_SALT:
        raise ConfigError(f"salt {salt} is not in 0..{MAX_SALT}")
    text = b"l2mesh mac" + network.to_bytes(8, "big") + address + bytes([salt])
    first, *others = blake2b(text, digest_size=MAC_BYTES).digest()
    return bytes([first & 0xFC | 0x02, *others])


def _parse_hex(text: str, size: int, what: str, example: str) -> bytes:
    digits = text.lower()
    if len(digits) != 2 * size:
        reason = f"it has {len(text)} characters, not {2 * size}"
        raise _refused(text, what, reason, example)
    if not _HEX.issuperset(digits):
        raise _refused(text, what, "only 0 to 9 and a to f occur in one", example)
    return bytes.fromhex(digits)


def _refused(
    text: str, what: str, reason: str, example: str = "", *, hint: str = ""
) -> ConfigError:
    article = "an" if what == "address" else "a"
    return ConfigError(
        f"{text[:_SHOWN_MAX]!r} is not {article} {what}: {reason}",
        hint=hint or f"{article} {what} looks like {example}",
    )
