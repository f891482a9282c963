"""The command line ``l2mesh-controller``: one file a command group.

All but ``serve`` and ``identity`` ask a running ``serve`` through the socket in its state
directory.
"""
