"""A way out of the host through a network, and how our own datagrams stay out of it.

A default route in the main table would carry the mesh inside itself. So it stands in a table of its
own, and rules send there what no other route of the main table wants and what does not bear the
mark of our own UDP sockets::

    27690: from all lookup main suppress_prefixlength 0     every route but the default one
    27698: not from all fwmark 0x6c32 lookup 27698          our default route

The rules mean nothing while that table is empty, as it is after a SIGKILL took the device away.
Where ``rp_filter`` is 1 (strict) the kernel drops answers to our datagrams: it must be 0 or 2.
"""

from __future__ import annotations

import errno
from typing import Any, Final

from pyroute2.netlink.exceptions import NetlinkError

from l2mesh.runtime.underlay import SOCKET_MARK

__all__ = ["TABLE", "add_rules", "is_default", "remove_rules"]

TABLE: Final = 27698
MAIN_TABLE: Final = 254
RULE_MAIN: Final = 27690
RULE_OURS: Final = 27698
INVERTED: Final = 0x2
"""FIB_RULE_INVERT: what does *not* bear the mark."""
FAMILIES: Final = (2, 10)
"""AF_INET, AF_INET6."""


def is_default(destination: str) -> bool:
    """Whether a route is for everything."""
    return destination.endswith("/0")


def add_rules(ip: Any, family: int) -> None:
    """Makes the two rules for one family, unless they are there."""
    wanted = (
        {"priority": RULE_MAIN, "table": MAIN_TABLE, "suppress_prefixlen": 0},
        {"priority": RULE_OURS, "table": TABLE, "fwmark": SOCKET_MARK, "flags": INVERTED},
    )
    for rule in wanted:
        try:
            ip.rule("add", family=family, **rule)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise


def remove_rules(ip: Any) -> None:
    """Takes the rules of both families away, as far as they are there."""
    for family in FAMILIES:
        for priority, table in ((RULE_MAIN, MAIN_TABLE), (RULE_OURS, TABLE)):
            try:
                ip.rule("del", family=family, priority=priority, table=table)
            except NetlinkError as error:
                if error.code not in {errno.ENOENT, errno.EAFNOSUPPORT}:
                    raise
