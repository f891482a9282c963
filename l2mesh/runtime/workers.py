"""How many threads carry frames, and how the scheduler is to treat them."""

import os
from typing import Final

__all__ = [
    "DEFAULT_BUSY_POLL_US",
    "DEFAULT_NICE",
    "MAX_BUSY_POLL_US",
    "MAX_WORKERS",
    "default_workers",
]

MAX_WORKERS: Final = 8
"""More would wait for each other."""
DEFAULT_NICE: Final = -10
"""They do for the host's programs what the kernel does in interrupts for a network card: whoever
has a frame in hand should not wait for the program that the frame before has woken."""
DEFAULT_BUSY_POLL_US: Final = 100
"""To sleep and to be woken takes about as long, in a virtual machine longer."""
MAX_BUSY_POLL_US: Final = 1_000
_DEFAULT_WORKERS: Final = 4


def default_workers() -> int:
    """One for every two processors that we may use, four at most.

    The other half is for those whose frames they are: the kernel and programs of this host.
    """
    return max(1, min(_DEFAULT_WORKERS, len(os.sched_getaffinity(0)) // 2))
