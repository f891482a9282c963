"""``l2mesh capture``: frames of a network into a file or a pipe, as pcapng."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from l2mesh.cli.ask import check_network
from l2mesh.cli.client import request
from l2mesh.cli.failure import Failure
from l2mesh.cli.options import chosen
from l2mesh.cli.output import is_json, output_option, show
from l2mesh.errors import ConfigError

__all__ = ["COMMANDS"]

STDOUT: Final = "-"
SIDES: Final = {
    "port": "between the switch and this host: frames read from the device and written to it",
    "mesh": "between the switch and other members, in the clear",
    "drops": "frames that the switch dropped; each comment says why",
}


@click.command()
@click.argument("network", metavar="ID")
@click.option(
    "-w",
    "--write",
    "path",
    default="-",
    metavar="FILE",
    help="Where to write pcapng; - is standard output, for a pipe.",
)
@click.option(
    "--side",
    "sides",
    multiple=True,
    type=click.Choice(list(SIDES)),
    help="What to see; may be given several times.  [default: all]",
)
@click.option(
    "-c", "--count", type=click.IntRange(1), metavar="N", help="End after so many frames."
)
@click.option("--duration", type=float, metavar="SECONDS", help="End after so long.")
@click.option(
    "-s",
    "--snap",
    type=click.IntRange(1, 65535),
    default=65535,
    show_default=True,
    metavar="BYTES",
    help="Bytes kept of a frame.",
)
@output_option()
@click.pass_context
def capture(
    context: click.Context,
    *,
    network: str,
    path: str,
    sides: tuple[str, ...],
    count: int | None,
    duration: float | None,
    snap: int,
) -> None:
    """Write frames of a network as pcapng.

    They are seen at this host's device, at the mesh side and where they are dropped. For instance:
    l2mesh capture ID | tcpdump -n -r -, or -w FILE for Wireshark. A slow reader loses frames (they
    are counted in the file) and never delays traffic. Ctrl-C ends it.
    """
    network = check_network(network)
    arguments: dict[str, Any] = {"network": network, "sides": list(sides), "snap": snap}
    arguments |= {"count": count, "duration": duration}
    if path == STDOUT and is_json(context):
        raise ConfigError("-o json needs a file for the frames", hint="add -w FILE")
    with ExitStack() as stack:
        recorder = Recorder(_open(stack, path), network)
        try:
            result = request(chosen(context, "socket"), "capture", arguments, on_part=recorder.add)
        except (KeyboardInterrupt, Enough):
            result = {"schema": "l2mesh.capture/1", "network": network} | recorder.totals()
    if path != STDOUT:
        show(context, result, [_summary(result)])
    else:
        click.echo(_summary(result), err=True)


class Enough(Exception):
    """Whoever reads the pipe has gone."""


class Recorder:
    """Writes what comes, and counts it."""

    def __init__(self, file: BinaryIO, network: str) -> None:
        from l2mesh.cli.pcapng import file_header

        self._file = file
        self._numbers = {side: number for number, side in enumerate(SIDES)}
        self._frames = self._lost = 0
        names = [(f"{network} {side}", text) for side, text in SIDES.items()]
        self._write(file_header("l2mesh", names))

    def add(self, part: dict[str, Any]) -> None:
        """Frames as the local API sends them."""
        from l2mesh.cli.pcapng import Packet, packet_block

        blocks = []
        for at, side, inward, peer, reason, length, frame, lost in part["frames"]:
            comment = _comment(peer, reason, is_inward=inward)
            number = self._numbers[side]
            blocks.append(packet_block(Packet(number, at, inward, length, frame, comment, lost)))
            self._lost += lost
        self._write(b"".join(blocks))
        self._frames += len(blocks)

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._file.fileno())
            raise Enough from None
        except OSError as error:
            raise Failure("failed", f"cannot write the capture: {error.strerror}") from None

    def totals(self) -> dict[str, int]:
        """How many frames there were."""
        return {"frames": self._frames, "lost": self._lost}


def _comment(peer: str | None, reason: str | None, *, is_inward: bool) -> str:
    who = f"{'from' if is_inward else 'to'} {peer}" if peer is not None else ""
    if reason is None:
        return who
    return f"dropped: {reason}, {who or 'from this host'}"


def _open(stack: ExitStack, path: str) -> BinaryIO:
    if path == STDOUT:
        if sys.stdout.isatty():
            raise ConfigError(
                "pcapng is nothing for a terminal",
                hint="name a file with -w FILE, or pipe it: l2mesh capture ID | tcpdump -n -r -",
            )
        return sys.stdout.buffer
    try:
        return stack.enter_context(Path(path).open("wb"))
    except OSError as error:
        raise Failure("failed", f"cannot write {path}: {error.strerror}") from None


def _summary(result: dict[str, Any]) -> str:
    return f"{result['frames']} frames, {result['lost']} lost"


COMMANDS: Final = (capture,)
