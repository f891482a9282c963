"""Streams: datagrams over WebSocket (RFC 6455) over TLS over TCP, for networks that block UDP.

`registry` knows the open ones and passes datagrams on, `link` is one connection with its bounded
queue, `client` dials planets, `server` is dialled. One binary message is one datagram. TLS hides
and orders, no more: who the planet is comes from the handshake inside, so no certificate is
checked.
"""
