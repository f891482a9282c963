"""One UDP datagram: `python -m tools.tour.udp listen PORT` and `... send ADDRESS PORT TEXT`."""

import socket
import sys
from collections.abc import Sequence

_TIMEOUT_S = 20.0


def listen(port: int) -> None:
    """Say `listening`, then print the first datagram and who sent it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_TIMEOUT_S)
        sock.bind(("", port))
        print("listening", flush=True)
        text, source = sock.recvfrom(2048)
        print(f"heard {text.decode(errors='replace')!r} from {source[0]}", flush=True)


def send(address: str, port: int, text: str) -> None:
    """Send one datagram; to 255.255.255.255 it goes to everybody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.sendto(text.encode(), (address, port))


def main(words: Sequence[str]) -> int:
    """0, or 2 with the usage."""
    match list(words):
        case ["listen", port]:
            listen(int(port))
        case ["send", address, port, text]:
            send(address, int(port), text)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
