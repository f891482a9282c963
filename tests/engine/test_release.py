"""What is installed is a release build."""

import pytest

_native = pytest.importorskip("l2mesh.datapath._native", reason="the native engine was not built")


def test_the_installed_engine_has_a_cipher() -> None:
    assert _native.NULL_CIPHER is False
