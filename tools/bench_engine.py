"""How many frames a second the reference engine carries, without sockets and kernels.

Two engines stand face to face: frames of the wanted length go into the first, its datagrams into
the second, whose frames are counted. Both halves are timed apart, since in life they run in two
processes. CPU time is measured, yet figures depend on the machine and what else runs on it: compare
only runs made one after another.

Usage: python -m tools.bench_engine [--size BYTES] [--frames N] [--cipher aes|chacha] [--profile]

Above 1514 bytes a frame is a super-frame of TCP, as the kernel hands it over and takes it.

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
    GSO_TCP4,
    Deliver,
    Endpoint,
    InstallReceive,
    InstallSend,
    Offload,
    OpenPort,
    Path,
    PortOffloads,
    Received,
    SetMember,
    SetPath,
    SetPortOffloads,
    SetUnderlay,
    Transmit,
    TransmitTrain,
)
from l2mesh.datapath.reference import ReferenceEngine
from l2mesh.datapath.reference.superframe.layout import ONES, fold, sum_of

NETWORK = 0x1234567890000001
BATCH_BYTES = 128 * 1024
BATCH = 64
MAX_FRAME = 1514
SUPER_FRAME = 66 + 44 * 1396
"""A train of full datagrams, behind headers of Ethernet, IPv4 and TCP with a time stamp."""
HEADERS = bytes.fromhex("0800 4500 0000 0000 4000 4006 0000 0a000001 0a000002") + bytes.fromhex(
    "14511451 00000001 00000001 8010 01f5 0000 0000 0101080a 00000001 00000002"
)
"""From the ethertype on; length and checksums are still to be set."""
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
        InstallReceive(PEERS[other], 1, NETWORK, 7, cipher, key, salt, MACS[side] + MACS[other]),
        InstallSend(PEERS[other], 1, NETWORK, 7, cipher, key, salt, MACS[other] + MACS[side]),
    ):
        engine.execute(command, 0.0)
    return engine


def make_frame(size: int) -> tuple[bytes, Offload]:
    """A TCP segment in an Ethernet frame of `size` bytes, its checksum open, or a super-frame."""
    headers = bytearray(MACS[1] + MACS[0] + HEADERS)
    headers[16:18] = (size - 14).to_bytes(2, "big")
    headers[24:26] = (ONES - sum_of(headers[14:34])).to_bytes(2, "big")
    headers[50:52] = fold(sum_of(headers[26:34]) + 6 + size - 34).to_bytes(2, "big")
    offload = Offload(csum_start=34, csum_offset=16, needs_csum=True)
    if size > MAX_FRAME:
        offload = offload._replace(gso_type=GSO_TCP4, gso_size=1448)
    return bytes(headers) + os.urandom(size - len(headers)), offload


def run(cipher: Cipher, size: int, frames: int) -> tuple[float, float, int]:
    """CPU seconds in the sender, CPU seconds in the receiver, datagrams."""
    sender, receiver = make_engine(0, cipher), make_engine(1, cipher)
    if size > MAX_FRAME:
        receiver.execute(SetPortOffloads(NETWORK, PortOffloads(checksum=True, tso=True)), 0.0)
    (frame, offload), clock = make_frame(size), time.thread_time
    sending = receiving = 0.0
    datagrams = delivered = 0
    count = max(1, min(BATCH, BATCH_BYTES // size))
    while delivered < frames * size:
        begun = clock()
        batch = []
        for _ in range(count):
            sender.handle_frame(NETWORK, frame, 1.0, offload)
        while (output := sender.poll_output()) is not None:
            if type(output) is TransmitTrain:
                batch.append(Received(output.datagrams, output.stride, ENDS[0]))
            elif type(output) is Transmit:
                batch.append(Received(output.datagram, 0, ENDS[0]))
        sent = clock()
        receiver.handle_datagrams(batch, 1.0)
        while (output := receiver.poll_output()) is not None:
            assert type(output) is Deliver
            delivered += len(output.frame)
        receiving += clock() - sent
        sending += sent - begun
        datagrams += sum(-(-len(each[0]) // (each[1] or len(each[0]))) for each in batch)
        assert not receiver.drops(), receiver.drops()
    return sending, receiving, datagrams


def report(cipher: Cipher, size: int, frames: int) -> None:
    """One line of figures."""
    sending, receiving, datagrams = run(cipher, size, frames)
    sends, receives = (spent / datagrams * 1e6 for spent in (sending, receiving))
    print(
        f"{cipher.name:17} {size:5} B  {datagrams / frames:4.1f} datagrams a frame"
        f"   send {sending / frames * 1e6:6.2f} us, a datagram {sends:5.2f}"
        f"   receive {receiving / frames * 1e6:6.2f} us, a datagram {receives:5.2f}"
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
    sizes = [arguments.size] if arguments.size else [86, 1434, 1514, SUPER_FRAME]
    for size in sizes:
        frames = (
            max(1, arguments.frames * MAX_FRAME // size) if size > MAX_FRAME else arguments.frames
        )
        (profile if arguments.profile else report)(cipher, size, frames)


if __name__ == "__main__":
    main()
