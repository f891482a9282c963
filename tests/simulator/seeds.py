"""Fixtures and hooks of everything that runs on a seed; the ``conftest.py`` files take them over.

A test that asks for ``sim`` (or ``seed``) runs once for each of a few seeds; ``@seeds(n)`` says how
many. ``L2MESH_SIM_SEED=n`` runs it with that seed alone. A failure prints the line that replays it,
and writes the log of all events into the folder ``L2MESH_SIM_LOG`` when that is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from tests.simulator.simulation import Simulation

__all__ = ["pytest_generate_tests", "pytest_runtest_makereport", "seeds", "sim"]

DEFAULT_SEEDS: Final = 2
SEED: Final = "L2MESH_SIM_SEED"
LOG: Final = "L2MESH_SIM_LOG"

F = TypeVar("F", bound=Callable[..., Any])


def seeds(count: int) -> Callable[[F], F]:
    """How many seeds a test runs with."""

    def mark(function: F) -> F:
        function.seeds = count  # type: ignore[attr-defined]
        return function

    return mark


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each seed."""
    if "seed" in metafunc.fixturenames:
        chosen = os.environ.get(SEED)
        count = getattr(metafunc.function, "seeds", DEFAULT_SEEDS)
        values = [int(chosen)] if chosen else list(range(1, count + 1))
        metafunc.parametrize("seed", values, ids=[f"seed{value}" for value in values])


@pytest.fixture
def sim(seed: int, tmp_path: Path) -> Iterator[Simulation]:
    """A simulated world that begins empty."""
    simulation = Simulation(seed, tmp_path)
    yield simulation
    simulation.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Tell how a failure is replayed."""
    outcome = yield
    report = outcome.get_result()
    simulation = getattr(item, "funcargs", {}).get("sim")
    if report.when != "call" or not report.failed or simulation is None:
        return
    path = item.nodeid.partition("[")[0]
    text = f"{SEED}={simulation.seed} .venv/bin/pytest '{path}'\n{simulation.summary()}"
    folder = os.environ.get(LOG)
    if folder:
        log = Path(folder) / f"{item.name}.log"
        simulation.journal.write(log)
        text += f"\nevents: {log}"
    else:
        text += f"\nset {LOG}=FOLDER to have the events written there"
    report.sections.append(("replay", text))
