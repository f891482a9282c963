"""Where the paths to one peer stand.

Section 8.4 of ``docs/protocol.md``. The state follows from three facts, and each event changes one
of them:

| state     | session | path in use | event                              | next               |
|-----------|---------|-------------|------------------------------------|--------------------|
| DOWN      | no      | the last    | session_live                       | by the path in use |
| SEARCHING | yes     | none        | add_relay                          | RELAYED            |
|           |         |             | receive_reply from an endpoint     | DIRECT             |
|           |         |             | 3.5 s without either: PeerSilent   | SEARCHING          |
| RELAYED   | yes     | a relay     | receive_reply from an endpoint     | DIRECT             |
|           |         |             | dead: another relay                | RELAYED            |
|           |         |             | dead, no relay answers: PeerSilent | RELAYED            |
| DIRECT    | yes     | an endpoint | dead, a relay is there             | RELAYED            |
|           |         |             | dead, another endpoint answered    | DIRECT             |
|           |         |             | dead, nothing else: PeerSilent     | SEARCHING          |
| any       | yes     | any         | session_lost                       | DOWN               |

DOWN promises silence: without a session there is nothing to seal a PROBE with. The other three
promise that the path in use is watched (``heartbeat.py``), and SEARCHING and RELAYED that endpoints
are tried again after 5, 10, 35 and then every 60 s while there is traffic.
"""

from __future__ import annotations

import enum

__all__ = ["PathState"]


class PathState(enum.Enum):
    """See the table at the top of this file."""

    DOWN = "down"
    SEARCHING = "searching"
    RELAYED = "relayed"
    DIRECT = "direct"
