"""Who may send from which MAC: asked where a frame enters the mesh and where it leaves it.

A MAC signed to another is refused whatever the network's setting (section 10). A MAC signed to
nobody may be used by

========== ======================================================
``guard``  who
========== ======================================================
default    members with the right ``bridge``
strict     nobody
off        everyone
========== ======================================================
"""

from l2mesh.switch.fdb import NOBODY, Fdb, Owner


def is_source_allowed(fdb: Fdb, mac: bytes, source: Owner, *, is_bridge: bool, guard: str) -> bool:
    """Whether `source` (None: this node) may send a frame from `mac`."""
    owner = fdb.static.get(mac, NOBODY)
    if owner is not NOBODY:
        return owner == source
    if guard == "strict":
        return False
    return is_bridge or guard == "off"
