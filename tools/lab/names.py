"""Names that say which process made a thing, and the removal of what dead processes left.

A namespace is called `l2lab-PID-START-RUN-LABEL`. PID and START (the process's start time in clock
ticks after boot) name the owner for good, since a PID alone is given out again; RUN counts the labs
of that process. So parallel runs, and the workers of one parallel test run, never meet. The lab's
temporary directory bears the same prefix.
"""

import itertools
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

from tools.lab.command import CommandError, LabError, run

PREFIX = "l2lab"
INTERFACE_NAME_MAX = 15  # IFNAMSIZ - 1, linux/if.h

_OWNED = re.compile(rf"{PREFIX}-(?P<pid>\d+)-(?P<start>\d+)-\d+-")
_LABEL = re.compile(r"[a-z][a-z0-9-]{0,31}")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

_labs = itertools.count(1)
_links = itertools.count(1)


class Names:
    """The names of one lab, owned by the calling process."""

    def __init__(self) -> None:
        pid = os.getpid()
        self.prefix = f"{PREFIX}-{pid}-{_start_time(pid)}-{next(_labs)}-"
        self._taken: set[str] = set()

    def namespace(self, label: str) -> str:
        """The namespace for `label`; raises LabError if it is malformed or taken in this lab."""
        if not _LABEL.fullmatch(label):
            raise LabError(f"{label!r}: a label is 1 to 32 of a-z, 0-9 and '-', a letter first")
        if label in self._taken:
            raise LabError(f"{label!r} is already in this lab")
        self._taken.add(label)
        return self.prefix + label

    def link(self) -> str:
        """A fresh interface name of at most 15 characters, such as `lab2s3x1f`."""
        return f"lab{_base36(os.getpid())}x{_base36(next(_links))}"


def namespaces(prefix: str = f"{PREFIX}-") -> list[str]:
    """The existing namespaces whose names start with `prefix`."""
    listed = run(["ip", "netns", "list"]).stdout.splitlines()
    # Each line is a name, followed by "(id: N)" once the kernel has given the namespace a number.
    names = (line.split()[0] for line in listed if line.strip())
    return sorted(name for name in names if name.startswith(prefix))


def remove_namespace(name: str) -> None:
    """End whatever still runs in the namespace and delete it; nothing if there is none.

    Raises CommandError if it exists and cannot be deleted.
    """
    if name not in namespaces(name):
        return
    _kill_inside(name)
    try:
        run(["ip", "netns", "del", name])
    except CommandError:
        # Another process's sweep may have been faster.
        if name in namespaces(name):
            raise


def sweep() -> list[str]:
    """Remove what labs of dead processes left behind, and name it.

    Only namespaces and temporary directories with our prefix, this user's in the latter case, whose
    owner no longer runs; the programs left running in such a namespace are killed with it.
    """
    dead = [name for name in namespaces() if _is_orphan(name)]
    for name in dead:
        remove_namespace(name)
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}-*"):
        if _is_orphan(path.name) and _is_own_directory(path):
            shutil.rmtree(path, ignore_errors=True)
            dead.append(str(path))
    return dead


def _is_own_directory(path: Path) -> bool:
    return not path.is_symlink() and path.is_dir() and path.stat().st_uid == os.geteuid()


def _is_orphan(name: str) -> bool:
    match = _OWNED.match(name)
    return match is not None and _start_time(int(match["pid"])) != int(match["start"])


def _start_time(pid: int) -> int | None:
    """When the process started, in clock ticks after boot; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the program's name, is in brackets and may hold blanks (proc(5), field 22).
    return int(text.rpartition(")")[2].split()[19])


def _kill_inside(name: str) -> None:
    """SIGKILL every process whose network namespace is `name`, which a lab made."""
    home = os.stat(f"/run/netns/{name}")
    own = os.stat("/proc/self/ns/net")
    if (home.st_dev, home.st_ino) == (own.st_dev, own.st_ino):
        raise LabError(f"{name} is the namespace of this very process")
    for pid in run(["ip", "netns", "pids", name]).stdout.split():
        try:
            handle = os.pidfd_open(int(pid))
        except ProcessLookupError:
            continue
        try:
            # With the handle open the PID cannot pass to another process between look and signal.
            inside = os.stat(f"/proc/{pid}/ns/net")
            if (inside.st_dev, inside.st_ino) == (home.st_dev, home.st_ino):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass
        finally:
            os.close(handle)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
