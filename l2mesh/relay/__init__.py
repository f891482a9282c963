"""Relaying for others: which relays there are, and how two clients come to one.

A planet relays for whoever comes to it, a member with the right ``relay`` for members of its
networks; both use these machines (sections 7.3 and 7.8 of ``docs/protocol.md``). Free of I/O: they
answer with engine commands and messages. What is relayed cannot be read: sessions end elsewhere.
"""
