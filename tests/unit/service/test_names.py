import pytest

from l2mesh.errors import ConfigError
from l2mesh.service.tap import NAME_BYTES, check_name, default_names
from l2mesh.service.token import parse_token


def test_default_names_fit_and_differ() -> None:
    names = [
        name for number in range(1, 300) for name in default_names(0x89E92CEEE5000000 + number)
    ]
    assert len(set(names)) == len(names)
    for name in names:
        check_name(name)
        assert len(name) == NAME_BYTES and name.startswith("l2m")


@pytest.mark.parametrize(
    "name", ["", "a" * 16, "ä" * 8, "a b", "a/b", "a:b", ".", "..", "tap%d", "a\n", "a\x00"]
)
def test_name_that_the_kernel_would_refuse_is_refused_before(name: str) -> None:
    with pytest.raises(ConfigError, match="no name of an interface"):
        check_name(name)


@pytest.mark.parametrize("text", ["AAECAwQFBgcICQoLDA0ODw", " AAECAwQFBgcICQoLDA0ODw\n"])
def test_token_is_read_from_base64url(text: str) -> None:
    assert parse_token(text) == bytes(range(16))


def test_token_is_read_from_hex() -> None:
    assert parse_token(bytes(range(32)).hex()) == bytes(range(32))


@pytest.mark.parametrize("text", ["", "short", "x" * 100, "äöü", "=" * 43])
def test_unusable_token_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_token(text)
    assert str(caught.value) == "that is no join token"
