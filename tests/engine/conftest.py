"""Each module runs once for each kind of engine."""

import importlib.util
from collections.abc import Iterator

import pytest

from tests.engine.lab import use

HAS_NATIVE = importlib.util.find_spec("l2mesh.datapath._native") is not None
NATIVE = pytest.param(
    "native",
    marks=pytest.mark.skipif(not HAS_NATIVE, reason="the native engine has not been built"),
)


@pytest.fixture(scope="module", autouse=True, params=["reference", NATIVE])
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """What kind of engine hosts have."""
    use.kind = request.param
    yield use.kind
    use.kind = "reference"
