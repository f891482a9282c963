"""The node: puts the machines together and stays small.

It dispatches what arrives (a control message, an upcall of the engine, a timeout, a request of the
local API) to one handler file per verb, and collects what the machines return. It holds tables
keyed by fingerprint, never by address alone, and it does no I/O: the runtime carries out its
commands, a simulator can do so just as well.
"""
