"""Waiting for the real world, which the system tests alone may do."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class WaitTimeout(TimeoutError):
    """What was waited for did not happen in time."""


def wait_until(
    predicate: Callable[[], T], timeout: float = 10.0, interval: float = 0.02, *, what: str = ""
) -> T:
    """Call `predicate` every `interval` seconds until its result is true, and return that result.

    Raises WaitTimeout after `timeout` seconds; it names `what` and the last result. An exception of
    the predicate is not caught. The predicate is called at least once, and once more at the end.
    """
    deadline = time.monotonic() + timeout
    while True:
        is_last = time.monotonic() >= deadline
        result = predicate()
        if result:
            return result
        if is_last:
            subject = what or getattr(predicate, "__qualname__", repr(predicate))
            raise WaitTimeout(f"waited {timeout:g} s for {subject}; last result: {result!r}")
        time.sleep(interval)
