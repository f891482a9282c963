"""The reference engine: the data path in plain Python, complete, and as fast as that allows.

It runs wherever Python runs, the simulator drives it, and the native engine is compared with it, so
each rule of the protocol can be found here by its name:

* `engine` composes the parts and hands each command, frame and datagram to one of them;
* `switching` asks `l2mesh.switch` about each frame, both ways, for the networks of `ports`;
* `send` cuts and seals frames, `held` keeps those that cannot leave yet;
* `receive` opens DATA, `fragments` puts frames together again;
* `guard` judges the handshakes of strangers, `relay` forwards for clients and unwraps for us;
* `peers` holds keys and paths, `counters` what happened, `upcalls` what Python above must hear,
  `bounds` the size of every table.

Known traffic takes an express way: for the addresses of two signed members a port has a table from
the first twelve bytes of a frame to the peer, and no other rule of the switch can apply to such a
frame. Everything else takes the way that the protocol document describes, rule by rule.
"""

from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.engine import ReferenceEngine

__all__ = ["Bounds", "ReferenceEngine"]
