"""The planet's files and command line, without a running planet."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from l2mesh.address import format_fingerprint
from l2mesh.cli.client import request
from l2mesh.crypto import SodiumCrypto
from l2mesh.errors import ConfigError
from l2mesh.identity import Identity
from l2mesh.node.effects import Persist
from l2mesh.runtime.carrier import SLOW_ENGINE
from l2mesh.runtime.underlay import Listen
from l2mesh.service.state import StateDirectory
from l2mesh.service.statewriter import StateWriter
from planet.directory import FirstClaim
from planet.main import main
from planet.service import claims
from planet.service.claims import ClaimsFile
from planet.service.daemon import SOCKET, Daemon, Options
from tests.slowdisk import SlowDisk

CRYPTO = SodiumCrypto()
KEYS = [(44, 13, "-"), (6675, 2, "--")]
"""Private keys whose public identity begins so, by a search that anybody can repeat."""
CLAIMS = [FirstClaim(bytes([number]) * 5, bytes([number]) * 128) for number in range(1, 5)]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    return status, output.out, output.err


@pytest.fixture
def disk(state: Path) -> SlowDisk:
    return SlowDisk(state)


def append(disk: StateDirectory, claims: list[FirstClaim]) -> None:
    """One run of a planet, which writes these."""
    writer = StateWriter(disk)
    ClaimsFile(disk, writer).append(claims)
    writer.close()
    assert writer.problem() == ""


def read(disk: StateDirectory) -> list[FirstClaim]:
    return ClaimsFile(disk, StateWriter(disk)).read()


def test_claims_outlive_a_restart(disk: StateDirectory) -> None:
    assert read(disk) == []
    append(disk, CLAIMS[:2])
    append(disk, CLAIMS[2:])
    assert read(disk) == CLAIMS
    assert (disk.path / "directory").stat().st_mode & 0o777 == 0o600


def test_a_slow_disk_holds_nobody_up(disk: SlowDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows wait for the thread that hangs in another file, and those beyond the bound are lost."""
    monkeypatch.setattr(claims, "_MAX_WAITING_BYTES", 3 * 136)
    disk.gate.clear()
    disk.began.clear()
    writer = StateWriter(disk)
    writer.put(Persist("world", b"held up"))
    assert disk.began.wait(10)
    file = ClaimsFile(disk, writer)
    for claim in CLAIMS:
        file.append([claim])
    assert not (disk.path / "directory").exists()
    disk.gate.set()
    writer.close()
    assert read(disk) == CLAIMS[:3]


def test_a_disk_that_takes_no_claims_is_named(disk: StateDirectory) -> None:
    (disk.path / "directory").mkdir()
    writer = StateWriter(disk)
    ClaimsFile(disk, writer).append(CLAIMS)
    writer.close()
    assert "Is a directory" in writer.problem()


@pytest.mark.parametrize("cut", [1, 5, 135])
def test_row_cut_off_by_a_kill_costs_only_itself(disk: StateDirectory, cut: int) -> None:
    append(disk, CLAIMS)
    path = disk.path / "directory"
    path.write_bytes(path.read_bytes()[:-cut])
    assert read(disk) == CLAIMS[:3]
    append(disk, CLAIMS[3:])
    assert read(disk) == CLAIMS


def test_row_cut_off_by_a_full_disk_costs_only_itself(disk: StateDirectory) -> None:
    """The planet runs on, and what comes later stands where rows stand."""
    append(disk, CLAIMS[:2])
    path = disk.path / "directory"
    path.write_bytes(path.read_bytes()[:-5])
    append(disk, CLAIMS[2:])
    assert read(disk) == [CLAIMS[0], *CLAIMS[2:]]


def test_damaged_row_is_left_out(disk: StateDirectory) -> None:
    append(disk, CLAIMS)
    path = disk.path / "directory"
    data = bytearray(path.read_bytes())
    data[136 + 20] ^= 1
    path.write_bytes(data)
    assert read(disk) == [CLAIMS[0], *CLAIMS[2:]]


