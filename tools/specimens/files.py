"""The files of vectors: what each is about, and how it is made.

Every file is an object with a `comment` and a list of `cases`. Bytes are lower-case hex, numbers
are JSON numbers, whatever their size. A case with `invalid` says why its bytes must be refused.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tools.specimens.cast import Case
from tools.specimens.datagrams import (
    control_cases,
    data_cases,
    group_cases,
    lan_cases,
    relay_cases,
)
from tools.specimens.handshakes import handshake_cases, payload_cases
from tools.specimens.messages import messages_cases
from tools.specimens.names import address_cases, identity_cases, keys_cases
from tools.specimens.signed import signed_cases
from tools.specimens.worlds import world_cases

__all__ = ["FILES", "document", "path_of"]

DATA: Final = Path(__file__).resolve().parents[2] / "tests" / "vectors" / "data"

FILES: Final[dict[str, tuple[str, Callable[[], Iterator[Case]]]]] = {
    "identity": ("Identities and addresses, section 1.", identity_cases),
    "address": ("Network IDs and MACs, section 1.", address_cases),
    "keys": ("The key of each index, section 3.6.", keys_cases),
    "data": ("DATA datagrams and pieces, section 4.", data_cases),
    "group": ("Plaintext of GROUP, section 4.1.", group_cases),
    "relay": ("RELAY datagrams, section 5.", relay_cases),
    "lan": ("LAN beacons, section 8.6.", lan_cases),
    "control": ("Control records, section 6.", control_cases),
    "messages": ("Messages and bodies, section 6.", messages_cases),
    "signed": ("Signed objects, sections 9.1 to 9.4.", signed_cases),
    "world": ("Worlds, section 7.1, and join strings, section 9.5.", world_cases),
    "handshake": (
        "Handshakes and cookies, section 3; random = handshake u32 | e.",
        handshake_cases,
    ),
    "payload": ("Plaintext of INIT and RESPONSE, section 3.3, with LANES.", payload_cases),
}


def path_of(name: str) -> Path:
    """Where the vectors of this name are kept."""
    return DATA / f"l2mesh-{name}.json"


def document(name: str) -> str:
    """The text of a file, made anew."""
    comment, cases = FILES[name]
    return json.dumps({"comment": comment, "cases": list(cases())}, indent=1) + "\n"
