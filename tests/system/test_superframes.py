"""Super-frames between real kernels: two TAPs, iperf3, a bridged LAN, and ends without offloads."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tools.lab import Lab
from tools.lab.capture import Capture
from tools.lab.host import Host
from tools.lab.wait import wait_until

pytestmark = pytest.mark.root

PROGRAM: Final = Path(__file__).with_name("tunnel_host.py")
REPOSITORY: Final = PROGRAM.parents[2]
ALL: Final = ("tap_tso", "tap_uso", "udp_gso", "udp_gro")
DATA_FRAG: Final = "udp port 9993 and udp[8] & 0x82 = 0x82"


class End:
    """A running `tunnel_host.py`."""

    def __init__(self, host: Host, engine: str, number: int, without: tuple[str, ...]) -> None:
        self.host = host
        ours, theirs = f"10.0.0.{number}", f"10.0.0.{3 - number}"
        words = [sys.executable, str(PROGRAM), engine, str(number), ours, theirs, *without]
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", host.namespace, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        assert self._read() == "ready\n"

    def counters(self) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._read())

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Tunnel:
    """Two hosts, the wire between them and the tunnel over it."""

    def __init__(
        self, lab: Lab, engine: str, *, left: tuple[str, ...], right: tuple[str, ...]
    ) -> None:
        self.lab = lab
        self.a, self.b = lab.host("a"), lab.host("b")
        self.wire = lab.link(self.a, self.b, "10.0.0.1/24", "10.0.0.2/24")
        self.ends = [End(self.a, engine, 1, left), End(self.b, engine, 2, right)]
        self.b.ip("addr", "add", "10.9.0.2/24", "dev", "tap0")
        self.b.ip("addr", "add", "fd09::2/64", "dev", "tap0", "nodad")

    def address(self) -> None:
        """Give our end of the tunnel its addresses."""
        self.a.ip("addr", "add", "10.9.0.1/24", "dev", "tap0")
        self.a.ip("addr", "add", "fd09::1/64", "dev", "tap0", "nodad")

    def flow(self, host: Host, target: str, *words: str) -> Any:
        """One flow of two seconds from `host` to `b`; what the receiver says of it.

        Each has a server of its own: one that goes on resets who comes while it tidies up.
        """
        server = self.b.start(["iperf3", "-s", "-1", "--forceflush"], name="iperf3")
        server.wait_for_log("Server listening")
        line = ["iperf3", "-c", target, "-t", "2", "-J", *words]
        found = json.loads(host.run(line, timeout=30).stdout)
        assert "error" not in found, found["error"]
        server.wait()
        end = found["end"]
        return end.get("sum_received") or end["sum"]

    def counters(self) -> list[Any]:
        return [end.counters() for end in self.ends]


@contextmanager
def tunnel(
    engine: str, *, left: tuple[str, ...] = (), right: tuple[str, ...] = ()
) -> Iterator[Tunnel]:
    with Lab() as lab:
        made = Tunnel(lab, engine, left=left, right=right)
        try:
            yield made
        finally:
            for end in made.ends:
                end.close()


@pytest.fixture(params=["reference", "native"])
def engine(request: pytest.FixtureRequest) -> str:
    """Both engines; the native one where it has been built."""
    name: str = request.param
    if name == "native":
        pytest.importorskip("l2mesh.datapath.native", exc_type=ImportError)
    return name


@pytest.mark.parametrize("target", ["10.9.0.2", "fd09::2"])
def test_bulk_tcp_travels_as_super_frames_and_never_in_pieces(engine: str, target: str) -> None:
    with tunnel(engine) as made:
        made.address()
        with Capture(made.a, made.wire.near.interface, DATA_FRAG) as pieces:
            assert made.flow(made.a, target, "-C", "cubic")["bytes"] > 1_000_000
            assert made.flow(made.a, target, "-C", "cubic", "-R")["bytes"] > 1_000_000
        assert list(pieces.frames()) == []
        for one in made.counters():
            assert one["superframes_in"] > 20 and one["superframes_out"] > 20
            assert one["frames_fragmented"] == 0 and not one["problems"]
            assert not any(name.startswith("drop_") for name in one)


def test_udp_is_delivered_whole_and_in_order(engine: str) -> None:
    with tunnel(engine) as made:
        made.address()
        for size in ("200", "1372", "1472"):
            found = made.flow(made.a, "10.9.0.2", "-u", "-b", "10M", "-l", size)
            assert found["packets"] > 100 and found["lost_percent"] < 20
        assert not made.counters()[1]["problems"]


@pytest.mark.parametrize("without", [ALL, ("tap_tso", "tap_uso"), ("udp_gso", "udp_gro")], ids=str)
def test_ends_without_offloads_talk_to_ends_with_them(
    engine: str, without: tuple[str, ...]
) -> None:
    with tunnel(engine, right=without) as made:
        made.address()
        assert made.flow(made.a, "10.9.0.2", "-C", "cubic")["bytes"] > 1_000_000
        assert made.flow(made.a, "10.9.0.2", "-C", "cubic", "-R")["bytes"] > 1_000_000
        assert made.flow(made.a, "10.9.0.2", "-u", "-b", "10M", "-l", "1300")["packets"] > 100
        right = made.counters()[1]
        if "tap_tso" in without:
            assert right["superframes_in"] == right["superframes_out"] == 0


def test_super_frames_of_a_bridged_lan_stay_super_frames(engine: str) -> None:
    with tunnel(engine) as made:
        station = made.lab.host("c")
        lan = made.lab.link(made.a, station, None, "10.9.0.3/24")
        made.a.ip("link", "add", "br0", "type", "bridge")
        for device in ("br0", lan.near.interface, "tap0"):
            made.a.ip("link", "set", device, "up")
            if device != "br0":
                made.a.ip("link", "set", device, "master", "br0")
        assert made.flow(station, "10.9.0.2", "-C", "cubic")["bytes"] > 1_000_000
        assert made.flow(station, "10.9.0.2", "-C", "cubic", "-R")["bytes"] > 1_000_000
        left = made.counters()[0]
        assert left["superframes_in"] > 20 and left["superframes_out"] > 20
        assert left["frames_fragmented"] == 0


def test_tagged_frames_pass_with_their_tag(engine: str) -> None:
    with tunnel(engine) as made:
        header = bytes.fromhex("020000000902 020000000901 8100 6005 0800")
        tag = header + b"tagged payload".ljust(50)
        sender = (
            "import socket,sys;s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW);"
            "s.bind(('tap0',0));s.send(bytes.fromhex(sys.argv[1]))"
        )
        with Capture(made.b, "tap0", "vlan 5") as seen:
            made.a.run([sys.executable, "-c", sender, tag.hex()])
        assert [frame for _, frame in seen.frames()] == [tag]


def test_a_kernel_that_refuses_trains_gets_datagrams_and_status_says_so(engine: str) -> None:
    with tunnel(engine, left=("no_checksums",)) as made:
        made.address()
        assert made.flow(made.a, "10.9.0.2", "-C", "cubic")["bytes"] > 1_000_000
        left = made.counters()[0]
        assert 0 < left["udp_gso_refused"] < 20
        assert any("udp_gso" in problem for problem in left["problems"])


def test_a_wire_with_a_smaller_mtu_costs_counted_datagrams_alone(engine: str) -> None:
    with tunnel(engine) as made:
        made.address()
        made.a.ip("link", "set", made.wire.near.interface, "mtu", "1300")
        made.a.run(["ping", "-c", "1", "-W", "1", "-s", "1400", "10.9.0.2"], check=False)
        made.a.run(["ping", "-c", "1", "10.9.0.2"])
        assert made.counters()[0]["underlay_send_emsgsize"] > 0


def test_a_device_that_is_taken_away_is_told_once_and_the_engine_goes_on(engine: str) -> None:
    with tunnel(engine) as made:
        made.address()
        made.a.run(["ping", "-c", "1", "10.9.0.2"])
        made.a.ip("link", "del", "tap0")
        wait_until(lambda: made.counters()[0].get("ports_lost"), 10, what="the loss to be told")
        made.b.run(["ping", "-c", "2", "-i", "0.1", "-W", "1", "10.9.0.1"], check=False)
        left = made.counters()[0]
        assert left["ports_lost"] == 1 and left["datagrams_in"] > 0
        assert "internal_errors" not in left
