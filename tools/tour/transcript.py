"""What the tour says: numbered steps for people, the same facts as JSON for programs."""

import json
import re
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

__all__ = ["NotSeen", "Transcript"]

_BOLD, _GREEN, _RED, _DIM, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
_WIDTH: Final = 100
_TOKEN: Final = re.compile(r"(l2mesh:[\w-]{24})[\w-]+")
"""Join strings are long; their beginning is enough to recognise one."""


class NotSeen(Exception):
    """A step's result is not what it must be; the message says what was seen instead."""


@dataclass
class Step:
    """One step, for the summary."""

    title: str
    """What is done."""
    begun: float
    """Monotonic seconds."""
    seconds: float = 0.0
    """How long it took."""
    ok: bool = False
    """Whether all of it was observed."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What was measured or handed out."""


class Transcript:
    """Prints while it happens, and remembers."""

    def __init__(self, out: TextIO, *, directory: str, verbose: bool) -> None:
        """`directory` is shown as `$LAB`; `verbose` shows output that steps leave out."""
        self.verbose = verbose
        self._out = out
        self._directory = directory
        self._is_coloured = out.isatty()
        self._begun = time.monotonic()
        self._steps: list[Step] = []

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._begun

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A numbered step: ok if its block ends, failed if it raises."""
        step = Step(title, time.monotonic())
        self._steps.append(step)
        self._print(f"\n{self._paint(_BOLD, f'{len(self._steps):2}  {title}')}")
        try:
            yield
            step.ok = True
        finally:
            step.seconds = time.monotonic() - step.begun

    def say(self, text: str) -> None:
        """A sentence about what happens."""
        self._print(textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    "))

    def command(self, where: str, line: str) -> None:
        """A command as typed, and in whose namespace."""
        self._print(f"    {self._paint(_BOLD, f'{where}$ {self._shorten(line)}')}")

    def output(self, text: str) -> None:
        """What a command printed."""
        for line in text.strip("\n").splitlines():
            self._print(self._paint(_DIM, f"        {self._shorten(line)}".rstrip()))

    def detail(self, text: str) -> None:
        """Output that only `--verbose` shows."""
        if self.verbose:
            self.output(text)

    def ok(self, text: str, **facts: Any) -> None:
        """Something that was observed, and what goes into the summary."""
        self._steps[-1].facts.update(facts)
        self._print(f"    {self._paint(_GREEN, 'ok')}  {text}")

    def fail(self, text: str) -> None:
        """What was seen instead."""
        label = self._paint(_RED, "FAIL")
        self._print(f"    {label}  {self._shorten(text)}")

    def print(self, text: str = "") -> None:
        """A line of its own."""
        self._print(text)

    def summary(self, *, ok: bool, error: str = "") -> dict[str, Any]:
        """Everything for programs."""
        steps = [
            {
                "title": step.title,
                "ok": step.ok,
                "seconds": round(step.seconds, 3),
                "facts": step.facts,
            }
            for step in self._steps
        ]
        seconds = round(self.seconds, 3)
        document = {"schema": "l2mesh.demo/1", "ok": ok, "seconds": seconds, "steps": steps}
        return {**document, "error": error} if error else document

    @property
    def count(self) -> int:
        """How many steps there were."""
        return len(self._steps)

    def _shorten(self, text: str) -> str:
        return _TOKEN.sub(r"\1...", text.replace(self._directory, "$LAB"))

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._is_coloured else text

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def print_json(document: dict[str, Any]) -> None:
    """The summary on stdout."""
    json.dump(document, sys.stdout, indent=2)
    print()
