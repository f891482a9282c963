import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from l2mesh.datapath.interface import Endpoint, FdbEntry
from l2mesh.errors import ConfigError, StateError
from l2mesh.node.views import NetworkView, PeerView, PingResult, PlanetView, Relayer
from l2mesh.runtime.offloads import Offloads
from l2mesh.service import methods
from l2mesh.service.api import ApiError
from l2mesh.service.methods import method_table
from l2mesh.service.uplinks import Uplink, UplinkTable
from tests.unit.runtime.fakes import FakeEngine

NETWORK = 0x89E92CEEE5000001
ID = "89e92ceee5000001"
VIEW = NetworkView(
    id=NETWORK,
    name="lan",
    status="requesting",
    reason="",
    mac=None,
    device=None,
    mtu=None,
    addresses=(),
    bridge=None,
    revision=0,
)
PEER = PeerView(
    address=bytes.fromhex("2222222222"),
    fingerprint=bytes(32),
    name="bob",
    path="relay",
    endpoint=Endpoint("2001:db8::1", 9993),
    via=bytes.fromhex("1111111111"),
    rtt_ms=1.5,
    loss=0.0,
    cipher="aes_256_gcm",
    tx_bytes=1,
    rx_bytes=2,
    networks=(NETWORK,),
    offences={"dhcp_guard": 3},
    relayed_by=Relayer(is_planet=False, name="carol"),
)
PLANET = PlanetView(bytes.fromhex("1111111111"), bytes(32), None, None, "connecting")


class FakePlanets:
    """What planets say over an uplink: one answers over the host's own choice."""

    def over(self, uplink: int) -> list[Any]:
        return [] if uplink else [SimpleNamespace(rtt_s=0.02)]


class FakeNode:
    def __init__(self) -> None:
        self.views: list[NetworkView] = []
        self.calls: list[tuple[Any, ...]] = []
        self.ping_errors: list[Exception] = []
        self.ping_results: list[PingResult | None] = []
        self.is_online = True
        self.carried_relays = 2
        self.planets = FakePlanets()

    def networks(self) -> list[NetworkView]:
        return self.views

    def peers(self, now: float) -> list[PeerView]:
        return [PEER]

    def planet_views(self) -> list[PlanetView]:
        return [PLANET]

    def address(self, fingerprint: bytes) -> bytes:
        return fingerprint[:5]

    def join(self, network: int, *, now: float, **options: object) -> None:
        self.calls.append(("join", network, options))
        if not self.views:
            self.views = [VIEW]

    def leave(self, network: int, now: float) -> None:
        self.calls.append(("leave", network))

    def set_option(self, network: int, key: str, value: str, now: float) -> None:
        if key == "colour":
            raise ConfigError("no setting 'colour'")
        self.calls.append(("set", network, key, value))

    def add_static(self, network: int, vlan: int, mac: bytes, who: str, now: float) -> None:
        if who == "nobody":
            raise StateError("no member is called 'nobody'")
        self.calls.append(("add_static", network, vlan, mac, who))

    def remove_static(self, network: int, vlan: int, mac: bytes, now: float) -> None:
        if vlan == 9:
            raise StateError("no static entry in VLAN 9")
        self.calls.append(("remove_static", network, vlan, mac))

    def ping(self, who: str, now: float) -> int:
        if self.ping_errors:
            raise self.ping_errors.pop(0)
        return 7

    def ping_result(self, ping: int) -> PingResult | None:
        return self.ping_results.pop(0) if self.ping_results else None


class FakeDaemon:
    """What the methods ask of a daemon."""

    def __init__(self) -> None:
        self.node = FakeNode()
        self.engine = FakeEngine(NETWORK)
        carrier = SimpleNamespace(workers=2)
        self.base = SimpleNamespace(offloads=Offloads.without(["udp_gro"]), carrier=carrier)
        self.driver = SimpleNamespace(counters=lambda: {"underlay_send_emsgsize": 3})
        self.names: dict[int, str] = {}
        self.problems: dict[int, str] = {}
        self.forgotten: list[int] = []
        self.withdrawn: list[int] = []
        self.identity = SimpleNamespace(fingerprint=bytes(32))
        self.address = bytes.fromhex("89e92ceee5")
        self.uplinks = UplinkTable()
        self.uplinks.update((Uplink(2, "eth0", (4,), 100, is_up=True, is_tunnel=False),))
        self.now = 0.0
        self.changes: list[Callable[[], None]] = []
        self.devices = SimpleNamespace(
            name=self.names.get,
            problem=self.problems.get,
            master=lambda network: None,
            settled=self.settled,
            forget=self.forgotten.append,
        )

    def clock(self) -> float:
        self.now += 0.5
        return self.now

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args, now=self.clock())

    def health(self) -> list[str]:
        return []

    async def settled(self) -> None:
        pass

    async def withdraw(self, network: int) -> None:
        assert self.forgotten == []  # while the device is still there
        self.withdrawn.append(network)

    async def network_changed(self) -> None:
        """The next change that the test has prepared; none comes after those."""
        if not self.changes:
            await asyncio.Event().wait()
        self.changes.pop(0)()

    def change(self, **fields: Any) -> None:
        self.node.views = [replace(self.node.views[0], **fields)]

    async def ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        return await method_table(self)[verb].call(arguments)  # type: ignore[arg-type]


