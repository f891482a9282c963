"""Which engine carries the frames: as the operator says, and never silently the slow one."""

import sys
from pathlib import Path

import pytest

from l2mesh.crypto import SodiumCrypto
from l2mesh.errors import ConfigError
from l2mesh.runtime import keylog
from l2mesh.runtime.carrier import SLOW_ENGINE, Carrier

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
