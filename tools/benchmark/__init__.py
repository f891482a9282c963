"""Benchmarks: what the mesh carries and costs, beside the wire that it runs on and its peers.

`tools/bench` measures the whole between namespaces (`__main__`). `contenders` builds each way
between two hosts; `rounds` lets them take turns; `probes` are the single measurements, `cpu` what
they cost, `limit` what they could cost at least; `figures` names what was found, `measures` holds
it against what was promised; `mesh` measures what only a mesh has (joining, the first ping, the way
to a direct path, idling). `report`, `plots` and `docs` show it. `builds` makes the tools in Rust
and the engine without a cipher, which `null_cipher` serves.

Programs of their own: `tools/callgrind` (`instructions`) counts instructions for a packet, which no
load disturbs; `python -m tools.benchmark.primitives` times the cryptographic base in Python.

Figures depend on machine and load. Ratios hold only between figures of one run: the contenders take
turns in every round, so that what disturbs one disturbs all.
"""
