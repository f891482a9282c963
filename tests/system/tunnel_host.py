"""One end of a tunnel in the namespace it is started in: a TAP, an engine, a socket, fixed keys.

No control plane: what is under test is the way of a frame from TAP to TAP. Arguments: which engine,
our number (1 or 2), our address, the other's address, and names of offloads to do without; with
`no_checksums` datagrams have none, which the kernel grants only to single ones. The TAP is called
`tap0` and has the MTU 1500. After "ready" each line on stdin is answered by the counters
as JSON.
"""

import asyncio
import json
import socket
import subprocess
import sys
from hashlib import blake2s

from l2mesh.crypto import Cipher, SodiumCrypto
from l2mesh.datapath.interface import (
    Command,
    Endpoint,
    Engine,
    InstallReceive,
    InstallSend,
    OpenPort,
    Path,
    SetMember,
    SetPath,
    SetUnderlay,
    Upcall,
)
from l2mesh.datapath.reference import ReferenceEngine
from l2mesh.runtime.clock import boot_clock
from l2mesh.runtime.driver import Driver
from l2mesh.runtime.offloads import Offloads
from l2mesh.runtime.underlay import Listen, Underlay
from l2mesh.service.tap import Tap

NETWORK, PORT = 7, 9993
SO_NO_CHECK = 11


class NoCore:
    """Says nothing."""

    def handle_upcall(self, upcall: Upcall, now: float) -> None: ...
    def handle_timeout(self, now: float) -> None: ...
    def next_timeout(self) -> float | None:
        return None

    def poll_output(self) -> Command | None:
        return None

    def set_local_endpoints(self, endpoints: tuple[Endpoint, ...], now: float) -> None: ...


def mac(number: int) -> bytes:
    return bytes([2, 0, 0, 0, 9, number])


def commands(us: int, ours: str, theirs: str) -> list[Command]:
    """Two members that know each other."""
    them = 3 - us
    peer, cipher = bytes([them]) * 32, Cipher.CHACHA20_POLY1305
    keys = {number: blake2s(bytes([number])).digest() for number in (us, them)}
    ends = (mac(us), mac(them))
    return [
        SetUnderlay(PORT, frozenset({ours})),
        OpenPort(NETWORK, mac(us), 1500, bridge=True),
        SetMember(NETWORK, peer, mac(them), bridge=True),
        InstallReceive(peer, 1, NETWORK, us, cipher, keys[us], bytes(4), ends[0] + ends[1]),
        InstallSend(peer, 1, NETWORK, them, cipher, keys[them], bytes(4), ends[1] + ends[0]),
        SetPath(peer, Path(Endpoint(theirs, PORT))),
    ]


def make_engine(name: str, underlay: Underlay) -> tuple[Engine, Driver[None]]:
    """The engine of that name, driven."""
    if name == "native":
        from l2mesh.datapath.native import NativeEngine
        from l2mesh.runtime.native_driver import NativeDriver

        native = NativeEngine()
        return native, NativeDriver(native, NoCore(), underlay, boot_clock, ignore, native)
    reference = ReferenceEngine(SodiumCrypto(), bytes)
    return reference, Driver(reference, NoCore(), underlay, boot_clock, ignore)


def ignore(effect: None) -> None: ...


def bring_up(us: int) -> None:
    subprocess.run(["ip", "link", "set", "tap0", "address", mac(us).hex(":"), "up"], check=True)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def serve(name: str, us: int, ours: str, theirs: str, without: list[str]) -> None:
    loop = asyncio.get_running_loop()
    offloads = Offloads.without(name for name in without if name != "no_checksums")
    underlay = Underlay(Listen(ours, PORT), offloads)
    if "no_checksums" in without:
        underlay.sockets[0].setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    engine, driver = make_engine(name, underlay)
    for command in commands(us, ours, theirs):
        engine.execute(command, boot_clock())
    tap = Tap("tap0", offloads)
    await loop.run_in_executor(None, bring_up, us)
    driver.start()
    driver.attach_port(NETWORK, tap.fileno(), tap.offloads)
    say("ready")
    while await loop.run_in_executor(None, sys.stdin.readline):
        drops = {f"drop_{reason}": count for reason, count in engine.drops().items()}
        found = {**engine.counters(), **driver.counters(), **drops}
        say(json.dumps({**found, "problems": Offloads.problems(found)}))
    driver.close()
    underlay.close()
    tap.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:]))
