"""The stage: who stands where, and how the tour types commands there."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from l2mesh.cli.client import request
from tools.lab import Controller, Host, Lab, Node, Planet, Process
from tools.lab.daemons import PROGRAMS
from tools.tour.transcript import NotSeen, Transcript

__all__ = ["CAST", "MAP", "MAP_WITHOUT_NAT", "Stage"]

ROOT: Final = Path(__file__).resolve().parents[2]
CAST: Final = ("alice", "bob", "carol")
MAP: Final = """
    planet 192.0.2.1     controller 192.0.2.2     carol 192.0.2.30
           |                     |                      |
    =======+=========+===========+===========+==========+====   wan
                     |                       |
             nat1 192.0.2.10          nat2 192.0.2.20
                     |                       |
              alice 10.1.0.2           bob 10.2.0.2"""
MAP_WITHOUT_NAT: Final = """
    planet 192.0.2.1   controller 192.0.2.2   alice .10   bob .20   carol .30
           |                     |                |          |          |
    =======+=====================+================+==========+==========+====   wan"""
_ANSWER_S: Final = 10.0


class Stage:
    """The topology, the daemons on it once they are started, and commands typed there."""

    def __init__(self, lab: Lab, transcript: Transcript, *, engine: str, has_nat: bool) -> None:
        self.lab = lab
        self.transcript = transcript
        self.wan = lab.switch("wan")
        hosts = {name: lab.host(name) for name in ("planet", "controller", *CAST)}
        lab.connect(hosts["planet"], self.wan, "192.0.2.1/24")
        lab.connect(hosts["controller"], self.wan, "192.0.2.2/24")
        lab.connect(hosts["carol"], self.wan, "192.0.2.30/24")
        join = self._behind_nat if has_nat else self._on_wan
        self.outside = join(hosts["alice"], 1), join(hosts["bob"], 2)
        self.planet = Planet(hosts["planet"])
        self.controller = Controller(hosts["controller"], world=self.planet.world)
        self.nodes = {
            name: Node(hosts[name], world=self.planet.world, engine=engine) for name in CAST
        }
        self.network = ""
        """ID of the first network, once there is one."""
        self.identities: dict[str, dict[str, Any]] = {}
        """What `status` says of each node, by name."""

    def _on_wan(self, host: Host, number: int) -> Host:
        self.lab.connect(host, self.wan, f"192.0.2.{number}0/24")
        return host

    def _behind_nat(self, host: Host, number: int) -> Host:
        """Connect a node behind a NAT box of its own, and return the box."""
        wan_address, lan_subnet = f"192.0.2.{number}0/24", f"10.{number}.0.0/24"
        nat = self.lab.nat(
            f"nat{number}", wan=self.wan, wan_address=wan_address, lan_subnet=lan_subnet
        )
        self.lab.connect(host, nat.lan, f"10.{number}.0.2/24", gateway=nat.gateway)
        return nat.host

    # --- commands as typed ----------------------------------------------------------------------

    def type(
        self,
        host: Host,
        words: Sequence[str],
        *,
        expected: int = 0,
        shown: Callable[[str], str] = str,
        timeout: float = 60.0,
    ) -> str:
        """Show a command, run it, show its output (through `shown`), and return that.

        Raises NotSeen unless the exit status is the `expected` one.
        """
        self.transcript.command(host.name, shlex.join(map(str, words)))
        done = self._run(host, words, timeout)
        output = done.stdout + done.stderr
        self.transcript.output(shown(output))
        if done.returncode != expected:
            raise NotSeen(f"exit status {done.returncode} instead of {expected}: {output.strip()}")
        return done.stdout

    def type_background(self, host: Host, words: Sequence[str]) -> Process:
        """Show a command and start it; the lab ends it."""
        self.transcript.command(host.name, f"{shlex.join(map(str, words))} &")
        return host.start(self._whole(host, words), name=Path(words[0]).name, env=self.environment)

    def python(self, *words: str) -> list[str]:
        """The Python that runs the tour, with these arguments."""
        return [sys.executable, *words]

    @property
    def environment(self) -> dict[str, str]:
        """For commands: `python -m tools...` works in any directory, and nobody paints."""
        return {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}

    def ask(self, host: Host, words: Sequence[str]) -> Any:
        """Run one of our commands unseen, with `-o json`; returns the document."""
        done = self._run(host, [*words, "-o", "json"], 60.0)
        if done.returncode:
            raise NotSeen(f"{shlex.join(words)}: {done.stderr.strip() or done.returncode}")
        return json.loads(done.stdout)

    def look(self, name: str, verb: str, **arguments: str) -> dict[str, Any]:
        """The answer of a node's daemon at once, without starting a program: for polling."""
        return request(str(self.nodes[name].socket), verb, arguments, timeout_s=_ANSWER_S)

    def peer(self, name: str, other: str) -> dict[str, Any] | None:
        """What `peers` on one node says about another node."""
        address = self.identities[other]["address"]
        peers = self.look(name, "peers")["peers"]
        return next((peer for peer in peers if peer["address"] == address), None)

    def joined(self, name: str, network: str = "") -> dict[str, Any]:
        """What `networks` on a node says about a network (by default the first)."""
        networks = self.look(name, "networks")["networks"]
        wanted = network or self.network
        return next((each for each in networks if each["id"] == wanted), {"status": "absent"})

    def address(self, name: str) -> str:
        """The address of a node in the first network, without the prefix length."""
        return str(self.joined(name)["addresses"][0]).partition("/")[0]

    def path(self, name: str, other: str) -> str:
        """`direct`, `relay` or `none`."""
        peer = self.peer(name, other)
        return str(peer["path"]) if peer else "none"

    def relayed_packets(self) -> int:
        """The planet's count."""
        return int(self.planet.cli("status")["relayed_packets"])

    def _run(
        self, host: Host, words: Sequence[str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        whole = self._whole(host, words)
        return host.run(whole, check=False, env=self.environment, timeout=timeout)

    def _whole(self, host: Host, words: Sequence[str]) -> list[str]:
        """The command with the path of the program, and the socket of the node that it is for."""
        program, *rest = map(str, words)
        if program == "l2mesh":
            return [str(PROGRAMS / program), "--socket", str(self.nodes[host.name].socket), *rest]
        if program == "l2mesh-controller":
            return [str(PROGRAMS / program), "--state", str(self.controller.state), *rest]
        if program == "l2mesh-planet":
            return [str(PROGRAMS / program), *rest]
        return self.python(*rest) if program == "python" else [program, *rest]