@pytest.fixture
def daemon() -> FakeDaemon:
    return FakeDaemon()


def test_changes_and_a_look_into_frames_need_the_right_to(daemon: FakeDaemon) -> None:
    table = method_table(daemon)  # type: ignore[arg-type]
    assert {verb for verb, method in table.items() if method.writes} == {
        "capture",
        "fdb_add",
        "fdb_del",
        "join",
        "leave",
        "relay_only",
        "set",
    }


@pytest.mark.asyncio
async def test_documents_speak_the_words_of_the_contract(daemon: FakeDaemon) -> None:
    daemon.node.views = [replace(VIEW, mac=bytes(6), addresses=("10.9.0.1/24",))]
    status = await daemon.ask("status")
    assert status["uplinks"] == [
        {
            "device": "eth0",
            "families": [4],
            "metric": 100,
            "up": True,
            "own_choice": True,
            "used": True,
            "planets": 1,
            "rtt_ms": 20.0,
        }
    ]
    assert status["planets"] == [
        {
            "address": "1111111111",
            "endpoint": None,
            "rtt_ms": None,
            "state": "connecting",
            "transport": None,
            "loss": 0.0,
            "home": False,
        }
    ]
    (peer,) = (await daemon.ask("peers"))["peers"]
    assert peer["offences"] == {"dhcp_guard": 3}
    assert (peer["via_kind"], peer["via_name"]) == ("member", "carol")
    assert (peer["endpoint"], peer["via"], peer["networks"]) == (
        "[2001:db8::1]:9993",
        "1111111111",
        [ID],
    )
    (network,) = (await daemon.ask("networks"))["networks"]
    assert (network["id"], network["mac"]) == (ID, "00:00:00:00:00:00")
    counters = await daemon.ask("counters")
    assert counters["counters"] == {"frames_in": 1, "underlay_send_emsgsize": 3}


@pytest.mark.asyncio
async def test_fdb_names_peers_by_address(daemon: FakeDaemon) -> None:
    daemon.node.views = [VIEW]
    daemon.engine.fdb = lambda network, now: [  # type: ignore[method-assign]
        FdbEntry(network, 5, b"\x02" + bytes(5), b"\x22" * 32, 1.26, static=False, signed=False),
        FdbEntry(network, 0, b"\x02" + bytes(5), None, 0.0, static=True, signed=True),
    ]
    far, near = (await daemon.ask("fdb", network=ID))["entries"]
    assert far == {
        "network": ID,
        "vlan": 5,
        "mac": "02:00:00:00:00:00",
        "peer": "2222222222",
        "age_s": 1.3,
        "static": False,
        "kind": "learned",
    }
    assert (near["peer"], near["static"], near["kind"]) == ("local", True, "signed")
    with pytest.raises(ApiError) as caught:
        await daemon.ask("fdb", network="89e92ceee5000002")
    assert caught.value.code == "not_found"


@pytest.mark.asyncio
async def test_static_entries_are_passed_on_and_shown(daemon: FakeDaemon) -> None:
    daemon.node.views = [VIEW]
    mac = b"\x02" + bytes(5)
    daemon.engine.fdb = lambda network, now: [  # type: ignore[method-assign]
        FdbEntry(network, 7, mac, b"\x22" * 32, 0.0, static=True, signed=False)
    ]
    station = {"network": ID, "mac": "02:00:00:00:00:00", "vlan": 7}
    (entry,) = (await daemon.ask("fdb_add", **station, peer="bob"))["entries"]
    assert (entry["peer"], entry["kind"]) == ("2222222222", "static")
    await daemon.ask("fdb_del", **station)
    assert daemon.node.calls == [
        ("add_static", NETWORK, 7, mac, "bob"),
        ("remove_static", NETWORK, 7, mac),
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("verb", "wrong", "code"),
    [
        ("fdb_add", {"peer": "nobody"}, "not_found"),
        ("fdb_add", {"peer": 5}, "usage"),
        ("fdb_add", {"vlan": "7", "peer": "bob"}, "usage"),
        ("fdb_del", {"network": "89e92ceee5000002"}, "not_found"),
        ("fdb_del", {"vlan": 9}, "not_found"),
    ],
)
async def test_wrong_static_entries_are_refused(
    daemon: FakeDaemon, verb: str, wrong: dict[str, object], code: str
) -> None:
    daemon.node.views = [VIEW]
    station = {"network": ID, "mac": "02:00:00:00:00:00", "vlan": 7}
    with pytest.raises(ApiError) as caught:
        await daemon.ask(verb, **{**station, **wrong})
    assert caught.value.code == code
    assert daemon.node.calls == []


