"""The node: one port of a virtual Ethernet switch that is stretched over the internet.

The package is layered, and `setup.cfg` holds the layers as import contracts. Values at the bottom
(errors, address, identity), then wire formats, then credentials; above them four machines that
never import each other (session, path, switch, network); then the data path, the node that puts
the machines together, the runtime that drives it, and on top the daemon and its command line.
Everything below the runtime is free of I/O: time, randomness and received bytes are arguments,
and what shall be done comes back as values.
"""
