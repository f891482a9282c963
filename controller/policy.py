"""Who is admitted, and under what name.

Admission (section 8.1) of somebody whom the session has proved:

    row says          network public   token good   -> standing
    authorized        any              any             authorized
    denied            any              any             denied: only an administrator undoes that
    pending / none    yes              any             authorized
    pending / none    no               yes             authorized
    pending / none    no               no              pending
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

from controller.model import Member, NotFound, Standing
from l2mesh.address import format_fingerprint
from l2mesh.errors import StateError

__all__ = ["MAX_LEAP", "MAX_NAME", "MAX_PENDING", "admit", "clean_name", "select_member"]

MAX_NAME: Final = 64
MAX_PENDING: Final = 1000
"""Requests of one network that wait for an administrator; further ones are refused."""
MAX_LEAP: Final = 65_536
"""How far above ours a member's numbers are believed after a backup was restored."""


def admit(standing: Standing | None, *, is_public: bool, has_good_token: bool) -> Standing:
    """What somebody who asks is from now on; ``standing`` None: nobody knew of it."""
    if standing in (Standing.AUTHORIZED, Standing.DENIED):
        return standing
    return Standing.AUTHORIZED if is_public or has_good_token else Standing.PENDING


def clean_name(text: str) -> str:
    """A name that others may be shown: printable, one line, at most 64 characters.

    Characters that change how their neighbours read (controls, format and bidirectional marks, lone
    surrogates) are left out.
    """
    kept = (c for c in unicodedata.normalize("NFC", text[: 4 * MAX_NAME]) if c.isprintable())
    return " ".join("".join(kept).split())[:MAX_NAME].rstrip()


def select_member(members: Iterable[Member], address: bytes, fingerprint: bytes | None) -> Member:
    """The one member meant by ADDRESS[@FINGERPRINT].

    Raises NotFound if there is none, StateError if the address alone does not tell.
    """
    found = [m for m in members if m.address == address and fingerprint in (None, m.fingerprint)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(
            f"no member {address.hex()} is known in this network",
            hint="it has to ask first (l2mesh join), or give ADDRESS@FINGERPRINT",
        )
    claims = (f"{address.hex()}@{format_fingerprint(m.fingerprint)}" for m in found)
    choices = " or ".join(sorted(claims))
    raise StateError(
        f"{len(found)} identities claim the address {address.hex()}", hint=f"say {choices}"
    )