@pytest.mark.asyncio
async def test_join_waits_for_the_network_and_its_device(daemon: FakeDaemon) -> None:
    daemon.changes = [
        lambda: daemon.change(status="ok"),
        lambda: daemon.names.update({NETWORK: "l2m0"}),
    ]
    answer = await daemon.ask("join", target=ID, wait=30, device="l2m0")
    assert (answer["status"], answer["device"], daemon.changes) == ("ok", "l2m0", [])
    ((_, network, options),) = daemon.node.calls
    assert (network, options) == (
        NETWORK,
        {"fingerprint": None, "token": None, "device": "l2m0"},
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "code"), [("denied", "denied"), ("not_found", "not_found"), ("error", "failed")]
)
async def test_refused_join_ends_at_once(daemon: FakeDaemon, status: str, code: str) -> None:
    daemon.changes = [lambda: daemon.change(status=status, reason="because")]
    with pytest.raises(ApiError, match="because") as caught:
        await daemon.ask("join", target=ID, wait=30)
    assert caught.value.code == code


@pytest.mark.asyncio
async def test_join_that_lasts_is_timed_out_and_kept(daemon: FakeDaemon) -> None:
    with pytest.raises(ApiError, match="still waiting") as caught:
        await daemon.ask("join", target=ID, wait=0.01)
    assert caught.value.code == "timed_out"
    assert (await daemon.ask("join", target=ID, wait=0))["status"] == "requesting"


@pytest.mark.asyncio
async def test_device_that_cannot_be_made_fails_the_join(daemon: FakeDaemon) -> None:
    daemon.node.views = [replace(VIEW, status="ok")]
    daemon.problems[NETWORK] = "an interface called x exists already"
    with pytest.raises(ApiError, match="exists already"):
        await daemon.ask("join", target=ID, wait=30)


@pytest.mark.asyncio
@pytest.mark.parametrize("wait", ["x", -1, 1e9])
async def test_wait_that_makes_no_sense_is_refused(daemon: FakeDaemon, wait: object) -> None:
    with pytest.raises(ApiError, match="wait is"):
        await daemon.ask("join", target=ID, wait=wait)
    assert daemon.node.calls == []


@pytest.mark.asyncio
@pytest.mark.parametrize("device", ["", "a" * 16, "a/b", 7])
async def test_impossible_device_name_is_refused_before_anything_is_stored(
    daemon: FakeDaemon, device: object
) -> None:
    with pytest.raises((ApiError, ConfigError)):
        await daemon.ask("join", target=ID, wait=0, device=device)
    assert daemon.node.calls == []


@pytest.mark.asyncio
async def test_leave_lets_those_go_whom_we_carry_and_forgets_the_bridge(
    daemon: FakeDaemon,
) -> None:
    daemon.node.views = [VIEW]
    assert (await daemon.ask("leave", network=ID))["id"] == ID
    assert daemon.withdrawn == daemon.forgotten == [NETWORK]


@pytest.mark.asyncio
async def test_set_passes_options_on(daemon: FakeDaemon) -> None:
    daemon.node.views = [VIEW]
    await daemon.ask("set", network=ID, options={"bridge": "br0"})
    assert daemon.node.calls == [("set", NETWORK, "bridge", "br0")]
    nothing: tuple[object, ...] = ({}, None, [])
    for options in nothing:
        with pytest.raises(ApiError, match="nothing to set"):
            await daemon.ask("set", network=ID, options=options)
    with pytest.raises(ConfigError, match="colour"):
        await daemon.ask("set", network=ID, options={"colour": "red"})


@pytest.mark.asyncio
async def test_ping_waits_for_a_session_and_its_answer(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "PING_POLL_S", 0)
    daemon.node.ping_errors = [StateError("no session yet")]
    daemon.node.ping_results = [
        None,
        PingResult(1.5, "direct", Endpoint("192.0.2.1", 1), None),
    ]
    answer = await daemon.ask("ping", who="bob")
    assert (answer["rtt_ms"], answer["endpoint"], answer["via"]) == (1.5, "192.0.2.1:1", None)
    assert (answer["via_kind"], answer["via_name"]) == (None, None)


@pytest.mark.asyncio
async def test_ping_without_answer_is_timed_out_and_nobody_not_found(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "PING_POLL_S", 0)
    with pytest.raises(ApiError) as caught:
        await daemon.ask("ping", who="bob")
    assert caught.value.code == "timed_out"
    daemon.node.ping_errors = [StateError("no session yet")] * 100
    with pytest.raises(ApiError) as caught:
        await daemon.ask("ping", who="bob")
    assert caught.value.code == "timed_out"
    daemon.node.ping_errors = [ConfigError("nobody")]
    with pytest.raises(ApiError) as caught:
        await daemon.ask("ping", who="bob")
    assert caught.value.code == "not_found"
