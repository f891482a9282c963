"""How large a datagram a path carries (section 4 of ``docs/protocol.md``).

Both ends assume an underlay MTU of 1500 and take off the IP and UDP headers. Over a relay the other
leg is unknown and may be IPv6, whatever ours is, so a relayed datagram is cut for IPv6 and leaves 8
bytes for the RELAY header.
"""

from typing import Final

from l2mesh.datapath.interface import Path

__all__ = ["IPV4_PAYLOAD", "IPV6_PAYLOAD", "RELAY_HEADER", "payload_size"]

IPV4_PAYLOAD: Final = 1500 - 20 - 8
IPV6_PAYLOAD: Final = 1500 - 40 - 8
RELAY_HEADER: Final = 8


def payload_size(path: Path) -> int:
    """Bytes of the largest datagram that may go by ``path``, without the RELAY header.

    1472 over IPv4, 1452 over IPv6, 1444 over a relay.
    """
    if path.relay:
        return IPV6_PAYLOAD - RELAY_HEADER
    return IPV6_PAYLOAD if ":" in path.endpoint.host else IPV4_PAYLOAD
