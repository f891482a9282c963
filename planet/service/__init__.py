"""The planet as a program: its files, its sockets and its answer to ``status``.

::

    DIR/                  0700
      identity.secret     0600, made once
      world.key           0600, the seed that signs worlds; may be moved away and kept offline
      world               the signed world that nodes are given
      directory           0600, first claims, appended
      planet.sock         answers `status`, for our own user and root

What decides (directory, rendezvous, relay, core) is beside this package and free of I/O.
"""
