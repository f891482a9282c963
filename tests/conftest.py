"""What holds for all tests: the hypothesis profiles, and which files are begun first."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Properties stay random, so that every run looks at new cases; a failure prints the blob that
# replays it. Deadlines are off: a slow machine is no bug, and pytest-timeout catches what hangs.
settings.register_profile(
    "local",
    max_examples=100,
    deadline=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("local"), max_examples=300)
settings.register_profile("thorough", settings.get_profile("local"), max_examples=5000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local")
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of slow tests first, so that no worker begins one when the others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
