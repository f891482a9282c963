"""One port's descriptor: a frame a read or write, on most TAPs behind a virtio header."""

import errno
import os
from typing import Final

from l2mesh.datapath.interface import (
    GSO_UDP,
    Deliver,
    Offload,
    PortOffloads,
)
from l2mesh.datapath.reference.superframe.split import parse_superframe, split
from l2mesh.runtime.virtio import HEADER_BYTES, PLAIN, emit_header, parse_header

__all__ = ["PLAIN_BYTES", "Port", "SuperFrameRefused"]

PLAIN_BYTES: Final = 16384
"""Above the largest network MTU (9000) with tags; a longer frame is cut and still is a giant."""
SUPERFRAME_BYTES: Final = HEADER_BYTES + 65536 + 64
"""Above the longest IP packet behind its Ethernet header and tags."""


class SuperFrameRefused(OSError):
    """The kernel took the segments of a super-frame one by one, but not the super-frame."""


class Port:
    """A non-blocking descriptor that somebody else opened and will close."""

    __slots__ = ("fd", "offloads")

    def __init__(self, fd: int, offloads: PortOffloads | None) -> None:
        """`offloads`: what its reader understands; None when there are no virtio headers."""
        self.fd = fd
        self.offloads = offloads

    def read(self) -> tuple[bytes, Offload | None]:
        """The next frame, empty at the end of all frames; BlockingIOError when there is none."""
        if self.offloads is None:
            return os.read(self.fd, PLAIN_BYTES), None
        data = os.read(self.fd, SUPERFRAME_BYTES)
        if len(data) <= HEADER_BYTES:
            return b"", None
        return data[HEADER_BYTES:], parse_header(data)

    def write(self, deliver: Deliver) -> None:
        """Write one frame; OSError says why the kernel does not take it."""
        _, frame, offload = deliver
        if self.offloads is None:
            os.write(self.fd, frame)
        elif offload is None:
            os.writev(self.fd, (PLAIN, frame))
        else:
            self._write_offloaded(frame, offload)

    def _write_offloaded(self, frame: bytes, offload: Offload) -> None:
        try:
            os.writev(self.fd, (emit_header(offload, frame), frame))
        except OSError as error:
            whole = parse_superframe(frame, offload) if error.errno == errno.EINVAL else None
            if whole is None:
                raise
            for segment in split(whole, whole.gso_size, is_open=False):
                os.writev(self.fd, (PLAIN, segment))
            kind = "UDP" if offload.gso_type == GSO_UDP else "TCP"
            raise SuperFrameRefused(errno.EINVAL, f"no super-frames of {kind}") from error
