"""A member without any privilege: pings a neighbour, then is one that answers ARP and pings.

Arguments: engine, join string, the neighbour's IPv4 address. Once it has an answer from there it
prints a JSON line of what it is and saw; SIGTERM ends it.
"""

import json
import os
import signal
import sys
from pathlib import Path

import uvloop  # noqa: F401 - while the files may still be read
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from l2mesh.datapath import native  # noqa: F401 - as above
from l2mesh.service.openport import open_port
from tools.scapyport import PortSocket

NOBODY = 65534
BROADCAST = "ff:ff:ff:ff:ff:ff"
PATIENCE_S = 10


def drop_privileges() -> None:
    """To a user that owns nothing: the kernel takes all capabilities along."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.environ["HOME"] = "/nonexistent"


def capabilities() -> int:
    lines = Path("/proc/thread-self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("CapEff:")), 16)


def ask(sock: PortSocket, frame: Packet) -> Packet:
    answer = sock.sr1(frame, timeout=PATIENCE_S, retry=2, verbose=False)
    if answer is None:
        raise SystemExit(f"no answer to {frame.summary()}")
    return answer


def answer_neighbours(sock: PortSocket, ours: str) -> None:
    """ARP and ICMP echo, as a kernel does."""

    def answer(got: Packet) -> None:
        ether = Ether(src=sock.mac, dst=got.src)
        if ARP in got and got[ARP].op == 1 and got[ARP].pdst == ours:
            said = got[ARP]
            sock.send(
                ether / ARP(op=2, hwsrc=sock.mac, psrc=ours, hwdst=said.hwsrc, pdst=said.psrc)
            )
        elif ICMP in got and got[ICMP].type == 8 and got[IP].dst == ours:
            echo = got[ICMP]
            reply = ICMP(type=0, id=echo.id, seq=echo.seq) / bytes(echo.payload)
            sock.send(ether / IP(src=ours, dst=got[IP].src) / reply)

    sock.sniff(prn=answer, store=False)


def main() -> None:
    engine, joinstring, neighbour = sys.argv[1:]
    drop_privileges()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with open_port(joinstring, engine=engine, name="guest") as port:
        sock, ours = PortSocket(port), port.addresses[0].partition("/")[0]
        ether = Ether(src=sock.mac, dst=BROADCAST)
        who = ARP(hwsrc=sock.mac, psrc=ours, pdst=neighbour)
        found = ask(sock, ether / who)[ARP].hwsrc
        echo = IP(src=ours, dst=neighbour) / ICMP(id=7, seq=1) / b"from nobody"
        reply = ask(sock, Ether(src=sock.mac, dst=found) / echo)
        seen = {
            "uid": os.geteuid(),
            "capabilities": capabilities(),
            "address": port.address,
            "mac": sock.mac,
            "ip": ours,
            "neighbour": found,
            "echo": bytes(reply[ICMP].payload)[:11].decode(),
        }
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()
        answer_neighbours(sock, ours)


if __name__ == "__main__":
    main()
