"""Seeds for all scenarios."""

import gc

from tests.simulator.seeds import pytest_generate_tests, pytest_runtest_makereport, sim

# A world is many objects that live until its end: to look through all of them often, as is the
# default, takes up to a fifth of the time.
gc.set_threshold(200_000, 50, 100)

__all__ = ["pytest_generate_tests", "pytest_runtest_makereport", "sim"]
