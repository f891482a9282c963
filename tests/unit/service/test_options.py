from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.service.foundation import relay_bounds
from l2mesh.service.main import main
from l2mesh.service.options import config_option, daemon_settings


@click.command(context_settings=daemon_settings("L2MESHD"))
@config_option()
@click.option("--listen", default="default")
@click.option("--relay-only", is_flag=True)
@click.option("--pool", multiple=True)
def command(**options: Any) -> None:
    click.echo(repr(options))


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(command, arguments, env=environment)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text('listen = "file"\nrelay-only = true\npool = ["a", "b"]\n')
    return path


def test_flag_wins_over_environment_over_file_over_default(file: Path) -> None:
    config = ("--config", str(file))
    assert "'listen': 'default'" in run().output
    assert "'listen': 'file', 'relay_only': True, 'pool': ('a', 'b')" in run(*config).output
    assert "'listen': 'env'" in run(*config, L2MESHD_LISTEN="env").output
    both = run(*config, "--listen", "flag", L2MESHD_LISTEN="env")
    assert "'listen': 'flag'" in both.output
    assert "'listen': 'file'" in run("--listen", "file", *config).output
    assert "'relay_only': False" in run(*config, L2MESHD_RELAY_ONLY="false").output
    assert "'listen': 'file'" in run(L2MESHD_CONFIG=str(file)).output


def test_unknown_key_is_told_with_the_known_ones(file: Path) -> None:
    file.write_text('listn = "x"\n')
    result = run("--config", str(file))
    assert result.exit_code == 1
    assert "no option is called 'listn'" in result.stderr
    assert "listen, pool, relay-only" in result.stderr


@pytest.mark.parametrize("content", [b"listen = ", b"\xff", b'listen = "a"\nlisten = "b"'])
def test_unreadable_file_is_named(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    result = run("--config", str(file))
    assert result.exit_code == 1
    assert f"{file} is no valid TOML" in result.stderr


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert "cannot read" in run("--config", str(tmp_path / "none")).stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--listen", "nowhere"), "'nowhere' is no address to listen on"),
    ],
)
def test_daemon_that_cannot_start_says_so_in_one_line(
    arguments: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("l2mesh.service.process.harden", lambda: None)
    monkeypatch.setattr("l2mesh.service.process.set_up_log", lambda level: None)
    result = CliRunner().invoke(main, ["--state", str(tmp_path / "state"), *arguments])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"l2meshd: error: {line}")
    assert result.stderr.count("\n") == 1


def test_an_operator_limits_or_declines_to_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr("l2mesh.service.daemon.Daemon", made.append)
    monkeypatch.setattr("l2mesh.service.main.run_daemon", lambda name, make, **_: make())
    for arguments in ([], ["--no-carry"], ["--relay-rate", "1001"]):
        assert CliRunner().invoke(main, arguments).exit_code == 0
    chosen = [(options.carry, options.relay_rate) for options in made]
    assert chosen == [(True, None), (False, None), (True, 1001)]
    bounds = relay_bounds(1001)
    assert (bounds.relay_rate, bounds.relay_burst) == (1001, 500)
    assert relay_bounds(None) == Bounds()
