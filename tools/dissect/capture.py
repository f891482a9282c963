"""Our datagrams in a capture file: pcap or pcapng, from Ethernet, `any` or raw IP."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scapy.error import Scapy_Exception
from scapy.layers.all import IP, UDP, IPv6
from scapy.packet import Packet
from scapy.utils import PcapReader

from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import ConfigError
from tools.dissect.inside import Assembler, Inside
from tools.dissect.keys import KeyRing
from tools.dissect.layers import Data, Datagram, Relay

__all__ = ["Seen", "dissect", "read_capture"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One datagram on the wire."""

    time: float
    """Seconds since 1970."""
    source: Endpoint
    """Where it came from."""
    destination: Endpoint
    """Where it went."""
    size: int
    """Bytes of UDP payload."""
    layer: Packet = field(repr=False)
    """The outermost layer of ours: a `Datagram`, or Raw for what means nothing to us."""
    inside: Inside | None = None
    """What is inside, if a key opened it."""


def read_capture(path: Path, ports: Iterable[int]) -> Iterator[Seen]:
    """The UDP datagrams from and to these ports; IP fragments are left out.

    ConfigError for a file that cannot be read or is no capture.
    """
    wanted = frozenset(ports)
    try:
        with path.open("rb") as file, PcapReader(file) as packets:
            for packet in packets:
                if UDP in packet and wanted & {packet[UDP].sport, packet[UDP].dport}:
                    yield _seen(packet)
    except (OSError, Scapy_Exception) as error:
        raise ConfigError(f"{path} is no capture that can be read: {error}") from error


def dissect(datagrams: Iterable[Seen], ring: KeyRing) -> Iterator[Seen]:
    """The same datagrams, with the inside of those that a key opens."""
    assembler = Assembler()
    for seen in datagrams:
        data = seen.layer.payload if isinstance(seen.layer, Relay) else seen.layer
        opened = ring.open(bytes(data)) if isinstance(data, Data) else None
        inside = assembler.read(opened) if opened else None
        yield Seen(seen.time, seen.source, seen.destination, seen.size, seen.layer, inside)


def _seen(packet: Packet) -> Seen:
    udp = packet[UDP]
    network = packet[IPv6] if IPv6 in packet else packet[IP]
    # The length of the header, since Ethernet pads short frames. A layer is made afresh, so that
    # ports which nobody bound are read too.
    text = bytes(udp.payload)[: max(0, udp.len - 8)]
    return Seen(
        float(packet.time),
        Endpoint(network.src, udp.sport),
        Endpoint(network.dst, udp.dport),
        len(text),
        Datagram(text),
    )
