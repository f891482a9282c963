"""The daemon `l2meshd`: what a node needs from its host.

TAP devices, netlink, state on disk (atomic, with a schema number, safe against a kill at any
point), options, and the local API on a Unix socket that the command line talks to. Privilege is
CAP_NET_ADMIN at most.
"""
