"""GROUP: a broadcast that others carry on (section 4.1), as the plaintext of DATA flagged GROUP.

     0  u32  assignment: whom the receiver is to hand it to; 0 = nobody
     4  32   source: fingerprint of the member that made it
    36  u64  generation: rises each time that the source starts
    44  u32  counter: of the source, in this generation
    48  64   Ed25519 signature of the source, over type `frame` (section 9.1) and
             generation | counter | frame
   112  ...  one Ethernet frame to a group address, complete

Whoever carries it on changes nothing but the first four bytes.
"""

from struct import Struct
from typing import Final, NamedTuple

from l2mesh.errors import MalformedPacket
from l2mesh.identity import signature_input

__all__ = [
    "GROUP_HEAD_BYTES",
    "MAX_GROUP_FRAME",
    "Group",
    "decode_group",
    "encode_group",
    "readdress",
    "signed_text",
]

_HEAD: Final = Struct(">I32sQI64s")
_SIGNED: Final = Struct(">QI")
_ASSIGNMENT: Final = Struct(">I")
GROUP_HEAD_BYTES: Final = _HEAD.size
_ETHERNET_BYTES: Final = 14
MAX_GROUP_FRAME: Final = 65_535 - GROUP_HEAD_BYTES
"""What FRAG can cut."""


class Group(NamedTuple):
    """One broadcast on its way."""

    assignment: int
    source: bytes
    generation: int
    counter: int
    signature: bytes
    frame: bytes


def signed_text(network: int, generation: int, counter: int, frame: bytes) -> bytes:
    """What the source signs."""
    return signature_input("frame", network, _SIGNED.pack(generation, counter) + frame)


def encode_group(group: Group) -> bytes:
    """The plaintext; its numbers are the engine's own and fit."""
    return _HEAD.pack(*group[:5]) + group.frame


def readdress(text: bytes, assignment: int) -> bytes:
    """The same broadcast under another assignment."""
    return _ASSIGNMENT.pack(assignment) + text[_ASSIGNMENT.size :]


def decode_group(text: bytes) -> Group:
    """Undoes `encode_group`.

    MalformedPacket when no frame is inside, or one to a single station: those go straight there.
    """
    if len(text) < GROUP_HEAD_BYTES + _ETHERNET_BYTES:
        raise MalformedPacket(f"{len(text)} bytes are too few for GROUP")
    frame = text[GROUP_HEAD_BYTES:]
    if not frame[0] & 1:
        raise MalformedPacket("a frame for one station is not replicated")
    assignment, source, generation, counter, signature = _HEAD.unpack_from(text)
    return Group(assignment, source, generation, counter, signature, frame)
