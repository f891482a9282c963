"""A program running in the background, with its output in a file.

Signals go to the one process started here, by its PID. `ip netns exec` replaces itself by the
program, so that PID is the program's own.
"""

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.lab.command import Argument, LabError, environment
from tools.lab.wait import WaitTimeout, wait_until

STOP_GRACE_S = 5.0
_TAIL_LINES = 25


class Process:
    """A started program; `name` is for messages, `log_path` holds its stdout and stderr."""

    def __init__(
        self,
        argv: Sequence[Argument],
        *,
        name: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start `argv` with `env` added to the environment, in a session of its own.

        The session keeps a Ctrl-C on the terminal away from the program: the lab stops it in its
        turn. Raises OSError if the program does not exist.
        """
        self.name = name
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                [os.fspath(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(env),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The PID of the program itself."""
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit status, minus the signal if one ended it, None while it runs."""
        return self._popen.poll()

    def wait(self, timeout: float = 10.0) -> int:
        """Wait for its end, at most `timeout` seconds, and return the exit status.

        Raises WaitTimeout if it still runs then.
        """
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired as late:
            raise WaitTimeout(
                f"{self.name} still runs after {timeout:g} s\n{self.tail()}"
            ) from late

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP; nothing if it has ended."""
        self._popen.send_signal(number)

    def stop(self, grace: float = STOP_GRACE_S) -> int:
        """SIGTERM, then SIGKILL after `grace` seconds; the exit status, -9 if it came to that."""
        self.send_signal(signal.SIGTERM)
        try:
            return self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL, and wait for the end; returns the exit status."""
        self._popen.kill()
        return self._popen.wait()

    def log(self) -> str:
        """All it has written to stdout and stderr so far."""
        return self.log_path.read_text(errors="replace")

    def tail(self) -> str:
        """The last lines of the log under a heading, for a failure's message."""
        lines = self.log().splitlines()[-_TAIL_LINES:]
        state = "running" if self.is_running else f"exit status {self.returncode}"
        return "\n".join([f"--- {self.name} ({state}), end of log:", *lines])

    def wait_for_log(self, pattern: str, timeout: float = 10.0) -> re.Match[str]:
        """Wait until the log matches the regular expression (`^`, `$` are line ends).

        Raises WaitTimeout after `timeout` seconds, and LabError as soon as the program has ended
        without writing it.
        """
        expression = re.compile(pattern, re.MULTILINE)

        def search() -> re.Match[str] | None:
            was_running = self.is_running
            match = expression.search(self.log())
            if match is None and not was_running:
                raise LabError(f"ended without logging {pattern!r}\n{self.tail()}")
            return match

        try:
            match = wait_until(search, timeout)
        except WaitTimeout:
            message = f"waited {timeout:g} s for {pattern!r}\n{self.tail()}"
            raise WaitTimeout(message) from None
        assert match is not None
        return match


def stop_all(processes: Sequence[Process]) -> None:
    """Stop all at once: SIGTERM to each, newest first, one common grace period, then SIGKILL."""
    running = [process for process in reversed(processes) if process.is_running]
    for process in running:
        process.send_signal(signal.SIGTERM)
    try:
        wait_until(lambda: not any(process.is_running for process in running), STOP_GRACE_S)
    except WaitTimeout:
        for process in running:
            process.kill()
