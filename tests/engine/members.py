"""Members with signed addresses on one LAN, and what they say of their addresses."""

from l2mesh.datapath.interface import Limits, Offence, OpenPort, SetLimits, SetMember
from tests.engine.lab import BROADCAST, NETWORK, Host, ethernet, join

STATION = bytes.fromhex("52540000aa01")
ALL_NODES = bytes.fromhex("333300000001")
FREE4, FREE6 = bytes([10, 0, 0, 99]), bytes.fromhex("fd") + bytes(14) + b"\x63"
REQUEST, REPLY = 1, 2


def ip4(host: Host) -> bytes:
    return bytes([10, 0, 0, host.number])


def ip6(host: Host) -> bytes:
    return bytes.fromhex("fd") + bytes(14) + bytes([host.number])


def make_lan(count: int, **rights: tuple[int, ...]) -> list[Host]:
    """Hosts with signed addresses; `rights` say which numbers have each."""
    hosts = [Host(number) for number in range(1, count + 1)]
    signed = {
        host.number: {
            "mac": host.mac,
            "addresses": (ip4(host), ip6(host)),
            **{right: host.number in numbers for right, numbers in rights.items()},
        }
        for host in hosts
    }
    for one in hosts:
        one.do(OpenPort(NETWORK, mtu=1500, **signed[one.number]))  # type: ignore[arg-type]
        for other in hosts:
            if one is not other:
                member = signed[other.number]
                one.do(SetMember(NETWORK, other.fingerprint, **member))  # type: ignore[arg-type]
    for place, one in enumerate(hosts):
        for other in hosts[place + 1 :]:
            join(one, other)
    return hosts


def set_guard(guard: str, *hosts: Host) -> None:
    for host in hosts:
        host.do(SetLimits(NETWORK, Limits(guard=guard)))


def arp(
    source: bytes,
    sender: bytes,
    target: bytes,
    *,
    told: bytes | None = None,
    operation: int = REQUEST,
    hardware: int = 1,
    destination: bytes = BROADCAST,
) -> bytes:
    head = bytes([0, hardware, 8, 0, 6, 4]) + operation.to_bytes(2, "big")
    return ethernet(
        destination, source, head + (told or source) + sender + bytes(6) + target, 0x0806
    )


def ipv6(destination: bytes, source: bytes, sender: bytes, following: int, payload: bytes) -> bytes:
    head = b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + bytes([following, 255])
    return ethernet(destination, source, head + sender + bytes(16) + payload, 0x86DD)


def nd(
    source: bytes, sender: bytes, kind: int, body: bytes, *, destination: bytes = ALL_NODES
) -> bytes:
    return ipv6(destination, source, sender, 58, bytes([kind, 0, 0, 0]) + body)


def option(kind: int, mac: bytes) -> bytes:
    return bytes([kind, 1]) + mac


def udp(source: bytes, sender: bytes, ports: tuple[int, int], payload: bytes) -> bytes:
    body = b"".join(port.to_bytes(2, "big") for port in ports)
    body += (8 + len(payload)).to_bytes(2, "big") + bytes(2) + payload
    if len(sender) == 16:
        return ipv6(BROADCAST, source, sender, 17, body)
    head = b"\x45\0" + (20 + len(body)).to_bytes(2, "big") + bytes(4) + b"\x40\x11"
    head += bytes(2) + sender + b"\xff" * 4
    return ethernet(BROADCAST, source, head + body, 0x0800)


def offences(host: Host) -> list[Offence]:
    return [one for one in host.heard() if isinstance(one, Offence)]
