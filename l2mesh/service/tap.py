"""TAP devices: one a network, made by python-pytun, gone when its descriptors are closed.

A descriptor comes neither close-on-exec nor non-blocking, so both are set before anything else
happens. A `Tap` is their only owner; the driver reads and writes them but never closes one.

With several workers a device has a queue for each. The kernel puts a frame into the queue that a
hash of its flow names; but it would also note by which queue frames of a flow were *written*, and
from then on put what goes the other way there: all flows with one peer would end up with one
worker, and change over while frames of theirs still wait elsewhere. What is written by a detached
queue it does not note (`tun_get_user` of the kernel's drivers/net/tun.c), so there is one more,
which all workers write to and nobody reads. It was attached first: its number is that of a queue.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from typing import Any, Final

import pytun

from l2mesh.datapath.interface import PortOffloads
from l2mesh.errors import ConfigError
from l2mesh.runtime.offloads import Offloads

__all__ = ["Tap", "check_name", "default_names", "open_tap"]

PREFIX: Final = "l2m"
NAME_BYTES: Final = 15
"""IFNAMSIZ without its zero byte."""
_HEAD, _TAIL = 6, 6

# Numbers of include/uapi/linux/if_tun.h.
IFF_MULTI_QUEUE: Final = 0x0100
IFF_DETACH_QUEUE: Final = 0x0400
IFF_VNET_HDR: Final = 0x4000
TUNSETQUEUE: Final = 0x400454D9
TUNSETOFFLOAD: Final = 0x400454D0
TUN_F_CSUM: Final = 0x01
TUN_F_TSO4: Final = 0x02
TUN_F_TSO6: Final = 0x04
TUN_F_TSO_ECN: Final = 0x08
TUN_F_USO: Final = 0x20 | 0x40
"""IPv4 and IPv6: the kernel takes both or refuses."""
_WINDOWS: Final = 5


def default_names(network: int) -> Iterator[str]:
    """Names for a network's device, the best first: ``l2m`` and twelve digits of the ID.

    The last six digits tell a controller's networks apart, the six before them the controllers;
    other windows of the ID serve when a name is taken.
    """
    digits = f"{network:016x}"
    for start in range(_WINDOWS):
        yield PREFIX + digits[start : start + _HEAD] + digits[-_TAIL:]


def check_name(name: str) -> None:
    """ConfigError unless `name` can name an interface (rules: dev_valid_name of the kernel)."""
    size = len(name.encode())
    bad = any(char.isspace() or char in "/:" or not char.isprintable() for char in name)
    if not 0 < size <= NAME_BYTES or bad or name in {".", ".."} or "%" in name:
        raise ConfigError(
            f"{name!r} is no name of an interface",
            hint=f"take 1 to {NAME_BYTES} letters and digits, such as l2m0",
        )


class Tap:
    """One TAP device, down and without addresses when made."""

    offloads: PortOffloads
    """What the kernel understands. Before each frame stands a virtio header."""

    queues: tuple[int, ...]
    """The descriptors to read, one for each worker; none: what `fileno` names is read, too."""

    def __init__(self, name: str, offloads: Offloads | None = None, queues: int = 1) -> None:
        """Makes the device; ConfigError when the name is taken or we may not.

        It has of `offloads` (default: all) what the kernel knows; the rest is left out in there.
        """
        check_name(name)
        self.name: str = name
        self._devices: list[Any] = []
        try:
            if queues == 1:
                self._open(pytun.IFF_TUN_EXCL)
            else:
                self._open_queues(queues)
        except OSError as error:  # pytun.Error is one
            self.close()
            raise _cannot_make(name, error) from error
        numbers = [device.fileno() for device in self._devices]
        self.queues = tuple(numbers[1:])
        self.offloads = _negotiate(numbers[0], offloads or Offloads())

    def fileno(self) -> int:
        """The descriptor: a virtio header and one frame, without FCS, a read or write."""
        number: int = self._devices[0].fileno()
        return number

    def close(self) -> None:
        """Takes the device away; may be called twice. The driver has let go of it before."""
        while self._devices:
            self._devices.pop().close()

    def _open(self, flags: int) -> int:
        """Opens a descriptor of the device."""
        flags |= pytun.IFF_TAP | pytun.IFF_NO_PI | IFF_VNET_HDR
        device = pytun.TunTapDevice(name=self.name, flags=flags)
        self._devices.append(device)
        number: int = device.fileno()
        os.set_inheritable(number, False)
        os.set_blocking(number, False)
        return number

    def _open_queues(self, count: int) -> None:
        """Opens the one to write to, detached, and those to read."""
        writer = self._open(pytun.IFF_TUN_EXCL | IFF_MULTI_QUEUE)
        fcntl.ioctl(writer, TUNSETQUEUE, struct.pack("16xH22x", IFF_DETACH_QUEUE))
        for _ in range(count):
            self._open(IFF_MULTI_QUEUE)


def open_tap(network: int, name: str | None, offloads: Offloads, queues: int = 1) -> Tap:
    """A network's TAP by the wanted name, or by the first default one that is free."""
    if name is not None:
        return Tap(name, offloads, queues)
    first: ConfigError | None = None
    for candidate in default_names(network):
        try:
            return Tap(candidate, offloads, queues)
        except ConfigError as error:
            first = first or error
    assert first is not None
    raise first


def _negotiate(fd: int, offloads: Offloads) -> PortOffloads:
    """Asks the kernel for as many of the offloads as it knows: those of UDP came with 6.2."""
    for lacked in (None, "tap_uso", "tap_tso", "tap_csum"):
        if lacked is not None:
            offloads.leave_out(lacked, "the kernel's TAP does not know it")
        try:
            fcntl.ioctl(fd, TUNSETOFFLOAD, _bits(offloads))
        except OSError:
            continue
        break
    checksum = offloads.has("tap_csum")
    return PortOffloads(checksum, tso=offloads.tap_tso, uso=offloads.tap_uso)


def _bits(offloads: Offloads) -> int:
    """What the kernel may hand us. All of it needs the open checksum."""
    if not offloads.has("tap_csum"):
        return 0
    tso = TUN_F_TSO4 * offloads.has("tap_tso4") | TUN_F_TSO6 * offloads.has("tap_tso6")
    return TUN_F_CSUM | tso | TUN_F_TSO_ECN * (tso > 0) | TUN_F_USO * offloads.tap_uso


def _cannot_make(name: str, error: OSError) -> ConfigError:
    if error.errno in {errno.EBUSY, errno.EINVAL, errno.EEXIST}:
        return ConfigError(
            f"an interface called {name} exists already",
            hint="choose another with `l2mesh join ID --device NAME`",
        )
    hints = {
        errno.EPERM: "the daemon needs CAP_NET_ADMIN: start it as root or by its systemd unit",
        errno.EACCES: "the daemon needs to open /dev/net/tun",
        errno.ENOENT: "load the kernel module: modprobe tun",
        errno.ENODEV: "load the kernel module: modprobe tun",
    }
    return ConfigError(
        f"cannot make the interface {name}: {error.strerror}", hint=hints.get(error.errno or 0, "")
    )
