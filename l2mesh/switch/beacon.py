"""Frames by which bridges find each other on a LAN and teach its switches (section 10.1).

::

     0  6   destination: the group 03-6c-32-6d-67-01
     6  6   source: of a beacon the sender's signed MAC, of a notice the station that it is about
    12  4   802.1Q tag, in VLANs other than 0
    ..  2   ethertype 0x88b6
    ..  6   "l2mesh"
    ..  1   version 1
    ..  1   kind: 1 beacon, 2 notice
    ..  16  random nonce (a notice has zeros)
    ..      zeros, up to 60 bytes in all

The group is locally administered and outside 01-80-C2-00-00-0x, so that bridges forward it; the
ethertype is IEEE 802's Local Experimental Ethertype 2 (IEEE 802-2014 clause 9.2.4), which is why
the six letters follow. Every TAP of ours consumes such a frame, and none crosses the mesh.
"""

from __future__ import annotations

from typing import Final

from l2mesh.switch.ethernet import ETHERTYPE_VLAN, Header

__all__ = ["BEACON_GROUP", "NONCE_BYTES", "emit_beacon", "emit_notice", "is_ours", "parse_beacon"]

BEACON_GROUP: Final = bytes.fromhex("036c326d6701")
ETHERTYPE_BEACON: Final = 0x88B6
NONCE_BYTES: Final = 16

_HEAD: Final = b"l2mesh\x01"
_BEACON: Final = _HEAD + b"\x01"
_NOTICE: Final = _HEAD + b"\x02"
_LEAST_BYTES: Final = 60


def is_ours(destination: bytes, header: Header) -> bool:
    """Whether a frame belongs to this family, sound or not: then it goes nowhere."""
    return header.ethertype == ETHERTYPE_BEACON and destination == BEACON_GROUP


def parse_beacon(frame: bytes, header: Header) -> bytes | None:
    """The nonce of a beacon; None for anything else of the family."""
    payload = frame[header.payload : header.payload + len(_BEACON) + NONCE_BYTES]
    if len(payload) != len(_BEACON) + NONCE_BYTES or not payload.startswith(_BEACON):
        return None
    return payload[len(_BEACON) :]


def emit_beacon(source: bytes, vlan: int, nonce: bytes) -> bytes:
    """The frame that says: a bridge is here."""
    return _frame(source, vlan, _BEACON + nonce)


def emit_notice(station: bytes, vlan: int) -> bytes:
    """The frame that teaches a LAN's switches where `station` is reached from now on."""
    return _frame(station, vlan, _NOTICE + bytes(NONCE_BYTES))


def _frame(source: bytes, vlan: int, payload: bytes) -> bytes:
    tag = ETHERTYPE_VLAN.to_bytes(2, "big") + vlan.to_bytes(2, "big") if vlan else b""
    frame = BEACON_GROUP + source + tag + ETHERTYPE_BEACON.to_bytes(2, "big") + payload
    return frame.ljust(_LEAST_BYTES, b"\0")
