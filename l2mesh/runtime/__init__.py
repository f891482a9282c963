"""The runtime: drives a core that is free of I/O.

UDP sockets, the engine, timers and the event loop (uvloop where it is installed) live here, and
this is where clocks and random sources are read. All three daemons run on it, so it knows neither
TAP devices nor netlink, and it decides nothing about the protocol.
"""
