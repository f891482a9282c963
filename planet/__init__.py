"""The planet: a root server that introduces nodes to each other and relays between them.

Directory (who is where), rendezvous (help through NATs) and relay are free of I/O; the daemon
around them owns the sockets. A planet carries a pair's traffic only while no direct path works,
and it cannot read it: sessions end at the members.
"""
