"""`l2meshd` on the build of the native engine that leaves frames in the clear, for benches alone.

Usage: python -m tools.benchmark.null_cipher LIBRARY [OPTION OF l2meshd ...]

The library is loaded from where it was built; what is installed is not touched.
"""

import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Final

MODULE: Final = "l2mesh.datapath._native"


def load(library: Path) -> None:
    """Let this file be the native engine of this process; ImportError if it seals frames."""
    spec = spec_from_loader(MODULE, ExtensionFileLoader(MODULE, str(library)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{library} is no extension")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    if not module.NULL_CIPHER:
        raise ImportError(f"{library} has a cipher")
    sys.modules[MODULE] = module


def main() -> None:
    """Serve as l2meshd does."""
    load(Path(sys.argv[1]))
    from l2mesh.service.main import main as serve

    sys.argv[:2] = ["l2meshd"]
    serve()


if __name__ == "__main__":
    main()
