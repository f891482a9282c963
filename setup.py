"""The one thing about the package that is decided when it is built: which engine it has.

The variable L2MESH_ENGINE says it: `native` (also when it is not set) needs a Rust toolchain and
fails without; `reference` leaves the extension out, and the data path is then the one in Python.
"""

import os

from setuptools import setup

engine = os.environ.get("L2MESH_ENGINE", "native")
if engine not in {"native", "reference"}:
    raise SystemExit(f"L2MESH_ENGINE is {engine!r}; write native or reference")

if engine == "reference":
    setup()
else:
    from setuptools_rust import Binding, RustExtension

    extension = RustExtension(
        "l2mesh.datapath._native",
        path="engine/python/Cargo.toml",
        binding=Binding.PyO3,
        py_limited_api=True,
        debug=False,
        args=["--locked"],
    )
    setup(rust_extensions=[extension], options={"bdist_wheel": {"py_limited_api": "cp311"}})
