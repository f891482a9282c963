"""Closes labs on every way out of the program: an exception, Ctrl-C, SIGTERM, SIGHUP, the end.

While a lab is open, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, unless the
program handles them itself. That unwinds `with` blocks and ends a pytest run in good order, where
SystemExit would merely fail one test. What even then stays open is closed at exit; only SIGKILL
leaves anything, and the next lab sweeps that up.
"""

import atexit
import signal
import threading
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)

_open: list[Callable[[], None]] = []
_replaced: list[signal.Signals] = []


def register(close: Callable[[], None]) -> None:
    """Have `close`, which must be idempotent and resumable, called on the way out."""
    if not _open:
        _catch_signals()
    _open.append(close)


def unregister(close: Callable[[], None]) -> None:
    """Take back `register`, at the end of `close` itself; nothing if it is not registered."""
    if close in _open:
        _open.remove(close)
    if not _open:
        _restore_signals()


def _catch_signals() -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # Python sets handlers in the main thread only; atexit still holds.
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)
            _replaced.append(number)


def _restore_signals() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    while _replaced:
        number = _replaced.pop()
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


@atexit.register
def _close_all() -> None:
    for close in reversed(list(_open)):
        close()
