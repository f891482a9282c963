"""`python -m tools.tour`: plays the tour; `sudo ./tools/demo` sets up and calls it."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from l2mesh.cli.failure import Failure
from tools.lab import Lab, LabError, WaitTimeout
from tools.tour.lan_scenes import LAN_SCENES
from tools.tour.scenes import SCENES
from tools.tour.stage import CAST, MAP, MAP_WITHOUT_NAT, ROOT, Stage
from tools.tour.transcript import NotSeen, Transcript, print_json

INTERRUPTED: Final = 130
_EXPECTED: Final = (NotSeen, LabError, WaitTimeout, Failure, subprocess.SubprocessError, OSError)


def main(words: Sequence[str] | None = None) -> int:
    """Play it; 0 if every step was seen to work, 1 if not, 130 when interrupted."""
    options = _parser().parse_args(words)
    if os.geteuid() != 0:
        print("error: namespaces and TAP devices need root: sudo ./tools/demo", file=sys.stderr)
        return 1
    # Background jobs of scripts start with Ctrl-C ignored; an interrupt must end us all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    directory = Path(tempfile.mkdtemp(prefix="l2mesh-demo-"))
    out = sys.stderr if options.output == "json" else sys.stdout
    transcript = Transcript(out, directory=str(directory), verbose=options.verbose)
    try:
        error = _play(options, directory, transcript)
    except KeyboardInterrupt:
        transcript.print("\ninterrupted; everything is taken away again")
        shutil.rmtree(directory, ignore_errors=True)
        return INTERRUPTED
    finally:
        _give_back(directory)
    if error:
        transcript.print(f"\nFAILED in step {transcript.count}: {error.splitlines()[0]}")
        transcript.print(f"logs and state of all programs: {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    if options.output == "json":
        print_json(transcript.summary(ok=not error, error=error))
    return 1 if error else 0


def _play(options: argparse.Namespace, directory: Path, transcript: Transcript) -> str:
    """Build the stage, play every scene, take it away; returns what went wrong, "" if nothing."""
    transcript.print("l2mesh on one machine: every host below is a network namespace of its own")
    transcript.print(MAP if options.nat else MAP_WITHOUT_NAT)
    transcript.print(f"\n    $LAB is {directory}. `l2mesh` finds the daemon of its namespace, and")
    transcript.print("    `l2mesh-controller` the controller, by --socket and --state in $LAB.")
    with Lab(directory=directory) as lab:
        try:
            stage = Stage(lab, transcript, engine=options.engine, has_nat=options.nat)
            for scene in (*SCENES, *LAN_SCENES):
                title = (scene.__doc__ or "").splitlines()[0].rstrip(".")
                with transcript.step(title):
                    scene(stage)
        except _EXPECTED as error:
            transcript.fail(str(error))
            if options.verbose:
                transcript.output(lab.log_tails())
            return str(error) or type(error).__name__
        transcript.print(f"\nPASS: {transcript.count} steps in {transcript.seconds:.1f} s")
        if options.keep:
            _keep(stage)
    return ""


def _keep(stage: Stage) -> None:
    """Say how to look around, and wait for Ctrl-C."""
    say = stage.transcript.print
    bin_directory = ROOT / ".venv" / "bin"
    say("\nAll of it keeps running until Ctrl-C. From another terminal, as root:")
    for name in CAST:
        node = stage.nodes[name]
        say(f"    {name}() {{ ip netns exec {node.host.namespace} env L2MESH_SOCKET={node.socket} "
            f'PATH="{bin_directory}:$PATH" "$@"; }}')  # fmt: skip
    say(f"    alice ping {stage.address('bob')}; bob l2mesh peers; carol ip address")
    state = stage.controller.state
    say(f"    {bin_directory}/l2mesh-controller --state {state} member list {stage.network}")
    wire = f"ip netns exec {stage.wan.host.namespace} tcpdump -ni {stage.wan.bridge}"
    say(f"    {wire} -w wire.pcap; {bin_directory}/python -m tools.dissect wire.pcap")
    try:
        signal.pause()
    except KeyboardInterrupt:
        say("\nended; everything is taken away again")


def _give_back(directory: Path) -> None:
    """What was made in the tree, and logs that are kept, belong to who called sudo."""
    give_back = f'source tools/ownership.sh; give_back_caches; give_back "{directory}"'
    subprocess.run(["bash", "-c", give_back], cwd=ROOT, check=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/demo", description="Show a whole mesh at work on this machine."
    )
    add = parser.add_argument
    add("--keep", action="store_true", help="keep it running afterwards, until Ctrl-C")
    add("--verbose", action="store_true", help="on failure also the ends of all logs")
    add("--engine", choices=("auto", "native", "reference"), default="auto")
    add("--no-nat", dest="nat", action="store_false", help="all nodes on one wire, no NAT boxes")
    add("-o", "--output", choices=("text", "json"), default="text",
        help="json: a summary on stdout, the transcript on stderr")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
