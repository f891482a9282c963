"""What only a bench needs of the native engine: tools in Rust, and a build without a cipher.

The build without a cipher has a directory of its own under `engine/target`, from which nothing is
ever packaged; `tools/setup` builds with no feature, and a test of `l2mesh-core` sees to it that
none is on by default.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["NULL_CIPHER_LIBRARY", "instructions", "null_cipher", "tool", "tools"]

ENGINE: Final = Path(__file__).resolve().parents[2] / "engine"
NULL_CIPHER_TARGET: Final = ENGINE / "target" / "null-cipher"
NULL_CIPHER_LIBRARY: Final = NULL_CIPHER_TARGET / "release" / "lib_native.so"


def tool(package: str, name: str) -> Path:
    """The example `name` of a crate, up to date; CalledProcessError if it cannot be built."""
    _cargo(["-p", package, "--example", name])
    return ENGINE / "target" / "release" / "examples" / name


def tools() -> None:
    """All tools at once, so that no compiler runs while something is measured."""
    _cargo(["-p", "l2mesh-core", "--example", "seal"])
    _cargo(["-p", "l2mesh-io", "--examples"])


def null_cipher() -> Path:
    """The binding for Python whose frames leave in the clear."""
    _cargo(["-p", "l2mesh-python", "--features", "null-cipher"], target=NULL_CIPHER_TARGET)
    return NULL_CIPHER_LIBRARY


def instructions() -> Path:
    """The harness that callgrind counts."""
    words = ["-p", "l2mesh-core", "--features", "null-cipher", "--example", "instructions"]
    _cargo(words, target=NULL_CIPHER_TARGET)
    return NULL_CIPHER_TARGET / "release" / "examples" / "instructions"


def _cargo(words: Sequence[str], *, target: Path | None = None) -> None:
    place = ["--target-dir", str(target)] if target else []
    path = f"{os.environ['PATH']}:{Path.home() / '.cargo/bin'}"
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", *words, *place],
        cwd=ENGINE,
        env={**os.environ, "PATH": path},
        check=True,
    )
