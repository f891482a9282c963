"""The nftables rules of the lab, as texts for `nft -f -`.

Every table is made anew by its text, so that loading one twice changes nothing; `remove` works
whether or not there is such a table. Loss is always made where packets *arrive*: a drop on the way
out would give the sender an error (EPERM or ENOBUFS) that no lost packet gives on a real network.
"""

import re
from collections.abc import Sequence
from ipaddress import ip_address

_DRAWS = 10_000


def remove(family: str, table: str) -> str:
    """Remove the table if there is one."""
    return f"table {family} {table}\ndelete table {family} {table}\n"


def table_name(purpose: str, subject: str) -> str:
    """A valid table name: `-` and its like are not allowed in one."""
    return f"{purpose}_{re.sub(r'[^A-Za-z0-9]', '_', subject)}"


def drop_from(table: str, sources: Sequence[str], *, larger_than: int) -> str:
    """Drop what arrives from these IP addresses, if its IP length exceeds `larger_than` bytes."""
    rules = []
    for source in sources:
        family = "ip" if ip_address(source).version == 4 else "ip6"
        rules.append(f"{family} saddr {source} meta length > {larger_than} drop")
    # Ahead of conntrack (priority -200), so that lost packets leave no trace there.
    body = "\n        ".join(rules)
    return f"""{remove("inet", table)}
table inet {table} {{
    chain arriving {{
        type filter hook prerouting priority raw; policy accept;
        {body}
    }}
}}
"""


def drop_frames(table: str, interface: str, *, fraction: float) -> str:
    """Drop this fraction (0 to 1, in steps of 1/10,000) of the frames that arrive on the interface.

    Each frame is drawn for by itself, at random.
    """
    limit = round(fraction * _DRAWS)
    # numgen compares with what it can draw only, so not with "all".
    chance = f"numgen random mod {_DRAWS} < {limit} " if limit < _DRAWS else ""
    return f"""{remove("netdev", table)}
table netdev {table} {{
    chain arriving {{
        type filter hook ingress device "{interface}" priority -500; policy accept;
        {chance}drop
    }}
}}
"""
