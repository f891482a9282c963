import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from l2mesh.cli.main import main
from tests.unit.cli.answers import (
    ANSWERS,
    CANDIDATE,
    FAMILY,
    FINGERPRINT,
    HOSTILE,
    NETCHECK,
    NETWORK,
    NETWORK_ENTRY,
    PATH,
    PEER,
    PONG,
    STATUS,
)

COMMANDS = [
    ["status"],
    ["networks"],
    ["peers"],
    ["fdb", NETWORK],
    ["fdb", NETWORK, "add", "02:00:00:00:00:07", "bob", "--vlan", "7"],
    ["fdb", NETWORK, "del", "02:00:00:00:00:07"],
    ["counters"],
    ["join", NETWORK],
    ["leave", NETWORK],
    ["set", NETWORK, "bridge=br0"],
    ["ping", "bob", "-c", "1"],
    ["path", "bob"],
    ["netcheck"],
    ["guard", NETWORK],
    ["groups", NETWORK],
]


class FakeDaemon:
    """Answers as `ANSWERS` says, or with an error; remembers what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[dict[str, Any]] = []
        self.errors: list[dict[str, str] | None] = []
        self.raw: bytes | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, client.makefile("rwb") as file:
                (size,) = struct.unpack(">I", file.read(4))
                request = msgpack.unpackb(file.read(size))
                self.requests.append(request)
                file.write(self._answer(request["verb"]))

    def _answer(self, verb: str) -> bytes:
        if self.raw is not None:
            return self.raw
        error = self.errors.pop(0) if self.errors else None
        answer = {"error": error} if error else {"result": ANSWERS[verb]}
        data: bytes = msgpack.packb(answer)
        return struct.pack(">I", len(data)) + data


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    daemon = FakeDaemon(tmp_path / "s")
    monkeypatch.setenv("L2MESH_SOCKET", str(daemon.path))
    yield daemon
    daemon.close()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("where", ["before", "after", "between"])
def test_every_command_speaks_json(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], command: list[str], where: str
) -> None:
    option = ["-o", "json"]
    places = {
        "before": [*option, *command],
        "after": [*command, *option],
        "between": [command[0], *option, *command[1:]],
    }
    assert main(places[where]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["schema"] == f"l2mesh.{command[0]}/1"
    assert err == ""
    assert out.isascii() and "\x1b" not in out
    assert daemon.requests[0]["verb"].split("_")[0] == command[0]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_speaks_to_people_without_control_characters(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([*command, "-o", "json", "-o", "table"]) == 0
    out, err = capsys.readouterr()
    assert out and err == ""
    assert all(line.isprintable() for line in out.split("\n"))


def test_tables_are_readable(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    main(["peers"])
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "PEER", "NAME", "PATH", "ENDPOINT", "RTT", "LOSS", "SENT", "GOT",
    ]  # fmt: skip
    assert header.index("PATH") == row.index("relay")
    assert header.index("ENDPOINT") == row.index("via 1111111111")
    assert "25%" in row and "1.2 MB" in row and " -  " in row
    main(["status"])
    assert "1111111111  192.0.2.1:9993  1.3 ms  up" in capsys.readouterr().out


def test_home_planet_that_is_not_up_is_not_called_so(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planet = {**STATUS["planets"][0], "home": True}
    for state in ("up", "draining", "connecting"):
        monkeypatch.setitem(ANSWERS, "status", {**STATUS, "planets": [{**planet, "state": state}]})
        main(["status"])
        assert f"  {state}, home  " in capsys.readouterr().out


def test_what_is_wrong_with_a_device_is_told_where_it_is_asked_for(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {**NETWORK_ENTRY, "bridge": "br0", "problem": "l2m0 waits for its bridge to appear"}
    monkeypatch.setitem(ANSWERS, "networks", {"networks": [entry]})
    monkeypatch.setitem(ANSWERS, "set", entry)
    for command in (["networks"], ["set", NETWORK, "bridge=br0"]):
        assert main(command) == 0
        assert "l2m0 waits for its bridge to appear" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("failed", 1),
        ("usage", 2),
        ("not_permitted", 4),
        ("not_found", 5),
        ("denied", 5),
        ("timed_out", 6),
        ("something new", 1),
    ],
)
def test_exit_status_tells_what_went_wrong(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], code: str, status: int
) -> None:
    daemon.errors = [{"code": code, "message": f"why {HOSTILE}", "hint": "do this"}]
    assert main(["join", NETWORK, "-o", "json"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first.startswith("error: why bob") and first.isprintable()
    assert second == "hint: do this"


def test_absent_daemon_is_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--socket", str(tmp_path / "none"), "status"]) == 3
    assert "hint: start l2meshd" in capsys.readouterr().err


def test_closed_socket_is_status_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: socket.socket, address: str) -> None:
        raise PermissionError(13, "Permission denied", address)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert main(["--socket", "/s", "status"]) == 4
    assert capsys.readouterr().err.startswith("error: you may not use /s\nhint: ")


def test_socket_that_cannot_be_asked_is_status_3_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--socket", "/etc/hostname/s", "status"]) == 3
    assert "no daemon answers at /etc/hostname/s: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize("raw", [b"", b"\0", b"\xff" * 4, b"\0\0\0\5x", b"\0\0\0\1x"])
def test_daemon_that_dies_is_status_3(daemon: FakeDaemon, raw: bytes) -> None:
    daemon.raw = raw
    assert main(["status"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["join", "xyz"], "'xyz' is not a network ID"),
        (["join", NETWORK[:-1]], "15 characters, not 16"),
        (["join", f"{NETWORK}@abc"], "fingerprint"),
        (["join", "l2mesh:"], "the join string is damaged"),
        (["join", "l2mesh:a b"], "the join string is damaged"),
        (["leave", "89e92ceee5000000"], "000000 is not a network"),
        (["fdb", "x"], "not a network ID"),
        (["fdb", NETWORK, "add"], "add needs other arguments"),
        (["fdb", NETWORK, "add", "02:00:00:00:00:07"], "add needs other arguments"),
        (["fdb", NETWORK, "del", "02:00:00:00:00:07", "bob"], "del needs other arguments"),
        (["fdb", NETWORK, "add", "02:00", "bob"], "'02:00' is not a MAC"),
        (["fdb", NETWORK, "add", "02:00:00:00:00:07", "bob", "--vlan", "4095"], "--vlan"),
        (["fdb", NETWORK, "drop"], "'drop' is not one of"),
        (["set", NETWORK, "bridge"], "'bridge' is no KEY=VALUE"),
        (["set", NETWORK], "Missing argument"),
        (["set", NETWORK, "bridge=a", "bridge=b"], "bridge is given twice"),
        (["join", NETWORK, "--wait", "-1"], "--wait"),
        (["status", "-o", "xml"], "'xml' is not one of"),
        (["nothing"], "No such command"),
    ],
)
def test_wrong_usage_is_found_before_the_daemon_is_asked(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and message in err and "hint: " in err
    assert daemon.requests == []


def test_fdb_passes_static_entries_on(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["fdb", NETWORK, "add", "02-00-00-00-00-0A", "bob", "--vlan", "7"])
    main(["fdb", NETWORK, "del", "02:00:00:00:00:0a"])
    station = {"network": NETWORK, "mac": "02:00:00:00:00:0a"}
    assert daemon.requests == [
        {"verb": "fdb_add", "arguments": {**station, "vlan": 7, "peer": "bob"}},
        {"verb": "fdb_del", "arguments": {**station, "vlan": 0, "peer": None}},
    ]
    assert "no entries" in capsys.readouterr().out


def test_join_passes_everything_on(daemon: FakeDaemon) -> None:
    target = f"{NETWORK.upper()}@{FINGERPRINT.upper()}"
    main(["join", target, "--token", "t", "--device", "lan0", "--wait", "0"])
    main(["join", "l2mesh:Ab-_"])
    assert daemon.requests == [
        {
            "verb": "join",
            "arguments": {
                "target": f"{NETWORK}@{FINGERPRINT}",
                "token": "t",
                "device": "lan0",
                "wait": 0.0,
            },
        },
        {
            "verb": "join",
            "arguments": {"target": "l2mesh:Ab-_", "token": None, "device": None, "wait": 30.0},
        },
    ]


def test_set_passes_pairs_on(daemon: FakeDaemon) -> None:
    main(["set", NETWORK, "bridge=", "broadcast_route=true"])
    assert daemon.requests[0]["arguments"] == {
        "network": NETWORK,
        "options": {"bridge": "", "broadcast_route": "true"},
    }


def test_ping_succeeds_if_any_answer_came(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    lost = {"code": "timed_out", "message": "no answer from bob", "hint": ""}
    daemon.errors = [lost, None]
    assert main(["ping", "bob", "-c", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "no answer from bob",
        "answer from bob: direct 192.0.2.9:9993, 1.2 ms",
        "2 sent, 1 answered",
    ]
    daemon.errors = [lost, lost]
    assert main(["ping", "bob", "-c", "2", "-o", "json"]) == 6
    assert json.loads(capsys.readouterr().out)["replies"] == []
    daemon.errors = [{"code": "not_found", "message": "nobody", "hint": ""}]
    assert main(["ping", "bob"]) == 5


def test_ping_stops_when_the_path_is_direct(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert main(["ping", "bob"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 sent, 1 answered"
    assert main(["ping", "bob", "-c", "3", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["sent"] == 3
    assert main(["ping", "bob", "-c", "3", "--until-direct", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["sent"], document["direct"]) == (1, True)


def test_ping_that_stays_relayed_says_where_to_look(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setitem(ANSWERS, "ping", {**PONG, "path": "relay", "via": "1111111111"})
    assert main(["ping", "bob"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "answer from bob: relay via 1111111111 192.0.2.9:9993, 1.2 ms"
    assert lines[10:] == [
        "10 sent, 10 answered, 1.2/1.2/1.2 ms min/mean/max",
        "not direct: `l2mesh path bob` shows what was tried",
    ]


def test_a_member_that_relays_is_named(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_carol = {"via": "3333333333", "via_kind": "member", "via_name": "carol\x1b"}
    for verb, extra in (("ping", PONG), ("path", PATH)):
        monkeypatch.setitem(ANSWERS, verb, {**extra, "path": "relay", **by_carol})
    monkeypatch.setitem(ANSWERS, "peers", {"peers": [{**PEER, **by_carol}]})
    monkeypatch.setitem(ANSWERS, "status", {**STATUS, "carried_relays": 2})
    for command in (["ping", "bob", "-c", "1"], ["path", "bob"], ["peers"]):
        assert main(command) == 0
        assert "3333333333 (carol\N{REPLACEMENT CHARACTER})" in capsys.readouterr().out
    assert main(["status"]) == 0
    assert "relays for   2 pairs of other members" in capsys.readouterr().out


def test_path_and_netcheck_are_readable(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["path", "bob"]) == 0
    out = capsys.readouterr().out
    assert "relay via 1111111111 192.0.2.1:9993, 12.3 ms, 25% lost" in out
    assert "direct (told)" in out and "6 of 7, 3 s ago" in out
    assert "in use" in out and "tried again in 7 s" in out
    assert main(["netcheck"]) == 0
    out = capsys.readouterr().out
    assert "UDP   works, 1 of 1 planets answer" in out
    assert "works through a NAT, outside 198.51.100.7:9993 (our own port)" in out
    assert "IPv6  this host has no address of this kind" in out
    assert "  - do something about it" in out
    assert "answers  20.1 ms  20%   9993 open  198.51.100.7:9993" in out


def test_what_is_carried_by_tls_is_called_so(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_tls = {"path": "relay", "via": "1111111111", "transport": "tls"}
    monkeypatch.setitem(ANSWERS, "ping", {**PONG, **by_tls})
    way = {**CANDIDATE, **by_tls}
    monkeypatch.setitem(ANSWERS, "path", {**PATH, **by_tls, "candidates": [way]})
    assert main(["ping", "bob", "-c", "1"]) == 0
    assert "relay via 1111111111 192.0.2.9:9993 by TLS, 1.2 ms" in capsys.readouterr().out
    assert main(["path", "bob"]) == 0
    out = capsys.readouterr().out
    assert "192.0.2.1:9993 by TLS, 12.3 ms" in out and "192.0.2.9:9993 by TLS" in out


def test_help_fits_a_terminal_and_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    commands = lines[lines.index("Commands:") + 1 :]
    assert len(commands) > 10
    assert [line for line in commands if line.endswith("...") or len(line) > 80] == []


@pytest.mark.parametrize(
    ("prefix", "problem", "line"),
    [
        ("64:ff9b::/96", None, "NAT64 64:ff9b::/96 leads to IPv4"),
        (None, "no answer\x1b", "NAT64 no prefix: no answer\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_way_to_ipv4_through_nat64_is_told(
    daemon: FakeDaemon,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    prefix: str | None,
    problem: str | None,
    line: str,
) -> None:
    nat64 = {"needed": True, "prefix": prefix, "problem": problem}
    ipv4 = {**FAMILY, "has_address": False, "local": []}
    monkeypatch.setitem(ANSWERS, "netcheck", {**NETCHECK, "ipv4": ipv4, "nat64": nat64})
    assert main(["netcheck"]) == 0
    out = capsys.readouterr().out
    assert line in out and "IPv4  works through a NAT" in out and "Port6" not in out
    way = {**CANDIDATE, "endpoint": "192.0.2.9:9993", "nat64": "[64:ff9b::c000:209]:9993"}
    monkeypatch.setitem(ANSWERS, "path", {**PATH, "candidates": [way]})
    assert main(["path", "bob"]) == 0
    assert "192.0.2.9:9993 as [64:ff9b::c000:209]:9993" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("outside", "line"),
    [
        ("[2001:db8::2]:9993", "Port6 fe80::1%eth0 lets in what is for [2001:db8::2]:9993, by PCP"),
        (None, "Port6 no pinhole: nobody answers"),
    ],
)
def test_pinhole_in_an_ipv6_firewall_is_told(
    daemon: FakeDaemon,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    outside: str | None,
    line: str,
) -> None:
    pinhole = {"enabled": True, "gateway": "fe80::1%eth0", "outside": outside}
    found = {"pinhole": {**pinhole, "problem": "nobody answers"}, "ipv6": FAMILY}
    monkeypatch.setitem(ANSWERS, "netcheck", {**NETCHECK, **found})
    assert main(["netcheck"]) == 0
    assert line in capsys.readouterr().out


def test_command_line_starts_without_what_it_does_not_need(daemon: FakeDaemon) -> None:
    code = (
        "import sys; from l2mesh.cli.main import main; status = main(['status', '-o', 'json'])\n"
        "barred = {'rich', 'asyncio', 'hashlib', 'nacl', 'pyroute2', 'msgspec', 'uvloop'}\n"
        "heavy = barred & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else status)"
    )
    # the measuring of branch coverage starts in every child, and loads modules of its own
    unmeasured = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_PROCESS_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=unmeasured,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
