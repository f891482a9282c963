"""Seeds for all scenarios."""

from tests.simulator.seeds import pytest_generate_tests, pytest_runtest_makereport, sim

__all__ = ["pytest_generate_tests", "pytest_runtest_makereport", "sim"]
