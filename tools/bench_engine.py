"""How many frames a second the reference engine carries, without sockets and kernels.

Two engines stand face to face: frames of the wanted length go into the first, its datagrams into
the second, whose frames are counted. Both halves are timed apart, since in life they run in two
processes. CPU time is measured, yet figures depend on the machine and what else runs on it: compare
only runs made one after another.

Usage: python -m tools.bench_engine [--size BYTES] [--frames N] [--cipher aes|chacha] [--profile]

With ``--profile`` the functions that take most time are listed instead (their sum is larger than
life: the profiler costs more than they do).
"""

import argparse
import cProfile
import os
import pstats
import time

from l2mesh.crypto import Cipher, SodiumCrypto
from l2mesh.datapath.interface import (
    Deliver,
    Endpoint,
    InstallReceive,
    InstallSend,
    OpenPort,
    Path,
    SetMember,
    SetPath,
    SetUnderlay,
    Transmit,
)
from l2mesh.datapath.reference import ReferenceEngine

NETWORK = 0x1234567890000001
BATCH = 64
ENDS = (Endpoint("192.0.2.1", 9993), Endpoint("192.0.2.2", 9993))
PEERS = (b"\x01" * 32, b"\x02" * 32)
MACS = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))


def make_engine(side: int, cipher: Cipher) -> ReferenceEngine:
    """One of the two engines, `side` 0 or 1, ready to talk to the other."""
    engine, other = ReferenceEngine(SodiumCrypto(), os.urandom), 1 - side
    key, salt = bytes(32), bytes(4)
    for command in (
        OpenPort(NETWORK, MACS[side], 1500),
        SetMember(NETWORK, PEERS[other], MACS[other]),
        SetUnderlay(9993, frozenset({ENDS[side].host})),
        SetPath(PEERS[other], Path(ENDS[other]), 1472),
        InstallReceive(PEERS[other], 1, NETWORK, 7, cipher, key, salt),
        InstallSend(PEERS[other], 1, NETWORK, 7, cipher, key, salt),
    ):
        engine.execute(command, 0.0)
    return engine


def make_frame(size: int) -> bytes:
    """A TCP segment in an Ethernet frame of `size` bytes."""
    head = MACS[1] + MACS[0] + b"\x08\x00\x45\x00" + bytes(7) + b"\x06"
    return head + os.urandom(size - len(head))


def run(cipher: Cipher, size: int, frames: int) -> tuple[float, float, int]:
    """CPU seconds in the sender, CPU seconds in the receiver, datagrams."""
    sender, receiver = make_engine(0, cipher), make_engine(1, cipher)
    frame, clock = make_frame(size), time.thread_time
    sending = receiving = 0.0
    datagrams = delivered = 0
    for _ in range(0, frames, BATCH):
        begun = clock()
        batch = []
        for _ in range(BATCH):
            sender.handle_frame(NETWORK, frame, 1.0)
        while (output := sender.poll_output()) is not None:
            assert type(output) is Transmit
            batch.append(output.datagram)
        sent = clock()
        for datagram in batch:
            receiver.handle_datagram(datagram, ENDS[0], 1.0)
        while (output := receiver.poll_output()) is not None:
            assert type(output) is Deliver
            delivered += 1
        receiving += clock() - sent
        sending += sent - begun
        datagrams += len(batch)
    assert delivered == -(-frames // BATCH) * BATCH, receiver.drops()
    return sending, receiving, datagrams


def report(cipher: Cipher, size: int, frames: int) -> None:
    """One line of figures."""
    sending, receiving, datagrams = run(cipher, size, frames)
    print(
        f"{cipher.name:17} {size:5} B  {datagrams / frames:3.1f} datagrams a frame"
        f"   send {frames / sending:8,.0f} frames/s {sending / frames * 1e6:5.2f} us"
        f"   receive {frames / receiving:8,.0f} frames/s {receiving / frames * 1e6:5.2f} us"
        f"   {size * 8 * frames / max(sending, receiving) / 1e6:5,.0f} Mbit/s"
    )


def profile(cipher: Cipher, size: int, frames: int) -> None:
    """List where the time goes."""
    profiler = cProfile.Profile()
    profiler.runcall(run, cipher, size, frames)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(15)


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--size", type=int, help="length of a frame (default: several)")
    parser.add_argument("--frames", type=int, default=64_000)
    parser.add_argument("--cipher", choices=("aes", "chacha"), default="aes")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    aes = arguments.cipher == "aes"
    cipher = Cipher.AES_256_GCM if aes else Cipher.CHACHA20_POLY1305
    sizes = [arguments.size] if arguments.size else [64, 1434, 1514]
    for size in sizes:
        (profile if arguments.profile else report)(cipher, size, arguments.frames)


if __name__ == "__main__":
    main()
