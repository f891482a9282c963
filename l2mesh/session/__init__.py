"""Sessions: keys that two identities share after a Noise handshake.

Handshake, cookies against floods, key schedule, and rekey before a key is worn out. The machines
here take `now` and random bytes as arguments and return datagrams to send, keys to install and
events; they know neither sockets nor paths, and a peer's claim counts only once it is proved.
"""
