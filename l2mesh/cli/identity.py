"""How an identity is shown to its owner, and a stranger's in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from l2mesh.cli.output import outline, show
from l2mesh.errors import ConfigError

if TYPE_CHECKING:
    from l2mesh.identity import PublicIdentity

__all__ = ["names", "show_identity"]


def names(public: PublicIdentity) -> dict[str, str]:
    """Address and fingerprint; ConfigError for an identity that has no address."""
    from l2mesh.address import format_address, format_fingerprint
    from l2mesh.crypto import SodiumCrypto
    from l2mesh.identity import address_of

    address = address_of(public.fingerprint, SodiumCrypto())
    if address is None:
        raise ConfigError("this identity has no address: it was not made by this program")
    return {
        "address": format_address(address),
        "fingerprint": format_fingerprint(public.fingerprint),
    }


def show_identity(context: click.Context, public: PublicIdentity) -> None:
    """Prints what ``identity`` answers."""
    document = {"schema": "l2mesh.identity/1", **names(public), "public": public.text()}
    show(context, document, outline(document))
