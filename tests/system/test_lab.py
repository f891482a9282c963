"""The lab itself: what the other system tests stand on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.lab import (
    Capture,
    CommandError,
    Host,
    Lab,
    LabError,
    Link,
    Nat,
    Node,
    Planet,
    Process,
    Switch,
    WaitTimeout,
    daemons,
    sweep,
    wait_until,
)
from tools.lab.names import INTERFACE_NAME_MAX, Names, namespaces

ROOT = Path(__file__).resolve().parents[2]
PORT = 40_001
PYTHON = [sys.executable, "-I", "-S", "-u", "-c"]

# OWN_PORT: print "HOST PORT TEXT" of each datagram that arrives, and answer none.
LISTENER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", int(sys.argv[1])))
print("listening", flush=True)
while True:
    text, (host, port) = sock.recvfrom(2048)
    print(host, port, text.decode(), flush=True)
"""

# OWN_PORT HOST PORT TEXT: send one datagram.
SENDER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", int(sys.argv[1])))
sock.sendto(sys.argv[4].encode(), (sys.argv[2], int(sys.argv[3])))
"""

# OWN_PORT HOST PORT: knock every 50 ms until the other side says that it hears us.
PUNCHER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", int(sys.argv[1])))
sock.settimeout(0.05)
target, words = (sys.argv[2], int(sys.argv[3])), "knock"
for _ in range(60):
    sock.sendto(words.encode(), target)
    try:
        text, (host, port) = sock.recvfrom(2048)
    except TimeoutError:
        continue
    words = "heard"
    if text == b"heard":
        sock.sendto(b"heard", target)
        print("punched", host, port)
        break
"""

# A program that uses the lab and is then ended from outside.
LAB_USER = """
import signal
from tools.lab import Lab
with Lab() as lab:
    host = lab.host("a")
    process = host.start(["sleep", "600"])
    print(host.namespace, lab.directory, process.pid, flush=True)
    signal.pause()
"""


def two_hosts(lab: Lab) -> tuple[Switch, tuple[Host, Link], tuple[Host, Link]]:
    wire = lab.switch("wire")
    a, b = lab.host("a"), lab.host("b")
    link_a = lab.connect(a, wire, ["192.0.2.1/24", "2001:db8::1/64"])
    link_b = lab.connect(b, wire, ["192.0.2.2/24", "2001:db8::2/64"])
    return wire, (a, link_a), (b, link_b)


def can_ping(host: Host, address: str, *options: str) -> bool:
    command = ["ping", "-n", "-c", "1", "-W", "0.2", *options, address]
    return host.run(command, check=False).returncode == 0


def home(lab: Lab, number: int, wan: Switch) -> tuple[Nat, Host]:
    nat = lab.nat(
        f"nat{number}",
        wan=wan,
        wan_address=f"192.0.2.{number}/24",
        lan_subnet=f"10.{number}.0.0/24",
    )
    host = lab.host(f"h{number}")
    lab.connect(host, nat.lan, f"10.{number}.0.2/24", gateway=nat.gateway)
    return nat, host


def listen(host: Host, port: int) -> Process:
    process = host.start([*PYTHON, LISTENER, str(port)], name="listener")
    process.wait_for_log("^listening$")
    return process


def send(host: Host, port: int, target: str, text: str, *, target_port: int = PORT) -> None:
    host.run([*PYTHON, SENDER, str(port), target, str(target_port), text])


def dropped_unasked(nat: Nat) -> int:
    ruleset = nat.host.run(["nft", "list", "chain", "inet", "nat", "input"]).stdout
    return int(ruleset.partition("counter packets ")[2].split()[0])


def test_hosts_on_a_switch_reach_each_other() -> None:
    with Lab() as lab:
        _, (a, link), _ = two_hosts(lab)
        assert can_ping(a, "192.0.2.2")
        assert can_ping(a, "2001:db8::2")
        assert len(link.interface) <= INTERFACE_NAME_MAX


def test_hosts_on_a_direct_link_reach_each_other() -> None:
    with Lab() as lab:
        a, b = lab.host("a"), lab.host("b")
        link = lab.link(a, b, "192.0.2.1/30", "192.0.2.2/30", mtu=1280, offload=False)
        assert can_ping(a, "192.0.2.2", "-M", "do", "-s", "1252")
        assert not can_ping(a, "192.0.2.2", "-M", "do", "-s", "1253")
        assert a.ip_json("link", "show", link.interface)[0]["mtu"] == 1280


def test_host_is_reached_through_its_bridge() -> None:
    with Lab() as lab:
        wire, (a, _), _ = two_hosts(lab)
        c = lab.host("c")
        c.add_bridge("br0", ports=[lab.connect(c, wire).interface], address="192.0.2.3/24")
        assert can_ping(a, "192.0.2.3")
        assert c.addresses == ["192.0.2.3"]


def test_new_host_uses_a_loss_based_congestion_control() -> None:
    with Lab() as lab:
        host = lab.host("a")
        shown = host.run(["cat", "/proc/sys/net/ipv4/tcp_congestion_control"]).stdout.strip()
        assert shown == host.congestion_control
        assert shown in {"cubic", "reno"}


