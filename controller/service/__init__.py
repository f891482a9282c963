"""The daemon ``l2mesh-controller serve``: sockets, state and APIs around the controller's node.

It locks and opens the state directory, puts store, node and members together, drives them over an
underlay as every daemon is driven, and answers the administrator's socket and ``/healthz``. It
decides nothing: who belongs to a network is the business of ``policy``, ``members`` and ``store``.
"""
