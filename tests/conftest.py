"""Settings that hold for all tests: the hypothesis profiles."""

import os

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
