"""World files and the key that signs them.

The key is a file of one line, ``l2mesh-world-key:`` and the 32-byte seed in base64url. It is made
beside the planet's identity, and may be moved away: a running planet needs only the world.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from l2mesh.credential.world import Planet, SigningKey, World
from l2mesh.crypto import KEY_BYTES, Crypto, Random
from l2mesh.errors import ConfigError
from l2mesh.identity import Identity
from l2mesh.service.state import StateDirectory
from l2mesh.wire.endpoint import Endpoint

__all__ = ["create_world", "own_world", "read_world_file", "write_world_file"]

KEY_FILE: Final = "world.key"
WORLD_FILE: Final = "world"
KEY_PREFIX: Final = "l2mesh-world-key:"
MAX_FILE_BYTES: Final = 1024 * 1024
_BEYOND_OWNER: Final = 0o077


def own_world(state: StateDirectory, identity: Identity, crypto: Crypto) -> World | None:
    """The world in the state directory, None if there is none yet.

    ConfigError if it is damaged or does not name ``identity``.
    """
    path = state.path / WORLD_FILE
    data = state.read(WORLD_FILE)
    if data is None:
        return None
    world = _parse(path, data, crypto)
    if all(planet.identity.fingerprint != identity.fingerprint for planet in world.planets):
        raise ConfigError(
            f"the world file {path} does not name this planet's own identity",
            hint="make one that does with `l2mesh-planet world create`, or remove that file",
        )
    return world


def create_world(
    state: StateDirectory,
    planets: Sequence[Planet],
    crypto: Crypto,
    random: Random,
    *,
    key_file: Path | None = None,
) -> World:
    """A world signed with the key in ``key_file`` (by default `world.key`, made if missing).

    Its revision is above that of the world in the state directory, and it is an update of that one
    if the key signed it.
    """
    key = _own_key(state, crypto, random) if key_file is None else _read_key(key_file, crypto)
    data = state.read(WORLD_FILE)
    if data is None:
        return World.create(planets, [key], crypto)
    held = _parse(state.path / WORLD_FILE, data, crypto)
    if held.signers == (key.public,):
        return World.create(planets, [key], crypto, previous=held, previous_keys=[key])
    return World.create(planets, [key], crypto, revision=held.revision + 1)


def own_endpoints_world(
    state: StateDirectory,
    identity: Identity,
    endpoints: Sequence[Endpoint],
    crypto: Crypto,
    random: Random,
) -> World:
    """A world with this planet alone, kept in the state directory."""
    planets = [Planet(identity.public, tuple(endpoints))]
    world = create_world(state, planets, crypto, random)
    state.write(WORLD_FILE, f"{world.text()}\n".encode("ascii"))
    return world


def read_world_file(path: Path, crypto: Crypto) -> World:
    """The world in any file; ConfigError says why there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    return _parse(path, data, crypto)


def write_world_file(path: Path, world: World) -> None:
    """Puts a world in a file that everybody may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(f"{world.text()}\n", encoding="ascii")
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def _parse(path: Path, data: bytes, crypto: Crypto) -> World:
    try:
        return World.from_text(data.decode("ascii", "replace"), crypto)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", hint=error.hint) from error


def _own_key(state: StateDirectory, crypto: Crypto, random: Random) -> SigningKey:
    data = state.read(KEY_FILE)
    if data is not None:
        return _decode_key(state.path / KEY_FILE, data, crypto)
    seed = random(KEY_BYTES)
    digits = base64.urlsafe_b64encode(seed).decode("ascii").rstrip("=")
    state.write(KEY_FILE, f"{KEY_PREFIX}{digits}\n".encode("ascii"))
    return SigningKey.from_seed(seed, crypto)


def _read_key(path: Path, crypto: Crypto) -> SigningKey:
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & _BEYOND_OWNER:
                raise ConfigError(
                    f"{path} may be read by others than its owner", hint=f"run: chmod 600 {path}"
                )
            data = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    return _decode_key(path, data, crypto)


def _decode_key(path: Path, data: bytes, crypto: Crypto) -> SigningKey:
    text = data.decode("ascii", "replace").strip()
    try:
        seed = base64.b64decode(f"{text.removeprefix(KEY_PREFIX)}=", b"-_", validate=True)
    except ValueError:
        seed = b""
    if not text.startswith(KEY_PREFIX) or len(seed) != KEY_BYTES:
        raise ConfigError(
            f"{path} is damaged: it holds no world key",
            hint="restore it from a backup, or move it away to begin a new world",
        )
    return SigningKey.from_seed(seed, crypto)