def test_partition_is_silent_and_heals() -> None:
    with Lab() as lab:
        _, (a, _), (b, _) = two_hosts(lab)
        lab.partition(a, b)
        assert not can_ping(a, "192.0.2.2")
        assert not can_ping(b, "2001:db8::1")
        lab.partition(a, b, one_way=True, larger_than=500)
        assert can_ping(a, "192.0.2.2")
        assert not can_ping(a, "192.0.2.2", "-s", "1000")
        lab.heal(a, b)
        lab.heal(a, b)
        assert can_ping(a, "192.0.2.2", "-s", "1000")


def test_dropping_link_recovers() -> None:
    with Lab() as lab:
        _, (a, link), _ = two_hosts(lab)
        # Both know the other's MAC from here on: a lost ARP query would be repeated after a second.
        assert can_ping(a, "192.0.2.2")
        link.drop()
        assert not can_ping(a, "192.0.2.2")
        link.drop(0.2)
        counts = a.run(["ping", "-n", "-q", "-i", "0.002", "-c", "40", "-W", "0.1", "192.0.2.2"])
        assert 0 < int(counts.stdout.partition(" received")[0].split()[-1]) < 40
        link.restore()
        assert can_ping(a, "192.0.2.2")
        link.unplug()
        assert "NO-CARRIER" in a.ip("link", "show", link.interface)
        link.plug()
        wait_until(lambda: can_ping(a, "192.0.2.2"), what="the link to carry again")


def test_unasked_datagram_is_dropped_and_claims_no_port() -> None:
    with Lab() as lab:
        wan = lab.switch("wan")
        nat, inner = home(lab, 1, wan)
        outer = lab.host("outer")
        lab.connect(outer, wan, "192.0.2.100/24")
        # From the very port that is asked next: were the stray one in conntrack, the NAT would have
        # to give the inner host another port.
        send(outer, PORT + 1, "192.0.2.1", "stray")
        wait_until(lambda: dropped_unasked(nat) == 1, what="the stray datagram to be dropped")
        heard = listen(outer, PORT + 1)
        send(inner, PORT, "192.0.2.100", "asked", target_port=PORT + 1)
        heard.wait_for_log(rf"^192\.0\.2\.1 {PORT} asked$")


@pytest.mark.parametrize("stray_first", [False, True])
def test_udp_hole_is_punched_between_two_nats(*, stray_first: bool) -> None:
    with Lab() as lab:
        wan = lab.switch("wan")
        homes = home(lab, 1, wan), home(lab, 2, wan)
        if stray_first:
            # The other NAT's address and port, long before anybody here has sent a thing.
            send(homes[1][1], PORT, "192.0.2.1", "early")
            wait_until(
                lambda: dropped_unasked(homes[0][0]) == 1, what="the early one to be dropped"
            )
        punchers = [
            host.start([*PYTHON, PUNCHER, str(PORT), f"192.0.2.{3 - number}", str(PORT)])
            for number, (_, host) in enumerate(homes, start=1)
        ]
        for number, process in enumerate(punchers, start=1):
            process.wait_for_log(rf"^punched 192\.0\.2\.{3 - number} {PORT}$", timeout=5)


def test_capture_sees_what_passed_while_it_ran() -> None:
    with Lab() as lab:
        wire, (a, _), (b, link) = two_hosts(lab)
        listen(b, PORT)
        send(a, PORT, "192.0.2.2", "before")
        with (
            Capture(wire.host, wire.bridge, "udp") as on_wire,
            Capture(b, link.interface, "icmp") as elsewhere,
        ):
            send(a, PORT, "192.0.2.2", "marker")
        assert on_wire.contains(b"marker")
        assert not on_wire.contains(b"before")
        assert [frame[12:14] for _, frame in on_wire.frames()] == [b"\x08\x00"]
        assert not list(elsewhere.frames())


