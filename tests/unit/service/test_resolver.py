"""Name servers go to the resolver that the host has, by programs of its own."""

from pathlib import Path

import pytest

from l2mesh.service import resolver
from l2mesh.service.resolver import set_servers


class Programs:
    """A PATH with programs that note how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"

    def add(self, name: str, status: int = 0) -> None:
        path = self.folder / name
        lines = (
            "#!/bin/sh",
            f'echo {name} "$@" >>{self.log}',
            f'while read -r line; do echo "  $line" >>{self.log}; done',
            f"[ {status} = 0 ] || echo 'it is Monday' >&2",
            f"exit {status}",
        )
        path.write_text("\n".join(lines))
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(resolver, "RESOLVED", tmp_path)
    return Programs(tmp_path)


def test_resolved_gets_them_and_gives_them_back(programs: Programs) -> None:
    programs.add("resolvectl")
    programs.add("resolvconf")
    assert set_servers("l2m0", ["10.9.0.53", "fd00::53"]) == []
    assert set_servers("l2m0", []) == []
    assert programs.calls == ["resolvectl dns l2m0 10.9.0.53 fd00::53", "resolvectl revert l2m0"]


def test_resolvconf_gets_them_where_resolved_does_not_run(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "RESOLVED", programs.folder / "absent")
    programs.add("resolvectl")
    programs.add("resolvconf")
    assert set_servers("l2m0", ["10.9.0.53"]) == []
    assert set_servers("l2m0", []) == []
    assert programs.calls == [
        "resolvconf -a l2m0.l2mesh",
        "  nameserver 10.9.0.53",
        "resolvconf -d l2m0.l2mesh",
    ]


def test_without_either_it_says_what_to_install(programs: Programs) -> None:
    assert set_servers("l2m0", []) == []
    assert set_servers("l2m0", ["10.9.0.53"]) == [
        "name servers 10.9.0.53 are not in use: install systemd-resolved or resolvconf"
    ]
    assert not programs.log.exists()


def test_what_the_program_says_is_told(programs: Programs) -> None:
    programs.add("resolvectl", status=1)
    [problem] = set_servers("l2m0", ["10.9.0.53"])
    assert problem == "name servers: resolvectl dns l2m0 10.9.0.53: it is Monday"
