"""The grid: every kind of place on the internet against every other, and what becomes of the pair.

`places` says which places there are and what must be possible between two of them. `simulated`
plays a pair in the simulator, thousands of them in minutes; `real` plays it with the programs
themselves, on the `ground` of network namespaces; `table` prints what came out.
`tools/grid` does it all, and writes the tables of `docs/paths.md` when asked.
"""
