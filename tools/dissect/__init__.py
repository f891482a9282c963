"""What went over the wire, in the words of docs/protocol.md: scapy layers and a printer.

    python -m tools.dissect capture.pcap                          one line a datagram
    python -m tools.dissect --keys node.keys -v capture.pcap      what is inside, field by field

`layers` describes our datagrams to scapy, `keys` reads the key logs that a daemon under test writes
(`l2mesh.runtime.keylog`), `inside` opens DATA with them down to control messages and Ethernet
frames, `capture` finds our datagrams in a capture file, and `report` puts all that into lines.

In a program or in scapy's own shell:

    from tools.dissect import bind_port
    bind_port(9993)             # then rdpcap() and sniff() show INIT, DATA ...

scapy is GPL-2.0-only: this is a tool beside the installed packages, never a part of them.
"""

from tools.dissect.layers import Cookie, Data, Datagram, Init, Relay, Response, bind_port

__all__ = ["Cookie", "Data", "Datagram", "Init", "Relay", "Response", "bind_port"]
