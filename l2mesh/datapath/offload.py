"""What the kernel leaves open in a frame: checksums, and super-frames to be cut."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "GSO_NONE",
    "GSO_TCP4",
    "GSO_TCP6",
    "GSO_UDP",
    "Offload",
    "PortOffloads",
]

# Kinds of super-frames: VIRTIO_NET_HDR_GSO_* of include/uapi/linux/virtio_net.h.
GSO_NONE: Final = 0
GSO_TCP4: Final = 1
GSO_TCP6: Final = 4
GSO_UDP: Final = 5


class Offload(NamedTuple):
    """What the kernel says of a frame, or is told: a virtio_net_hdr without its useless hdr_len.

    A super-frame (`gso_type` not GSO_NONE) is one frame with up to 64 KiB behind its headers, to be
    cut into segments of `gso_size` bytes of L4 payload. No `Offload` at all says the same as
    `Offload()`: one frame, checksums complete.
    """

    gso_type: int = GSO_NONE
    """Without the ECN bit; unknown bits stay, and the engine refuses the frame for them."""
    gso_size: int = 0
    csum_start: int = 0
    """Where the L4 header begins, from the start of the frame, tags included."""
    csum_offset: int = 0
    """Of the checksum field, from `csum_start`: 16 in TCP, 6 in UDP."""
    needs_csum: bool = False
    """The checksum field holds the sum of the pseudo header only (folded, not inverted)."""
    ecn: bool = False
    """A TCP super-frame with CWR, which belongs on the first segment only."""


class PortOffloads(NamedTuple):
    """What whoever reads a port understands; without any it gets plain, complete frames."""

    checksum: bool = False
    """`needs_csum`. The others need it."""
    tso: bool = False
    """Super-frames of TCP."""
    uso: bool = False
    """Super-frames of UDP."""