def test_identity_is_made_once(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run(capsys, "identity", "--state", state, "-o", "json")
    assert first == run(capsys, "identity", "-o", "json", "--state", state)
    document = json.loads(first[1])
    assert {"address", "fingerprint", "public"} < document.keys()
    assert len(document["address"]) == 10 and len(document["public"]) == 171


def test_world_is_created_shown_and_updated(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "world"
    public = json.loads(run(capsys, "identity", "--state", state, "-o", "json")[1])["public"]
    named = [f"{public}@192.0.2.1:9993", f"{public}@[2001:db8::1]:9993"]
    create = ["world", "create", "--state", state, "--out", out, *named, "-o", "json"]
    assert run(capsys, *create)[0] == 0
    status, shown, _ = run(capsys, "world", "show", out, "-o", "json")
    first = json.loads(shown)
    assert status == 0 and first["revision"] == 1
    assert first["planets"][0]["endpoints"] == ["192.0.2.1:9993", "[2001:db8::1]:9993"]
    assert out.stat().st_mode & 0o777 == 0o644
    (state / "world").write_bytes(out.read_bytes())
    again = json.loads(run(capsys, *create)[1])
    assert (again["id"], again["revision"]) == (first["id"], 2)


def test_world_under_another_key_is_above_the_one_held(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    public = json.loads(run(capsys, "identity", "--state", state, "-o", "json")[1])["public"]
    planet = f"{public}@192.0.2.1:9993"
    held = state / "world"
    run(capsys, "world", "create", "--state", state, "--out", held, planet)
    run(capsys, "world", "create", "--state", other, "--out", tmp_path / "x", planet)
    key = other / "world.key"
    create = ["world", "create", "--state", state, "--key", key, "--out", tmp_path / "y", planet]
    status, shown, _ = run(capsys, *create, "-o", "json")
    assert status == 0 and json.loads(shown)["revision"] == 2
    key.chmod(0o644)
    status, _, errors = run(capsys, *create)
    assert status == 1 and errors.startswith("error: ") and "hint: run: chmod 600" in errors


@pytest.mark.parametrize(("exchange", "seed", "dashes"), KEYS)
def test_public_identity_may_begin_with_a_dash(
    state: Path, capsys: pytest.CaptureFixture[str], exchange: int, seed: int, dashes: str
) -> None:
    private, signing = exchange.to_bytes(32, "big"), seed.to_bytes(32, "big")
    dashed = Identity.from_keys(private, signing, CRYPTO).public
    other = json.loads(run(capsys, "identity", "--state", state, "-o", "json")[1])
    out, named = state.parent / "out", [f"{dashed.text()}@192.0.2.1:1"]
    named.append(f"{other['public']}@192.0.2.2:2")
    assert named[0].startswith(dashes)
    for words in (["--out", out, *named], [*named, "--out", out]):
        assert run(capsys, "world", "create", "--state", state, *words)[0] == 0
    made = json.loads(run(capsys, "world", "show", out, "-o", "json")[1])
    fingerprints = [planet["fingerprint"] for planet in made["planets"]]
    assert fingerprints == [format_fingerprint(dashed.fingerprint), other["fingerprint"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--tls", "nowhere"], "nowhere"),
        (["serve", "--listen", "everywhere"], "everywhere"),
        (["serve", "--advertise", "192.0.2.1"], "192.0.2.1"),
        (["world", "create", "--out", "x", "nobody@192.0.2.1:1"], "public identity"),
        (["world", "create", "--out", "x", "nobody"], "PUBLIC@ADDR:PORT"),
        (["dance"], "dance"),
    ],
)
def test_wrong_usage_is_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, errors = run(capsys, *arguments)
    assert status == 2 and out == ""
    assert errors.startswith("error: ") and said in errors and "hint: " in errors


def test_status_without_a_planet_is_3(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, errors = run(capsys, "status", "--state", state, "-o", "json")
    assert (
        status == 3
        and out == ""
        and errors.splitlines()
        == [
            f"error: no planet answers at {state}/planet.sock",
            "hint: start `l2mesh-planet serve`, or name its directory with --state",
        ]
    )


@pytest.mark.parametrize(
    "words",
    [
        "-o json --state DIR identity",
        "--state DIR identity -o json",
        "identity --state DIR -o json",
        "-o table --state /elsewhere identity -o json --state DIR",
    ],
)
def test_options_stand_anywhere(
    state: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = json.loads(run(capsys, "identity", "--state", state, "-o", "json")[1])
    status, out, _ = run(capsys, *words.replace("DIR", str(state)).split())
    assert status == 0 and json.loads(out) == made


def test_options_stand_anywhere_around_a_group(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = json.loads(run(capsys, "identity", "--state", state, "-o", "json")[1])["public"]
    file = state / "made"
    named = ["create", "--out", file, f"{public}@192.0.2.1:9993"]
    made = json.loads(run(capsys, "world", "--state", state, "-o", "json", *named)[1])
    assert made["file"] == str(file) and (state / "world.key").exists()
    shown = [
        run(capsys, *words)
        for words in (
            ["-o", "json", "world", "show", file],
            ["world", "-o", "json", "show", file],
            ["world", "show", "-o", "json", file],
            ["world", "show", file, "-o", "json"],
        )
    ]
    assert len(set(shown)) == 1 and shown[0][0] == 0
    assert json.loads(shown[0][1]).items() < made.items()


def test_tables_name_every_value(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    public = json.loads(run(capsys, "identity", "--state", state, "-o", "json")[1])["public"]
    named = [f"{public}@192.0.2.1:9993", f"{public}@192.0.2.2:9993"]
    status, out, _ = run(capsys, "--state", state, "world", "create", "--out", state / "w", *named)
    lines = out.splitlines()
    assert (
        status == 0 and lines[1].split() == ["revision", "1"] and lines[2:4] == ["planets", "  -"]
    )
    assert lines[-2].split() == ["endpoints", "192.0.2.1:9993,192.0.2.2:9993"]


def test_options_flag_over_environment_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "planet.toml"
    config.write_text(f'state = "{tmp_path}/file"\nlisten = "127.0.0.1:1"\n')
    assert run(capsys, "--config", config, "identity")[0] == 0
    assert run(capsys, "identity", "--config", config)[0] == 0
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["file"]
    monkeypatch.setenv("L2MESH_PLANET_STATE", str(tmp_path / "environment"))
    monkeypatch.setenv("L2MESH_PLANET_OUTPUT", "json")
    _, shown, _ = run(capsys, "identity", "--config", config)
    assert json.loads(shown) and (tmp_path / "environment").exists()
    _, shown, _ = run(capsys, "--state", tmp_path / "flag", "-o", "table", "identity")
    assert shown.startswith("address") and (tmp_path / "flag").exists()
    config.write_text("colour = 1\n")
    status, _, errors = run(capsys, "--config", config, "identity")
    assert status == 2 and "no option is called 'colour'" in errors


def test_damaged_world_file_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "world"
    path.write_text("l2mesh-world:AAAA\n")
    assert run(capsys, "world", "show", path)[0] == 1
    assert run(capsys, "world", "show", tmp_path / "none")[0] == 1


def options(state: Path, engine: str = "auto") -> Options:
    return Options(state=state, listen=Listen("127.0.0.1", 0), engine=engine)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_status_says_which_engine_relays(state: Path, engine: str) -> None:
    if engine == "native":
        pytest.importorskip("l2mesh.datapath.native", reason="the native engine is not built")

    async def ask() -> dict[str, Any]:
        daemon = Daemon(options(state, engine))
        await daemon.start()
        try:
            return await asyncio.to_thread(request, str(state / SOCKET), "status", {}, timeout_s=10)
        finally:
            await daemon.stop()

    status = asyncio.run(ask())
    assert status["engine"] == engine
    assert status["health"] == ([SLOW_ENGINE] if engine == "reference" else [])
    assert (status["sessions"], status["relays"], status["relayed_bytes"]) == (0, 0, 0)


def test_planet_cannot_start_in_a_world_without_itself(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = json.loads(run(capsys, "identity", "--state", tmp_path / "o", "-o", "json")[1])
    planet = f"{other['public']}@192.0.2.1:9993"
    run(capsys, "world", "create", "--state", state, "--out", state / "world", planet)
    with pytest.raises(ConfigError, match="own identity"):
        Daemon(options(state))


def test_planet_cannot_start_with_files_that_others_may_read(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "identity", "--state", state)
    os.chmod(state / "identity.secret", 0o640)
    with pytest.raises(ConfigError, match="others"):
        Daemon(options(state))
