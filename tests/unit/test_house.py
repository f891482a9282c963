"""Facts about the tree as a whole that no single module can state."""

import ast
import configparser
import importlib
import os
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("l2mesh", "controller", "planet")
CATCH_ALL_NAMES = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
# named by the surface contract: outside scripts call these
PROGRAMS = {
    "l2mesh": "l2mesh.cli.main:main",
    "l2meshd": "l2mesh.service.main:main",
    "l2mesh-controller": "controller.main:main",
    "l2mesh-planet": "planet.main:main",
}


def _config() -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    return config


def _sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def _packages() -> list[Path]:
    return [path for path in _sources(*SHIPPED) if path.name == "__init__.py"]


def _module_file(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def _absolute_imports(tree: ast.AST) -> Iterator[str]:
    """The top-level names of what a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _distribution_name(requirement: str) -> str:
    name = requirement
    for mark in "<>=!~;[ ":
        name = name.partition(mark)[0]
    return name.lower()


@pytest.mark.parametrize("path", _packages(), ids=_names(_packages()))
def test_package_says_what_it_is_for(path: Path) -> None:
    essay = ast.get_docstring(ast.parse(path.read_text()))
    assert essay is not None
    assert len(essay.splitlines()) > 2, "a package has an essay, not a label"


def test_every_folder_of_sources_is_a_package() -> None:
    # setuptools would leave it out of the wheel without a word
    folders = {path.parent for path in _sources(*SHIPPED)}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_module_has_a_catch_all_name() -> None:
    sources = _sources(*SHIPPED, "tools", "tests")
    parts = [(path, part) for path in sources for part in path.relative_to(ROOT).parts]
    assert [path for path, part in parts if part.removesuffix(".py") in CATCH_ALL_NAMES] == []


@pytest.mark.parametrize("package", SHIPPED)
def test_types_are_shipped(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


def test_console_scripts_are_those_of_the_contract() -> None:
    lines = _config()["options.entry_points"]["console_scripts"].strip().splitlines()
    assert dict(line.split(" = ", 1) for line in lines) == PROGRAMS


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_has_an_entry_point(program: str) -> None:
    module, _, function = PROGRAMS[program].partition(":")
    if not _module_file(module).exists():
        pytest.skip(f"{module} is not written yet")
    assert callable(getattr(importlib.import_module(module), function))


def test_shipped_packages_import_only_what_they_require() -> None:
    requirements = _config()["options"]["install_requires"].strip().splitlines()
    required = {_distribution_name(line) for line in requirements if not line.startswith("#")}
    providers = packages_distributions()
    own = {*SHIPPED, *sys.stdlib_module_names}
    undeclared = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in _sources(*SHIPPED)
        for name in _absolute_imports(ast.parse(path.read_text()))
        if name not in own
        and not required & {provider.lower() for provider in providers.get(name, [])}
    }
    assert undeclared == set()


def test_every_requirement_says_why_it_is_there() -> None:
    lines = (ROOT / "setup.cfg").read_text().splitlines()
    start = lines.index("install_requires =") + 1
    end = lines.index("", start)
    pairs = list(zip(lines[start - 1 : end - 1], lines[start:end], strict=True))
    bare = [line for before, line in pairs if not {"#"} & {before.strip()[:1], line.strip()[:1]}]
    assert bare == []


def test_the_three_rings_free_of_io_forbid_the_same_modules() -> None:
    config = _config()
    rings = ("sans-io", "controller-sans-io", "planet-sans-io")
    forbidden = {config[f"importlinter:contract:{ring}"]["forbidden_modules"] for ring in rings}
    assert len(forbidden) == 1


def _sleeps(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) not in {
            "time.sleep",
            "asyncio.sleep",
        }:
            continue
        # asyncio.sleep(0) waits for nothing: it lets other tasks run
        if ast.unparse(node) != "asyncio.sleep(0)":
            yield f"{path.relative_to(ROOT)}:{node.lineno}"


def test_nothing_below_the_system_tests_sleeps() -> None:
    system = ROOT / "tests" / "system"
    below = [path for path in _sources("tests") if not path.is_relative_to(system)]
    assert [place for path in below for place in _sleeps(path)] == []


def test_commands_of_the_contract_are_executable() -> None:
    for name in ("tools/setup", "tools/check", ".ci/run"):
        assert os.access(ROOT / name, os.X_OK), name
        assert (ROOT / name).read_text().startswith("#!"), name