def test_started_process_has_the_pid_of_its_program() -> None:
    with Lab() as lab:
        host = lab.host("a")
        process = host.start([*PYTHON, "import os, signal; print(os.getpid()); signal.pause()"])
        assert int(process.wait_for_log(r"^(\d+)$")[1]) == process.pid
        assert process.stop() == -signal.SIGTERM
        assert process.stop() == -signal.SIGTERM
        stubborn = host.start(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
        stubborn.wait_for_log("ready")
        assert stubborn.stop(grace=0.1) == -signal.SIGKILL


def test_failures_say_what_happened() -> None:
    with Lab() as lab:
        host = lab.host("a")
        with pytest.raises(LabError, match="already"):
            lab.host("a")
        with pytest.raises(LabError, match="label"):
            lab.host("A_1")
        with pytest.raises(CommandError, match="exit status 3: oops"):
            host.run(["sh", "-c", "echo oops >&2; exit 3"])
        with pytest.raises(CommandError, match="timed out"):
            host.run(["sleep", "9"], timeout=0.1)
        with pytest.raises(LabError, match="goodbye"):
            host.start(["echo", "goodbye"]).wait_for_log("hello")
        with pytest.raises(WaitTimeout, match=r"0.05 s for 'hello'"):
            host.start(["sleep", "9"]).wait_for_log("hello", timeout=0.05)
        with pytest.raises(WaitTimeout, match="the moon; last result: 0"):
            wait_until(lambda: 0, 0.05, what="the moon")


def test_nothing_is_left_after_an_exception() -> None:
    lab = Lab()
    links = os.listdir("/sys/class/net")
    with pytest.raises(ZeroDivisionError) as caught, lab:  # noqa: PT012  the whole block is the case
        two_hosts(lab)
        host = lab.host("busy")
        sleeper = host.start(["sh", "-c", "echo asleep; exec sleep 600"])
        sleeper.wait_for_log("asleep")
        # a program that went into the background by itself
        host.run(["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"])
        assert len(namespaces(lab._names.prefix)) == 4
        raise ZeroDivisionError
    assert "asleep" in caught.value.__notes__[0]
    assert namespaces(lab._names.prefix) == []
    assert not lab.directory.exists()
    assert not sleeper.is_running
    assert os.listdir("/sys/class/net") == links
    lab.close()
    with pytest.raises(LabError, match="closed"):
        lab.host("late")


def start_lab_user() -> tuple[subprocess.Popen[str], str, Path, int]:
    command = [sys.executable, "-c", LAB_USER]
    user = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert user.stdout is not None
    with user.stdout:
        namespace, directory, pid = user.stdout.readline().split()
    assert namespace in namespaces()
    return user, namespace, Path(directory), int(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_after_a_signal(number: signal.Signals) -> None:
    user, namespace, directory, pid = start_lab_user()
    user.send_signal(number)
    assert user.wait(10) != 0
    assert namespace not in namespaces()
    assert not directory.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_sweep_removes_only_what_dead_processes_left() -> None:
    user, namespace, directory, pid = start_lab_user()
    with Lab() as lab:
        alive = lab.host("alive")
        user.kill()
        user.wait(10)
        swept = sweep()
        # another worker's lab may have been faster
        assert {namespace, str(directory)} >= {name for name in swept if str(user.pid) in name}
        assert namespace not in namespaces()
        assert not directory.exists()
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the orphan to end")
        assert alive.namespace in namespaces()
        assert lab.directory.exists()


def test_names_of_two_labs_differ() -> None:
    first, second = Names(), Names()
    assert first.namespace("a") != second.namespace("a")
    assert first.link() != second.link()


STUB = """#!/bin/sh
# Serves when told to or, as l2meshd, always; else prints its arguments as JSON.
case "$0 $1" in
*l2meshd*|*\\ serve) echo "$0 $*"; exec sleep 600 ;;
esac
case " $* " in *" refuse "*) echo "error: no" >&2; exit 5 ;; esac
printf '{"arguments": "%s"}' "$*"
"""


def test_daemons_get_the_command_lines_of_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemons, "PROGRAMS", tmp_path)
    monkeypatch.setattr(daemons, "request", lambda *_, **__: {})  # the stubs open no socket
    for program in ("l2mesh", "l2meshd", "l2mesh-planet", "l2mesh-controller"):
        (tmp_path / program).write_text(STUB)
        (tmp_path / program).chmod(0o755)
    with Lab() as lab:
        _, (a, _), _ = two_hosts(lab)
        planet = Planet(a).start()
        assert planet.process is not None
        planet.process.wait_for_log(
            rf"serve --state {planet.state} --listen \[::\]:9993 --engine auto "
            r"--workers 1 --advertise 192.0.2.1:9993 --advertise \[2001:db8::1\]:9993$"
        )
        state = planet.state
        asked = planet.cli("world", "create", "--out", "w", "x@y:1")
        assert asked["arguments"] == f"world create --state {state} --out w x@y:1 -o json"
        assert planet.cli("world", "show", "w")["arguments"] == "world show w -o json"
        controller = daemons.lab_controller(a, world=planet.world)
        asked = controller.cli("network", "create", "--public")
        assert asked["arguments"] == f"--state {controller.state} network create --public -o json"
        node = daemons.lab_node(a, world=planet.world, relay_only=True)
        asked = node.cli("join", "1", "--wait", "10")
        assert asked["arguments"] == f"--socket {node.socket} join 1 --wait 10 -o json"
        with pytest.raises(CommandError, match="exit status 5: error: no"):
            node.cli("refuse")
        assert node.cli_raw("refuse").returncode == 5
        assert node.state.stat().st_mode & 0o777 == 0o700
        first_run = node.process
        assert node.restart().process is not first_run
        wait_until(lambda: node.log().count("--relay-only") == 2, what="both runs in the log")
        assert node.kill() == -signal.SIGKILL


def test_daemon_that_ends_at_once_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemons, "PROGRAMS", tmp_path)
    (tmp_path / "l2meshd").write_text("#!/bin/sh\necho error: no world; exit 1\n")
    (tmp_path / "l2meshd").chmod(0o755)
    with Lab() as lab, pytest.raises(LabError, match="error: no world"):
        Node(lab.host("a")).start()
