"""Commands as scripts use them: exit codes, JSON and nothing else, options from three places."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.mesh import Mesh, mesh_of
from tools.lab import Host
from tools.lab.daemons import Daemon

pytestmark = pytest.mark.root

PROGRAMS = Path(sys.prefix) / "bin"
ABSENT = "0123456789000001"
STATUS_WITHIN_S = 1.0  # 0.3 s without the measuring of coverage


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with mesh_of("alice", "bob") as mesh:
        network = mesh.network("--name", "lan")
        mesh.join(network, "alice", "bob")
        mesh.wait_ping("alice", "10.9.0.2")
        yield mesh


@pytest.fixture
def network(mesh: Mesh) -> str:
    return str(mesh.ask("alice", "networks")["networks"][0]["id"])


def test_every_command_of_the_node_answers_in_json_alone(mesh: Mesh, network: str) -> None:
    alice, bob = mesh.nodes["alice"], mesh.node_address("bob")
    commands = [
        ["status"],
        ["networks"],
        ["peers"],
        ["fdb"],
        ["fdb", network],
        ["fdb", network, "add", "02:00:00:00:00:07", bob],
        ["counters"],
        ["ping", bob, "-c", "1"],
        ["set", network, "broadcast_route=false"],
        ["join", network],
        ["join", ABSENT, "--wait", "0"],
        ["leave", ABSENT],
    ]
    for words in commands:
        for line in ([*words, "-o", "json"], ["-o", "json", *words]):
            done = alice.cli_raw(*line)
            if words[0] == "leave" and line[0] == "-o":
                assert done.returncode == 5
                continue
            assert (done.returncode, done.stderr) == (0, ""), line
            assert json.loads(done.stdout)["schema"] == f"l2mesh.{words[0]}/1"
    table = alice.cli_raw("status", "-o", "json", "-o", "table")
    assert table.returncode == 0 and not table.stdout.startswith("{")


def test_documents_have_the_keys_of_the_contract(mesh: Mesh, network: str) -> None:
    alice = mesh.nodes["alice"]
    expected = {
        "status": "address fingerprint version engine online planets health",
        "networks": "id name status mac device mtu addresses bridge revision",
        "peers": "address name path endpoint via rtt_ms loss cipher tx_bytes rx_bytes networks",
        "fdb": "network vlan mac peer age_s static",
        "counters": "counters drops",
    }
    for verb, keys in expected.items():
        document = alice.cli(verb)
        lists = {"networks": "networks", "peers": "peers", "fdb": "entries"}
        for one in document[lists[verb]] if verb in lists else [document]:
            assert set(keys.split()) <= set(one), verb
    planet = mesh.planet.cli("status")
    keys = "address sessions relays relayed_bytes relayed_packets"
    assert set(keys.split()) <= set(planet)
    assert {"address", "fingerprint", "public"} <= set(mesh.planet.identity())
    shown = mesh.planet.cli("world", "show", mesh.planet.world)
    assert {"id", "revision", "planets"} <= set(shown)
    assert {"address", "fingerprint", "endpoints"} <= set(shown["planets"][0])
    (member, _) = mesh.controller.cli("member", "list", network)["members"]
    keys = "address fingerprint name authorized online mac addresses bridge router groups tags"
    assert set(keys.split()) <= set(member)


def test_commands_of_controller_and_planet_answer_in_json_alone(mesh: Mesh, network: str) -> None:
    controller, bob = mesh.controller, mesh.node_address("bob")
    commands = [
        ["network", "list"],
        ["network", "show", network],
        ["network", "set", network, "name=lan"],
        ["network", "create", "--name", "other", "--number", "00abcd"],
        ["network", "delete", f"{network[:10]}00abcd"],
        ["member", "list", network],
        ["member", "set", network, bob, "name=bob"],
        ["member", "authorize", network, bob],
        ["token", "create", network],
    ]
    for words in commands:
        done = controller.cli_raw(*words, "-o", "json")
        assert (done.returncode, done.stderr) == (0, ""), words
        assert json.loads(done.stdout)["schema"].startswith("l2mesh.")
    shown = [["status"], ["identity"], ["world", "show", str(mesh.planet.world)]]
    for words in shown:
        done = mesh.planet.cli_raw(*words, "-o", "json")
        assert (done.returncode, done.stderr) == (0, ""), words
        assert json.loads(done.stdout)["schema"].startswith("l2mesh.")


def test_a_static_entry_is_shown_kept_and_taken_back(mesh: Mesh, network: str) -> None:
    alice, bob, mac = mesh.nodes["alice"], mesh.node_address("bob"), "02:00:00:00:00:09"

    def kinds() -> list[tuple[str, int, str]]:
        entries = alice.cli("fdb", network)["entries"]
        return [(one["kind"], one["vlan"], one["peer"]) for one in entries if one["mac"] == mac]

    alice.cli("fdb", network, "add", mac, bob, "--vlan", "7")
    alice.cli("fdb", network, "add", mac, "local")
    assert kinds() == [("static", 0, "local"), ("static", 7, bob)]
    alice.cli("fdb", network, "del", mac)
    assert kinds() == [("static", 7, bob)]
    for words, code in (
        (["add", mac, "nobody"], 5),
        (["del", mac], 5),
        (["add", "ff:ff:ff:ff:ff:ff", bob], 2),
        (["add", alice.cli("networks")["networks"][0]["mac"], bob], 2),
    ):
        done = alice.cli_raw("fdb", network, *words)
        assert (done.returncode, done.stdout) == (code, ""), words
    assert kinds() == [("static", 7, bob)]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nonsense"], 2),
        ([], 2),
        (["join"], 2),
        (["join", "xyz"], 2),
        (["join", ABSENT, "--wait", "soon"], 2),
        (["fdb", "xyz"], 2),
        (["set", ABSENT], 2),
        (["set", ABSENT, "novalue"], 2),
        (["status", "-o", "yaml"], 2),
        (["leave", ABSENT], 5),
        (["fdb", ABSENT], 5),
        (["fdb", ABSENT, "add", "02:00:00:00:00:07", "local"], 5),
        (["fdb", ABSENT, "add", "02:00:00:00:00:07"], 2),
        (["set", ABSENT, "bridge=br0"], 5),
        (["ping", "nobody", "-c", "1"], 5),
    ],
)
def test_wrong_use_of_the_node_is_told(mesh: Mesh, words: list[str], code: int) -> None:
    for line in (words, [*words, "-o", "json"]) if words[-1:] != ["yaml"] else (words,):
        done = mesh.nodes["alice"].cli_raw(*line)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr
        assert words == [] or done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["network", "show", ABSENT], 5),
        (["network", "show", "xyz"], 2),
        (["member", "list", ABSENT], 5),
        (["member", "authorize", "{network}", "0123456789"], 5),
        (["member", "authorize", "{network}", "xyz"], 2),
        (["member", "delete", "{network}", "0123456789"], 5),
        (["token", "create", ABSENT], 5),
        (["token", "create", "{network}", "--expires", "soon"], 2),
        (["token", "create", "{network}", "--uses", "0"], 2),
        (["network", "create", "--pool", "10.9.0.0/33"], 2),
        (["network", "create", "--number", "000000"], 2),
        (["network", "create", "--mtu", "100"], 2),
    ],
)
def test_wrong_use_of_the_controller_is_told(
    mesh: Mesh, network: str, words: list[str], code: int
) -> None:
    before = mesh.controller.cli("network", "list")
    done = mesh.controller.cli_raw(*[word.format(network=network) for word in words])
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert mesh.controller.cli("network", "list") == before


def test_unreachable_daemon_is_3_with_a_hint(mesh: Mesh) -> None:
    host = mesh.nodes["alice"].host
    nothing = host.directory / "nothing"
    nothing.mkdir(mode=0o700, exist_ok=True)
    commands: list[list[Any]] = [
        [PROGRAMS / "l2mesh", "--socket", nothing / "s", "status"],
        [PROGRAMS / "l2mesh-controller", "--state", nothing, "network", "list"],
        [PROGRAMS / "l2mesh-planet", "status", "--state", nothing],
    ]
    for command in commands:
        done = host.run([*command, "-o", "json"], check=False)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("error: ") and "hint: " in done.stderr


def as_nobody(host: Host, command: list[Any]) -> subprocess.CompletedProcess[str]:
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    code = f"import sys; sys.path[:0] = {sys.path!r}; from {{}} import main; sys.exit(main())"
    modules = {"l2mesh": "l2mesh.cli.main", "l2mesh-controller": "controller.main"}
    program = modules[Path(command[0]).name]
    return host.run(
        [*user, sys.executable, "-c", code.format(program), *map(str, command[1:])], check=False
    )


def test_unprivileged_user_is_4(mesh: Mesh) -> None:
    alice = mesh.nodes["alice"]
    if as_nobody(alice.host, ["l2mesh", "--help"]).returncode:
        pytest.skip("this checkout is closed to other users")
    for command in (
        ["l2mesh", "--socket", alice.socket, "status"],
        ["l2mesh-controller", "--state", mesh.controller.state, "network", "list"],
    ):
        done = as_nobody(alice.host, command)
        assert (done.returncode, done.stdout) == (4, ""), done.stderr
        assert done.stderr.startswith("error: ")


def test_socket_comes_from_flag_over_environment(mesh: Mesh) -> None:
    alice = mesh.nodes["alice"]
    program = PROGRAMS / "l2mesh"
    environment = {"L2MESH_SOCKET": str(alice.socket)}
    assert alice.host.run([program, "status"], env=environment).returncode == 0
    wrong = alice.host.run(
        [program, "--socket", "/nonexistent", "status"], env=environment, check=False
    )
    assert wrong.returncode == 3


@pytest.mark.parametrize(
    ("program", "prefix", "words"),
    [
        ("l2meshd", "L2MESHD", []),
        ("l2mesh-controller", "L2MESH_CONTROLLER", ["serve"]),
        ("l2mesh-planet", "L2MESH_PLANET", ["serve"]),
    ],
)
def test_options_flag_over_environment_over_file(
    mesh: Mesh, program: str, prefix: str, words: list[str]
) -> None:
    host, state = mesh.nodes["bob"].host, mesh.lab.directory / f"options-{program}"
    config = mesh.lab.directory / f"{program}.toml"
    text = f'state = "{state}"\nlisten = "127.0.0.1:9801"\nlog-level = "info"\n'
    text += f'socket = "{state}/s"\n' if program == "l2meshd" else ""
    text += f'world = "{mesh.planet.world}"\n' if program == "l2mesh-controller" else ""
    config.write_text(text)
    command: list[Any] = [PROGRAMS / program, *words, "--config", config]
    ports = {
        "9801": ([], {}),
        "9802": ([], {f"{prefix}_LISTEN": "127.0.0.1:9802"}),
        "9803": (["--listen", "127.0.0.1:9803"], {f"{prefix}_LISTEN": "127.0.0.1:9802"}),
    }
    for port, (flags, environment) in ports.items():
        process = host.start([*command, *flags], env=environment, name=program)
        process.wait_for_log(f"listens on port={port}", 20)
        assert process.stop() == 0
    config.write_text(text + 'colour = "red"\n')
    wrong = host.run(command, check=False)
    assert wrong.returncode in (1, 2) and "colour" in wrong.stderr
    config.write_text("not toml")
    assert "TOML" in host.run(command, check=False).stderr


def test_status_is_fast(mesh: Mesh) -> None:
    """The processor's time is judged, since the clock's is that of other programs as well."""
    alice = mesh.nodes["alice"]
    times, busy = [], []
    for _ in range(5):
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        assert alice.cli_raw("status").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(time.monotonic() - began)
        busy.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    print(f"l2mesh status: {min(times):.2f} s, {min(busy):.2f} s of a core")  # noqa: T201
    assert min(busy) < STATUS_WITHIN_S


def test_daemons_say_one_line_when_they_cannot_start(mesh: Mesh) -> None:
    daemons: list[Daemon] = [mesh.nodes["alice"], mesh.controller, mesh.planet]
    for daemon in daemons:
        command = [PROGRAMS / daemon.program, *daemon.daemon_arguments()]
        done = daemon.host.run([*command, "--log-level", "error"], check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1 and "error: " in done.stderr
