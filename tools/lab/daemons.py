"""The project's programs on the lab's hosts: each daemon with the command line that goes with it.

Each handle keeps its state directory (mode 0700) in the lab's own directory, across restarts.
Programs are those installed beside the Python that runs the lab.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from l2mesh.cli.client import request
from l2mesh.cli.failure import Failure
from tools.lab.command import Argument, LabError
from tools.lab.host import Host
from tools.lab.process import Process
from tools.lab.wait import wait_until

PROGRAMS = Path(sys.prefix) / "bin"
UNDERLAY_PORT = 9993
_START_TIMEOUT_S = 15.0


class Daemon:
    """One of the three daemons on a host; `process` is its current or last run."""

    program: ClassVar[str]
    ready_command: ClassVar[tuple[str, ...]]
    """A command that succeeds once it answers."""
    ready_verb: ClassVar[str]
    """What that command asks."""
    socket: Path
    """Where it is asked."""

    def __init__(self, host: Host, name: str) -> None:
        """Make the state directory; `name` is unique on the host."""
        self.host = host
        self.name = name
        self.state = host.directory / f"{host.name}.{name}"
        self.state.mkdir(mode=0o700)
        self.process: Process | None = None
        self._logs: list[Process] = []

    def daemon_arguments(self) -> list[Argument]:
        """What follows the program's name when it serves."""
        raise NotImplementedError

    def command(self) -> list[Argument]:
        """The whole command line that serves."""
        return [PROGRAMS / self.program, *self.daemon_arguments()]

    def cli_command(self, arguments: Sequence[Argument]) -> list[Argument]:
        """The whole command line that asks this daemon for something."""
        raise NotImplementedError

    def start(self, timeout: float = _START_TIMEOUT_S) -> Self:
        """Start it and wait until it answers.

        Raises LabError if it runs already, LabError with its log if it ends, and WaitTimeout after
        `timeout` seconds.
        """
        return self.launch().wait_ready(timeout)

    def launch(self) -> Self:
        """Start it and wait for nothing, so that several come up together; LabError if it runs."""
        if self.process is not None and self.process.is_running:
            raise LabError(f"{self.process.name} runs already")
        self.process = self.host.start(self.command(), name=self.name)
        self._logs.append(self.process)
        return self

    def wait_ready(self, timeout: float = _START_TIMEOUT_S) -> Self:
        """Wait until it answers; LabError with its log if it ends, WaitTimeout if it is late."""
        wait_until(self._answers, timeout, what=f"{self._started().name} to answer")
        return self

    def stop(self) -> int:
        """SIGTERM, SIGKILL after 5 s; the exit status, which should be 0."""
        return self._started().stop()

    def kill(self) -> int:
        """SIGKILL; returns -9."""
        return self._started().kill()

    def restart(self, timeout: float = _START_TIMEOUT_S) -> Self:
        """Stop it, if it runs, and start it with the same state."""
        self.stop()
        return self.start(timeout)

    def log(self) -> str:
        """All that its runs so far have logged, oldest first."""
        return "".join(process.log() for process in self._logs)

    def cli(self, *arguments: Argument, timeout: float = 60.0) -> Any:
        """Run a command with `-o json`; returns the parsed JSON, None if it printed nothing.

        Raises CommandError with its stderr on a non-zero exit status and after `timeout` seconds,
        LabError if it printed anything but JSON.
        """
        done = self.host.run(self.cli_command([*arguments, "-o", "json"]), timeout=timeout)
        return _parsed(done)

    def cli_raw(
        self, *arguments: Argument, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as given, whatever its exit status; raises CommandError on a time-out."""
        return self.host.run(self.cli_command(arguments), timeout=timeout, check=False)

    def _answers(self) -> bool:
        """Asked as the command would, which costs more to start than the answer."""
        process = self._started()
        if not process.is_running:
            raise LabError(f"did not start\n{process.tail()}")
        try:
            request(str(self.socket), self.ready_verb, {}, timeout_s=10.0)
        except Failure:
            return False
        return True

    def _started(self) -> Process:
        if self.process is None:
            raise LabError(f"{self.host.name}: {self.name} was never started")
        return self.process


class Planet(Daemon):
    """`l2mesh-planet serve`, told to advertise the host's underlay addresses."""

    program = "l2mesh-planet"
    ready_command = ("status", "-o", "json")
    ready_verb = "status"

    def __init__(
        self,
        host: Host,
        *,
        name: str = "planet",
        listen: str = f"[::]:{UNDERLAY_PORT}",
        advertise: Sequence[str] | None = None,
        tls: Sequence[str] = (),
        engine: str = "auto",
        workers: int = 1,
    ) -> None:
        """`advertise` and `tls` are `address:port` each.

        By default it advertises each underlay address of the host with the port of `listen`.
        """
        super().__init__(host, name)
        port = listen.rpartition(":")[2]
        self.socket = self.state / "planet.sock"
        self.listen = listen
        self.endpoints = [endpoint(address, port) for address in host.addresses]
        if advertise is not None:
            self.endpoints = list(advertise)
        self.tls = list(tls)
        self.engine = engine
        self.workers = workers

    @property
    def world(self) -> Path:
        """The signed world that it serves, there once it has started."""
        return self.state / "world"

    def identity(self) -> Any:
        """Its `address`, `fingerprint` and `public`; works whether or not it runs."""
        return self.cli("identity")

    def daemon_arguments(self) -> list[Argument]:
        arguments: list[Argument] = ["serve", "--state", self.state, "--listen", self.listen]
        arguments += ["--engine", self.engine, "--workers", str(self.workers)]
        for advertised in self.endpoints:
            arguments += ["--advertise", advertised]
        for further in self.tls:
            arguments += ["--tls", further]
        return arguments

    def cli_command(self, arguments: Sequence[Argument]) -> list[Argument]:
        """`--state` follows the command's own words, as in `world create --state DIR`."""
        words = 2 if arguments[0] == "world" else 1
        command = [PROGRAMS / self.program, *arguments[:words]]
        if tuple(arguments[:2]) != ("world", "show"):
            command += ["--state", self.state]
        return [*command, *arguments[words:]]


class Controller(Daemon):
    """`l2mesh-controller serve`."""

    program = "l2mesh-controller"
    ready_command = ("network", "list", "-o", "json")
    ready_verb = "network_list"

    def __init__(
        self,
        host: Host,
        *,
        world: Path,
        name: str = "controller",
        listen: str = "[::]:0",
        api: str | None = None,
    ) -> None:
        """`api` is the `address:port` of the REST API, not served by default."""
        super().__init__(host, name)
        self.socket = self.state / "controller.sock"
        self.world = world
        self.listen = listen
        self.api = api

    def daemon_arguments(self) -> list[Argument]:
        arguments: list[Argument] = ["serve", "--state", self.state, "--world", self.world]
        arguments += ["--listen", self.listen]
        return arguments if self.api is None else [*arguments, "--api", self.api]

    def cli_command(self, arguments: Sequence[Argument]) -> list[Argument]:
        return [PROGRAMS / self.program, "--state", self.state, *arguments]


class Node(Daemon):
    """`l2meshd`, and `l2mesh` for it."""

    program = "l2meshd"
    ready_command = ("status", "-o", "json")
    ready_verb = "status"

    def __init__(  # noqa: PLR0913 - one for each option
        self,
        host: Host,
        *,
        world: Path | None = None,
        name: str = "node",
        listen: str = f"[::]:{UNDERLAY_PORT}",
        engine: str = "auto",
        workers: int = 1,
        relay_only: bool = False,
        lan_beacons: bool = True,
        port_mapping: bool = True,
    ) -> None:
        """Without `world` the machine's own `/etc/l2mesh/world` counts, if there is one."""
        super().__init__(host, name)
        self.socket = self.state / "node.sock"
        self.world = world
        self.listen = listen
        self.engine = engine
        self.workers = workers
        self.relay_only = relay_only
        self.lan_beacons = lan_beacons
        self.port_mapping = port_mapping

    def daemon_arguments(self) -> list[Argument]:
        arguments: list[Argument] = ["--state", self.state, "--socket", self.socket]
        arguments += ["--listen", self.listen, "--engine", self.engine]
        arguments += ["--workers", str(self.workers)]
        if self.world is not None:
            arguments += ["--world", self.world]
        switches = {
            "--relay-only": self.relay_only,
            "--no-lan-beacons": not self.lan_beacons,
            "--no-port-mapping": not self.port_mapping,
        }
        return arguments + [switch for switch, is_on in switches.items() if is_on]

    def cli_command(self, arguments: Sequence[Argument]) -> list[Argument]:
        return [PROGRAMS / "l2mesh", "--socket", self.socket, *arguments]


def lab_planet(host: Host, **options: Any) -> Planet:
    """A started planet; the options are those of `Planet`."""
    return Planet(host, **options).start()


def lab_controller(host: Host, **options: Any) -> Controller:
    """A started controller; the options are those of `Controller`."""
    return Controller(host, **options).start()


def lab_node(host: Host, **options: Any) -> Node:
    """A started node; the options are those of `Node`."""
    return Node(host, **options).start()


def endpoint(address: str, port: int | str) -> str:
    """`address:port` in the form of the command lines, IPv6 in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _parsed(done: subprocess.CompletedProcess[str]) -> Any:
    if not done.stdout.strip():
        return None
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as error:
        command = " ".join(map(str, done.args))
        raise LabError(f"{command}: not JSON ({error}): {done.stdout[:500]!r}") from error
