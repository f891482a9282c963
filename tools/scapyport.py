"""A scapy socket on an l2mesh port, so that scapy speaks on a network without root.

::

    with l2mesh.open_port("l2mesh:...") as port:
        socket = PortSocket(port)
        reply = socket.sr1(Ether(src=socket.mac, dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="10.9.0.1"))

It does what scapy's own layer-2 sockets do: `send`, `sr`, `sr1`, `sniff`, answering machines.
scapy is GPL-2.0-only, which is why this file stands in tools/ and not in the package.
"""

import time

from scapy.data import MTU
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from scapy.supersocket import SuperSocket

from l2mesh import Port

__all__ = ["PortSocket"]


class PortSocket(SuperSocket):  # type: ignore[misc] # scapy ships no types
    """Sends and receives on an open port; closing it leaves the port open."""

    desc = "a port of an l2mesh network"

    def __init__(self, port: Port) -> None:
        self.port = port
        self.ins = self.outs = port

    @property
    def mac(self) -> str:
        """The member's MAC, for the source of what is sent."""
        return self.port.mac.hex(":")

    def send(self, packet: Packet) -> int:
        """Sends one frame; its length."""
        frame = bytes(packet)
        packet.sent_time = time.time()
        self.port.send(frame)
        return len(frame)

    def recv_raw(self, _: int = MTU) -> tuple[type[Packet], bytes, float]:
        """The next frame, as what to read it, and when it came; waits for one."""
        return Ether, self.port.receive(), time.time()

    def close(self) -> None:
        """Does nothing: the port is its opener's."""
