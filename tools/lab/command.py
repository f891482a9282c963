"""Runs one program to its end, and says what it said when it fails."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

Argument = str | Path

# Settings of the caller's shell must not reach the programs under test.
_PRIVATE_PREFIX = "L2MESH"
# Where ip, nft and tcpdump are; not on every caller's path.
_ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


class LabError(Exception):
    """The lab could not do what it was asked to."""


class CommandError(LabError):
    """A program failed or took too long.

    `returncode` is None after a time-out and negative (minus the signal) after a signal.
    """

    def __init__(
        self, argv: Sequence[str], returncode: int | None, *, stdout: str, stderr: str
    ) -> None:
        self.argv = list(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        outcome = "timed out" if returncode is None else f"exit status {returncode}"
        said = stderr.strip() or stdout.strip() or "(no output)"
        super().__init__(f"{' '.join(self.argv)}: {outcome}: {said}")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without its `L2MESH*` variables, plus `extra`.

    Its PATH also leads to the administrators' programs.
    """
    own = {key: text for key, text in os.environ.items() if not key.startswith(_PRIVATE_PREFIX)}
    own["PATH"] = f"{own.get('PATH', os.defpath)}:{_ADMIN_PATH}"
    return own | dict(extra or {})


def run(
    argv: Sequence[Argument],
    *,
    timeout: float = 30.0,
    check: bool = True,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `argv` for at most `timeout` seconds and capture its output as text.

    `env` is added to the caller's environment. Raises CommandError on a time-out and, if `check`,
    on a non-zero exit status; a program that does not exist counts as one that failed.
    """
    words = [os.fspath(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            env=environment(env),
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        out, err = _text(late.stdout), _text(late.stderr)
        raise CommandError(words, None, stdout=out, stderr=err) from late
    except FileNotFoundError as missing:
        raise CommandError(words, 127, stdout="", stderr=str(missing)) from missing
    if check and done.returncode != 0:
        raise CommandError(words, done.returncode, stdout=done.stdout, stderr=done.stderr)
    return done


def _text(output: str | bytes | None) -> str:
    # TimeoutExpired carries bytes even where text was asked for.
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""
