"""What people type to join: an ID, an ID with its controller's fingerprint, or a join string.

A join string is `l2mesh:` and base64url, without padding, of the MessagePack map `{network,
fingerprint, world, token}` (section 9.5). It is a secret as far as its token is one.
"""

import base64
from typing import Annotated, Final

from msgspec import Meta, Struct

from l2mesh.address import format_network_id, is_network_id, parse_fingerprint, parse_network_id
from l2mesh.credential.world import MAX_WORLD_BYTES
from l2mesh.errors import ConfigError, MalformedPacket
from l2mesh.wire.body import pack, unpack
from l2mesh.wire.fields import Fingerprint, Network, Token

__all__ = [
    "JoinString",
    "JoinTarget",
    "format_join_string",
    "parse_join_string",
    "parse_join_target",
]

TEXT_PREFIX: Final = "l2mesh:"


class JoinTarget(Struct, frozen=True):
    """What is to be joined, as far as the one who typed knew it; the token never shows.

    `fingerprint` is the controller's; `world` are bytes for `World.parse`.
    """

    network: Network
    fingerprint: Fingerprint | None = None
    world: Annotated[bytes, Meta(min_length=1, max_length=MAX_WORLD_BYTES)] | None = None
    token: Token | None = None

    def __post_init__(self) -> None:
        if not is_network_id(self.network):
            raise MalformedPacket(f"{self.network:016x} is not a network")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(network={format_network_id(self.network)})"


class JoinString(JoinTarget, frozen=True):
    """What a join string holds: always with the controller's fingerprint."""

    network: Network
    fingerprint: Fingerprint
    world: Annotated[bytes, Meta(min_length=1, max_length=MAX_WORLD_BYTES)] | None = None
    token: Token | None = None


def format_join_string(join: JoinString) -> str:
    """One line of text; MalformedPacket when a value is out of its range."""
    return TEXT_PREFIX + base64.urlsafe_b64encode(pack(join)).decode("ascii").rstrip("=")


def parse_join_string(text: str) -> JoinString:
    """Undoes `format_join_string`; ConfigError, which shows nothing of the text."""
    digits = text.removeprefix(TEXT_PREFIX)
    try:
        if digits == text or len(text) > 2 * MAX_WORLD_BYTES:
            raise ValueError(f"it does not begin with {TEXT_PREFIX} or is too long")
        data = base64.b64decode(digits + "=" * (-len(digits) % 4), b"-_", validate=True)
        return unpack(data, JoinString)
    except ValueError as error:
        raise ConfigError(
            f"not a join string: {error}",
            hint="copy the whole line that `l2mesh-controller token create` shows as `join`",
        ) from None


def parse_join_target(text: str) -> JoinTarget:
    """Reads `ID`, `ID@FINGERPRINT` or a join string; ConfigError."""
    if text.startswith(TEXT_PREFIX):
        return parse_join_string(text)
    network, at, fingerprint = text.partition("@")
    return JoinTarget(parse_network_id(network), parse_fingerprint(fingerprint) if at else None)
