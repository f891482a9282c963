"""The command line: exit statuses, error lines, and where options come from."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.cli import options
from controller.main import main
from l2mesh.cli.failure import Failure

NETWORK = "89e92ceee5000001"
MEMBER = {
    "schema": "l2mesh.member/1",
    "address": "89e92ceee5",
    "fingerprint": "a" * 52,
    "name": "a\x1b[31mb",
    "status": "authorized",
    "online": True,
    "addresses": ["10.9.0.1/24"],
    "mac": "02:4c:32:00:00:01",
    **dict.fromkeys(("bridge", "router", "dhcp", "ra", "relay"), False),
}


class Daemon:
    """Stands in for a running `serve`: notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answer: dict[str, Any] = dict(MEMBER)
        self.failure: Failure | None = None

    def request(
        self, path: str, verb: str, arguments: dict[str, Any], **wording: object
    ) -> dict[str, Any]:
        self.asked.append((path, verb, arguments))
        if self.failure is not None:
            raise self.failure
        return self.answer


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    fake = Daemon()
    monkeypatch.setattr(options, "request", fake.request)
    monkeypatch.delenv("L2MESH_CONTROLLER_STATE", raising=False)
    return fake


def run(*words: str) -> int:
    return main(words)


def test_without_a_daemon_the_status_is_3_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--state", str(tmp_path), "network", "list", "-o", "json") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: no controller answers at {tmp_path}/controller.sock\nhint: ")


@pytest.mark.parametrize(
    "words",
    [
        ("--state", "/x", "member", "list", NETWORK, "-o", "json"),
        ("--state", "/x", "-o", "json", "member", "list", NETWORK),
        ("member", "-o", "json", "--state", "/x", "list", NETWORK),
        ("member", "list", NETWORK, "-o", "json", "--state", "/x"),
    ],
)
def test_options_stand_anywhere(
    daemon: Daemon, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.answer = {"schema": "l2mesh.members/1", "members": [MEMBER]}
    assert run(*words) == 0
    assert json.loads(capsys.readouterr().out) == daemon.answer
    assert daemon.asked == [("/x/controller.sock", "member_list", {"network": NETWORK})]


def test_a_table_shows_no_control_characters(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.answer = {"members": [MEMBER]}
    assert run("--state", "/x", "member", "list", NETWORK) == 0
    out = capsys.readouterr().out
    assert "89e92ceee5" in out and "\x1b" not in out


def test_state_comes_from_flag_over_environment_over_file(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answer = {"networks": []}
    config = tmp_path / "controller.toml"
    config.write_text('state = "/file"\nlisten = "[::]:1"\nlog-level = "debug"\n')
    run("--config", str(config), "network", "list")
    monkeypatch.setenv("L2MESH_CONTROLLER_STATE", "/environment")
    run("--config", str(config), "network", "list")
    run("--config", str(config), "--state", "/flag", "network", "list")
    assert [path.split("/")[1] for path, _, _ in daemon.asked] == ["file", "environment", "flag"]


def test_the_form_of_answers_comes_from_the_environment_too(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.answer = {"networks": []}
    monkeypatch.setenv("L2MESH_CONTROLLER_OUTPUT", "json")
    run("network", "list")
    run("-o", "table", "network", "list")
    assert capsys.readouterr().out.splitlines()[-1] == "no networks"
    run("network", "list")
    assert json.loads(capsys.readouterr().out) == daemon.answer


def test_a_wrong_key_in_the_file_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "controller.toml"
    config.write_text("lisen = 1\n")
    assert run("--config", str(config), "network", "list") == 2
    assert "no option is called 'lisen'" in capsys.readouterr().err


def test_what_is_asked(daemon: Daemon) -> None:
    daemon.answer |= {"id": NETWORK, "token": "t", "join": "j"}
    run("network", "create", "--name", "n", "--pool", "10.9.0.0/24", "--pool", "fd00::/64")
    run("network", "create", "--public", "--number", "000001", "--mtu", "1400")
    run("member", "authorize", NETWORK, "89E92CEEE5")
    run("member", "set", NETWORK, "89e92ceee5", "bridge=true", "addresses=10.9.0.7/24,fd00::7/64")
    run("token", "create", NETWORK, "--uses", "2", "--expires", "7d")
    pools = {"name": "n", "pools": "10.9.0.0/24,fd00::/64"}
    member = {"network": NETWORK, "member": "89e92ceee5"}
    settings = {"bridge": "true", "addresses": "10.9.0.7/24,fd00::7/64"}
    assert [(verb, arguments) for _, verb, arguments in daemon.asked] == [
        ("network_create", {"number": None, "settings": pools}),
        ("network_create", {"number": "000001", "settings": {"mtu": "1400", "public": "true"}}),
        ("member_authorize", member),
        ("member_set", member | {"settings": settings}),
        ("token_create", {"network": NETWORK, "uses": 2, "expires": "7d"}),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("network", "show", "12"), "is not a network ID"),
        (("network", "set", NETWORK, "mtu"), "is no KEY=VALUE"),
        (("network", "set", NETWORK, "mtu=1", "mtu=2"), "mtu is given twice"),
        (("network", "set", NETWORK), "Missing argument"),
        (("member", "authorize", NETWORK, "box"), "is not an address"),
        (("member", "authorize", NETWORK, "89e92ceee5@abc"), "is not a fingerprint"),
        (("token", "create", NETWORK, "--uses", "0"), "not in the range"),
        (("colour",), "No such command"),
    ],
)
def test_wrong_usage_is_2_and_asks_nobody(
    daemon: Daemon, words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and says in err
    assert daemon.asked == []


@pytest.mark.parametrize(
    ("code", "status"),
    [("failed", 1), ("usage", 2), ("unreachable", 3), ("not_permitted", 4), ("not_found", 5)],
)
def test_refusals_have_their_status(
    daemon: Daemon, code: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.failure = Failure(code, "no", hint="")
    assert run("network", "show", NETWORK, "-o", "json") == status
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ")


def test_identity_is_made_once_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = []
    for _ in range(2):
        assert run("identity", "--state", str(tmp_path / "c"), "-o", "json") == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]
    assert (len(answers[0]["address"]), len(answers[0]["fingerprint"])) == (10, 52)
    assert len(answers[0]["public"]) == 171


def test_an_unusable_state_directory_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    tmp_path.chmod(0o755)
    assert run("identity", "--state", str(tmp_path)) == 1
    assert "is open to others" in capsys.readouterr().err
