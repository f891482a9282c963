"""Our datagrams as scapy layers (docs/protocol.md, sections 2 to 5).

Field by field what is on the wire: nothing is decrypted, and nothing is refused but what is too
short for its type, which scapy then shows as raw bytes.
"""

from typing import Any, Final

from scapy.fields import (
    BitField,
    ByteEnumField,
    ByteField,
    FlagsField,
    IntField,
    ShortField,
    X3BytesField,
    XBitField,
    XIntField,
    XStrField,
    XStrFixedLenField,
)
from scapy.layers.inet import UDP
from scapy.packet import Packet, Raw, bind_layers

from l2mesh.wire.data import OVERHEAD, TAG, Flag
from l2mesh.wire.datagram import DATA_BIT, DatagramType
from l2mesh.wire.handshake import (
    COOKIE_BYTES,
    INIT_OVERHEAD_BYTES,
    MAC_BYTES,
    NONCE_BYTES,
    RESPONSE_OVERHEAD_BYTES,
    SEALED_COOKIE_BYTES,
    VERSION,
)
from l2mesh.wire.relay import RELAY_HEADER_BYTES

__all__ = ["PORT", "Cookie", "Data", "Datagram", "Init", "Relay", "Response", "bind_port"]

PORT: Final = 9993
"""The UDP port that nodes and planets listen on by default."""
NOISE_E_BYTES: Final = 32
NOISE_S_BYTES: Final = 48
RELAY_ID_BITS: Final = 56

_TYPES: Final = {int(kind): kind.name for kind in DatagramType}
_FLAGS: Final = [flag.name for flag in Flag] + ["0x20", "0x40"]


class BytesUpTo(XStrField):  # type: ignore[misc]
    """Bytes up to `tail` bytes before the end of the datagram, shown in hex."""

    __slots__ = ("tail",)

    def __init__(self, name: str, *, tail: int) -> None:
        super().__init__(name, b"")
        self.tail = tail

    def getfield(self, _packet: Packet, text: bytes) -> tuple[bytes, bytes]:
        """(rest, value), as scapy wants it."""
        end = max(0, len(text) - self.tail)
        return text[end:], text[:end]


def _head(kind: DatagramType) -> list[Any]:
    return [
        ByteEnumField("type", int(kind), _TYPES),
        ByteField("version", VERSION),
        ShortField("zero", 0),
        XIntField("handshake", 0),
    ]


class Datagram(Packet):  # type: ignore[misc]
    """Any of our datagrams: its first byte tells which class it becomes."""

    name = "l2mesh"

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *_: Any, **__: Any) -> type[Packet]:
        """The layer of these bytes, Raw for what nobody answers."""
        layer: type[Packet] = _layer_of(_pkt or b"")
        return layer


class Init(Datagram):
    """Section 3.1."""

    name = "l2mesh INIT"
    fields_desc = (
        *_head(DatagramType.INIT),
        XStrFixedLenField("e", bytes(NOISE_E_BYTES), NOISE_E_BYTES),
        XStrFixedLenField("s", bytes(NOISE_S_BYTES), NOISE_S_BYTES),
        BytesUpTo("payload_sealed", tail=2 * MAC_BYTES),
        XStrFixedLenField("mac1", bytes(MAC_BYTES), MAC_BYTES),
        XStrFixedLenField("mac2", bytes(MAC_BYTES), MAC_BYTES),
    )


class Response(Datagram):
    """Section 3.2."""

    name = "l2mesh RESPONSE"
    fields_desc = (
        *_head(DatagramType.RESPONSE),
        XStrFixedLenField("e", bytes(NOISE_E_BYTES), NOISE_E_BYTES),
        BytesUpTo("payload_sealed", tail=MAC_BYTES),
        XStrFixedLenField("mac1", bytes(MAC_BYTES), MAC_BYTES),
    )


class Cookie(Datagram):
    """Section 3.5."""

    name = "l2mesh COOKIE"
    fields_desc = (
        *_head(DatagramType.COOKIE),
        XStrFixedLenField("nonce", bytes(NONCE_BYTES), NONCE_BYTES),
        XStrFixedLenField("cookie_sealed", bytes(SEALED_COOKIE_BYTES), SEALED_COOKIE_BYTES),
    )


class Relay(Datagram):
    """Section 5; its payload is the datagram that it carries."""

    name = "l2mesh RELAY"
    fields_desc = (
        ByteEnumField("type", int(DatagramType.RELAY), _TYPES),
        XBitField("relay", 0, RELAY_ID_BITS),
    )

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """RELAY in RELAY means nothing to anybody, so it stays raw."""
        layer: type[Packet] = _layer_of(payload)
        if layer is Relay:
            layer = Raw
        return layer


class Data(Datagram):
    """Section 4."""

    name = "l2mesh DATA"
    fields_desc = (
        BitField("data", 1, 1),
        FlagsField("flags", 0, 7, _FLAGS),
        X3BytesField("index", 0),
        IntField("counter", 0),
        BytesUpTo("ciphertext", tail=TAG),
        XStrFixedLenField("tag", bytes(TAG), TAG),
    )


def bind_port(port: int) -> None:
    """Have scapy read UDP datagrams from and to this port as ours."""
    bind_layers(UDP, Datagram, sport=port)
    bind_layers(UDP, Datagram, dport=port)


_LAYERS: Final[dict[int, tuple[type[Datagram], int]]] = {
    DatagramType.INIT: (Init, INIT_OVERHEAD_BYTES),
    DatagramType.RESPONSE: (Response, RESPONSE_OVERHEAD_BYTES),
    DatagramType.COOKIE: (Cookie, COOKIE_BYTES),
    DatagramType.RELAY: (Relay, RELAY_HEADER_BYTES + 1),
}
"""Layer and least length by first byte."""


def _layer_of(datagram: bytes) -> Any:
    if not datagram:
        return Raw
    if datagram[0] & DATA_BIT:
        return Data if len(datagram) >= OVERHEAD else Raw
    layer, shortest = _LAYERS.get(datagram[0], (Raw, 0))
    return layer if len(datagram) >= shortest else Raw


bind_port(PORT)
