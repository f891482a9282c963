"""Which engine carries the frames: as the operator says, and never silently the slow one."""

import sys
from pathlib import Path

import pytest

from l2mesh.crypto import SodiumCrypto
from l2mesh.errors import ConfigError
from l2mesh.runtime import keylog
from l2mesh.runtime.carrier import SLOW_ENGINE, Carrier
from l2mesh.runtime.workers import default_workers

CRYPTO = SodiumCrypto()


@pytest.fixture
def not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "l2mesh.datapath.native", None)


def test_reference_engine_is_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    carrier = Carrier("reference", CRYPTO)
    assert carrier.engine.name == "reference"
    assert carrier.health() == [SLOW_ENGINE]
    assert SLOW_ENGINE in caplog.text


def test_native_engine_has_nothing_to_say() -> None:
    pytest.importorskip("l2mesh.datapath.native", reason="the native engine is not built")
    for choice in ("auto", "native"):
        carrier = Carrier(choice, CRYPTO)
        assert carrier.engine.name == "native" and carrier.health() == []


def test_only_the_native_engine_has_several_workers() -> None:
    pytest.importorskip("l2mesh.datapath.native", reason="the native engine is not built")
    assert Carrier("native", CRYPTO, workers=3).workers == 3
    assert Carrier("reference", CRYPTO, workers=3).workers == 1


@pytest.mark.parametrize(("processors", "workers"), [(1, 1), (2, 1), (3, 1), (4, 2), (64, 4)])
def test_half_of_the_processors_carry_frames(
    monkeypatch: pytest.MonkeyPatch, processors: int, workers: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)))
    assert default_workers() == workers


@pytest.mark.usefixtures("not_built")
def test_auto_falls_back_to_the_reference_engine() -> None:
    assert Carrier("auto", CRYPTO).health() == [SLOW_ENGINE]


@pytest.mark.usefixtures("not_built")
def test_native_engine_that_is_demanded_and_missing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="the native engine cannot be used") as caught:
        Carrier("native", CRYPTO)
    assert "tools/setup" in caught.value.hint


def test_key_log_is_said_aloud(tmp_path: Path) -> None:
    assert keylog.WARNING in Carrier("auto", CRYPTO, key_log=tmp_path / "keys").health()
