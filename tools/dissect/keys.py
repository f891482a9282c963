"""Key logs: what opens the DATA in a capture (written by `l2mesh.runtime.keylog`).

Each line is one JSON object: `index` (u24), `network` (16 hex digits), `cipher` (name), `key`,
`salt` and `elided` (hex, `elided` empty or 12 bytes). Lines of other kinds are skipped, and so is a
last line cut short. Logs of several nodes can be read into one ring: two receivers may use the same
index, so a number may have several keys, and the tag tells which is right.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from l2mesh.crypto import Cipher, Crypto, SodiumCrypto, Transport
from l2mesh.errors import ConfigError, CryptoError
from l2mesh.wire.data import HEADER_BYTES, decode_header

__all__ = ["IndexKey", "KeyRing", "Opened"]


@dataclass(frozen=True, slots=True)
class IndexKey:
    """What opens the DATA of one index in one direction."""

    network: int
    """0 is control."""
    elided: bytes
    """Destination and source MAC of ELIDED frames, b"" if the log does not say."""
    transport: Transport = field(repr=False)
    """Opens datagrams."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The inside of one DATA datagram."""

    key: IndexKey
    """The key that opened it."""
    flags: int
    """Of the header, without the DATA bit."""
    index: int
    """The receiver's number."""
    text: bytes = field(repr=False)
    """The plaintext."""


class KeyRing:
    """Keys by index, newest first."""

    def __init__(self, paths: Iterable[Path] = (), *, crypto: Crypto | None = None) -> None:
        """Read the logs; ConfigError for a file that cannot be read or is no key log."""
        self._crypto = crypto or SodiumCrypto()
        self._keys: defaultdict[int, list[IndexKey]] = defaultdict(list)
        self._known: set[tuple[int, bytes]] = set()
        for path in paths:
            try:
                self.read(path.read_text())
            except (OSError, ValueError, KeyError, TypeError, CryptoError) as error:
                raise ConfigError(f"{path} is no key log that can be read: {error}") from error

    def __len__(self) -> int:
        return len(self._known)

    def read(self, text: str) -> None:
        """Add the keys in the text of a log."""
        for line in text.splitlines(keepends=True):
            if line.endswith("\n") and line.strip():
                self._add(json.loads(line))

    def open(self, datagram: bytes) -> Opened | None:
        """The inside of a DATA datagram, None when no key here opens it."""
        flags, index, counter = decode_header(datagram)
        aad, sealed = datagram[:HEADER_BYTES], datagram[HEADER_BYTES:]
        for key in self._keys.get(index, ()):
            try:
                text = key.transport.open(counter, aad, sealed)
            except CryptoError:
                continue
            return Opened(key, flags, index, text)
        return None

    def _add(self, entry: dict[str, str | int]) -> None:
        if "key" not in entry:
            return
        index, secret = int(entry["index"]), bytes.fromhex(str(entry["key"]))
        elided = bytes.fromhex(str(entry.get("elided", "")))
        if (index, secret) in self._known and not elided:
            return
        self._known.add((index, secret))
        transport = self._crypto.transport(
            Cipher[str(entry["cipher"])], secret, bytes.fromhex(str(entry["salt"]))
        )
        key = IndexKey(int(str(entry["network"]), 16), elided, transport)
        self._keys[index].insert(0, key)
