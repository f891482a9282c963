"""Datagrams as lines for people."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Final

from scapy.packet import Packet

from l2mesh.wire.control import (
    Ack,
    Chunk,
    Close,
    CloseReason,
    Held,
    Probe,
    ProbeReply,
    Record,
)
from l2mesh.wire.endpoint import format_endpoint
from l2mesh.wire.message import Message
from tools.dissect.capture import Seen
from tools.dissect.inside import Inside
from tools.dissect.layers import Cookie, Data, Init, Relay, Response

__all__ = ["details", "line"]

_NAMES: Final = {Init: "INIT", Response: "RESPONSE", Cookie: "COOKIE"}
_SHOWN_BYTES: Final = 24
"""Longer byte strings are cut in the detailed form."""
_LONGEST_LINE: Final = 120
"""Payload that scapy shows byte by byte is cut, too."""


def line(seen: Seen, start: float) -> str:
    """One datagram on one line: seconds since `start`, from, to, size, message, inside."""
    where = f"{format_endpoint(seen.source)} > {format_endpoint(seen.destination)}"
    text = f"{seen.time - start:11.6f}  {where}  {seen.size:4} B  {_message(seen.layer)}"
    return f"{text}  | {_inside(seen.inside)}" if seen.inside else text


def details(seen: Seen) -> Iterator[str]:
    """The fields of a datagram and of what is inside, indented."""
    layer: Packet | None = seen.layer
    while layer:
        yield f"    {layer.name}: {_layer_fields(layer)}"
        layer = layer.payload if isinstance(layer, Relay) else None
    inside = seen.inside
    if inside is None:
        return
    for part in (*inside.records, *inside.messages):
        yield f"      {_word(part)}: {_part_fields(part)}"
    if inside.piece is not None:
        yield f"      FRAG: {_part_fields(inside.piece)}"
    if inside.frame is not None:
        for text in inside.frame.show(dump=True).rstrip().splitlines():
            yield f"      {text[:_LONGEST_LINE]}"


def _message(layer: Packet) -> str:
    match layer:
        case Relay():
            return f"RELAY {layer.relay:014x}  {_message(layer.payload)}"
        case Data():
            flags = " ".join(str(layer.flags).split("+")) if layer.flags else "frame"
            return f"DATA {flags} index {layer.index:06x} counter {layer.counter}"
        case Init() | Response() | Cookie():
            return f"{_NAMES[type(layer)]} handshake {layer.handshake:08x}"
        case _:
            text = bytes(layer)
            return f"unknown, first byte {text[0]:#04x}" if text else "empty"


def _inside(inside: Inside) -> str:
    if inside.fault:
        return f"cannot be read: {inside.fault}"
    parts = [_record(record) for record in inside.records]
    parts += [_word(message) for message in inside.messages]
    if inside.piece is not None:
        piece = inside.piece
        end = piece.offset + len(piece.data)
        parts.append(f"piece {piece.offset}-{end} of {piece.total}, frame id {piece.frame}")
    if inside.frame is not None:
        parts.append(str(inside.frame.summary()))
    if not inside.network:
        return ", ".join(parts) or "here"
    return f"{inside.network:016x}: {', '.join(parts)}"


def _record(record: Record) -> str:
    match record:
        case Ack():
            return f"ACK next {record.next}"
        case Chunk():
            return f"CHUNK {record.number} of {len(record.data)} B"
        case Probe():
            return f"PROBE {record.nonce:016x}"
        case ProbeReply():
            seen_at = format_endpoint(record.observed) if record.observed else "relayed"
            return f"PROBE_REPLY {record.nonce:016x} observed {seen_at}"
        case Held():
            return f"HELD {record.network:016x} revision {record.revision}"
        case Close():
            reasons = {int(reason): reason.name.lower() for reason in CloseReason}
            return f"CLOSE {reasons.get(record.reason, record.reason)}"


def _word(part: Record | Message) -> str:
    """The name that docs/protocol.md gives a record or verb: `WhoisReply` is WHOIS_REPLY."""
    name = type(part).__name__
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()


def _layer_fields(layer: Packet) -> str:
    names = [each.name for each in layer.fields_desc]
    return " ".join(f"{name}={_shown(layer.getfieldval(name))}" for name in names)


def _part_fields(part: Any) -> str:
    if is_dataclass(part):
        names = [each.name for each in fields(part)]
    else:
        names = list(getattr(part, "__struct_fields__", None) or part._fields)
    return " ".join(f"{name}={_shown(getattr(part, name))}" for name in names)


def _shown(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    return value.hex() if len(value) <= _SHOWN_BYTES else f"{value[:_SHOWN_BYTES].hex()}..."
