"""The command line ``l2mesh-planet``: one file a command.

``status`` asks a running ``serve`` through the socket in its state directory; all others work on
files and need no daemon.
"""
