"""A port of the home router for ours, asked for by the protocols that home routers speak.

Where a NAT makes a mapping for each destination nothing else lets peers in from any side. Asked are
the default gateway of IPv4, by PCP (RFC 6887), NAT-PMP (RFC 6886) and UPnP-IGD, in this order; the
first that grants a port is kept, renewed every two minutes, which also finds out that the router
was started anew, and given back at the end. What it grants is one more candidate for peers.

An IPv6 router has no port to give, but often a firewall: by PCP it is asked to let in what is for
our own port (a pinhole), for as long, and renewed and given back in the same way.

`pcp` and `natpmp` are formats, `lease` is what was granted and whether the router still knows of
it; none of them does I/O. `exchange` asks by UDP; `upnp` finds a gateway (`ssdp`) and asks it by
SOAP (`igd`, `soap`). `gateway` finds whom to ask, and `mapper` keeps it all going.

There is no well-kept library for PCP in Python, and the one for NAT-PMP rests since 2021; both are
a few fixed fields in one datagram. UPnP is XML over HTTP and comes from async-upnp-client.
"""
