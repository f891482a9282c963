"""Benchmarks: each module is a program that prints what one part of the project costs.

`python -m tools.benchmark.NAME`. Figures quoted in docstrings and documents come from here; compare
them only on the same, otherwise idle machine.
"""
