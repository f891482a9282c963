"""Benchmarks: what the mesh carries and costs, beside the wire that it runs on and its peers.

`tools/bench` measures the whole between namespaces (`__main__`): `contenders` builds each way
between two hosts, `throughput` measures them in turn, `mesh` measures what only a mesh has
(joining, the first ping, the way to a direct path, idling), and `report` shows it. `primitives` is
a program of its own for the cryptographic base: `python -m tools.benchmark.primitives`.

Figures depend on machine and load. Ratios hold only between figures of one run: the contenders take
turns in every round, so that what disturbs one disturbs all.
"""
