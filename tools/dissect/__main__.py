"""`python -m tools.dissect [options] FILE`: the l2mesh datagrams of a capture file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from l2mesh.errors import L2meshError
from tools.dissect.capture import dissect, read_capture
from tools.dissect.keys import KeyRing
from tools.dissect.layers import PORT
from tools.dissect.report import details, line

_EPILOG = """
Each line: seconds since the first datagram, from > to, bytes of UDP payload, the message with its
flags, index and counter, and after a bar what is inside, if a key log opens it. A daemon under test
writes one when it is started with L2MESHD_KEY_LOG=FILE.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Print a capture; 0, or 1 with a line on stderr if a file cannot be read."""
    options = _parser().parse_args(words)
    ports = options.port or [PORT]
    try:
        ring = KeyRing(options.keys)
        start: float | None = None
        for seen in dissect(read_capture(options.file, ports), ring):
            start = seen.time if start is None else start
            print(line(seen, start))
            if options.verbose:
                print("\n".join(details(seen)))
    except L2meshError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # somebody looks at the beginning with `head`
        sys.stderr.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools.dissect", description=__doc__, epilog=_EPILOG)
    parser.add_argument("file", type=Path, help="a pcap or pcapng file")
    parser.add_argument(
        "--keys", type=Path, action="append", default=[], metavar="FILE", help="a key log; repeat"
    )
    parser.add_argument(
        "--port", type=int, action="append", help=f"a UDP port of ours (default {PORT}); repeat"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="also the fields")
    return parser


if __name__ == "__main__":
    sys.exit(main())
