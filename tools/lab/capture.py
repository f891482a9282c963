"""What went over a wire: tcpdump from a clean start to a clean end."""

import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.lab.command import LabError
from tools.lab.host import Host
from tools.lab.process import Process
from tools.lab.wait import wait_until

_KERNEL_BUFFER_KIB = 32_768
_QUIET_S = 0.1

# draft-ietf-opsawg-pcap, the classic format in host order: magic, version, ..., snaplen, link type
_FILE_HEADER = struct.Struct("=IHHiIII")
_MAGIC_MICROSECONDS = 0xA1B2C3D4
# seconds, microseconds, captured length, original length
_RECORD_HEADER = struct.Struct("=IIII")


class Capture:
    """The frames seen on one interface of a host while the `with` block runs.

    `interface` may be `any`; a switch shows all its traffic at `switch.host`, `switch.bridge`.
    `condition` is a tcpdump expression. The pcap file is at `path`.
    """

    def __init__(self, host: Host, interface: str = "any", condition: str = "") -> None:
        """Start tcpdump and wait until it listens; raises LabError or WaitTimeout if not."""
        options = ["-i", interface, "-n", "-U", "--immediate-mode", "-B", str(_KERNEL_BUFFER_KIB)]
        # It would give up root, and with it the right to write into the lab's directory.
        options += ["-Z", "root"]
        self.path = host.directory / f"{host.name}.{interface}.{time.monotonic_ns()}.pcap"
        self._process: Process = host.start(
            ["tcpdump", *options, "-w", self.path, *([condition] if condition else [])]
        )
        self._process.wait_for_log(r"listening on ")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self._process.stop()

    def stop(self) -> None:
        """Wait until 0.1 s pass without a new frame (10 s at most), then end tcpdump. Idempotent.

        Raises LabError if the kernel dropped frames, since then nothing can be said about what is
        not in the file.
        """
        if self._process.is_running:
            self._settle()
        self._process.stop()
        dropped = re.search(r"^(\d+) packets? dropped by kernel", self._process.log(), re.MULTILINE)
        if dropped is None or int(dropped[1]):
            raise LabError(f"the capture is not complete\n{self._process.tail()}")

    def frames(self) -> Iterator[tuple[float, bytes]]:
        """The frames so far, in order: time (seconds since 1970) and bytes.

        On `any` a frame starts with the cooked header (LINUX_SLL2), else with the Ethernet one.
        """
        return read_pcap(self.path)

    def contains(self, marker: bytes) -> bool:
        """Whether the bytes stand within one of the frames so far."""
        return any(marker in frame for _, frame in self.frames())

    def _settle(self) -> None:
        size, since = -1, time.monotonic()

        def is_quiet() -> bool:
            nonlocal size, since
            now_size = self.path.stat().st_size
            if now_size != size:
                size, since = now_size, time.monotonic()
            return time.monotonic() - since >= _QUIET_S

        wait_until(is_quiet, what=f"silence on {self.path.name}")


def read_pcap(path: Path) -> Iterator[tuple[float, bytes]]:
    """The frames of a pcap file that this machine wrote; a last one cut short is left out.

    Raises LabError if it is no such file.
    """
    with path.open("rb") as file:
        header = file.read(_FILE_HEADER.size)
        if len(header) < _FILE_HEADER.size or _FILE_HEADER.unpack(header)[0] != _MAGIC_MICROSECONDS:
            raise LabError(f"{path}: no pcap file")
        while len(record := file.read(_RECORD_HEADER.size)) == _RECORD_HEADER.size:
            seconds, microseconds, length, _ = _RECORD_HEADER.unpack(record)
            frame = file.read(length)
            if len(frame) < length:
                return
            yield seconds + microseconds / 1e6, frame
