"""The planet: a root server that introduces nodes to each other and relays between them.

The directory (who is where), the relays (``l2mesh.relay``, which members have as well) and what is
asked of sister planets are free of I/O; the daemon around them owns the sockets. A planet carries a
pair's traffic only while no direct path works, and it cannot read it: sessions end at the members.
"""
