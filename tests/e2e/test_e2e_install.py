"""What is built from the sources installs in full, and tests itself."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest
from harness import ROOT

from nativecache.cache.own_code import PARTS
from nativecache.cli.start import VERSION

#: The first that reads a licence as pyproject.toml writes it.
SETUPTOOLS = 77

IMPORT_ALL = """
import importlib, json, sys
folder, *names = sys.argv[1:]
sys.path.insert(0, folder)
print(json.dumps({name: importlib.import_module(name).__file__ for name in names}))
"""


def run(*command: str, cwd: Path) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, for a build leaves files among them."""
    if importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("setuptools and pip are not installed")
    found = version("setuptools")
    if int(found.partition(".")[0]) < SETUPTOOLS:
        pytest.skip(f"setuptools {found} is older than {SETUPTOOLS}")
    folder = tmp_path_factory.mktemp("sources") / "nativecache"
    left_out = shutil.ignore_patterns(
        *(".git", ".venv", ".types", "__pycache__", "build", "dist", "*.egg-info", "*.profraw"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"),
    )
    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


@pytest.fixture(scope="module")
def installed(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel of the sources was installed to."""
    wheels = tmp_path_factory.mktemp("wheels")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(sources), cwd=wheels)
    (wheel,) = wheels.glob("*.whl")
    assert wheel.name == f"nativecache-{VERSION}-py3-none-any.whl"
    target = tmp_path_factory.mktemp("installed")
    run(
        *pip,
        "install",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--target",
        str(target),
        str(wheel),
        cwd=wheels,
    )
    return target


def own_modules(sources: Path) -> dict[str, str]:
    """All modules by name, with their files below the folder that they are installed to."""
    paths = [path.relative_to(sources) for part in PARTS for path in (sources / part).rglob("*.py")]
    return {
        ".".join(("nativecache", *path.with_suffix("").parts)).removesuffix(
            ".__init__"
        ): f"nativecache/{path}"
        for path in paths
    }


def test_every_module_is_installed_and_can_be_imported(sources: Path, installed: Path) -> None:
    modules = own_modules(sources)
    assert len(modules) > 100
    found = json.loads(run(sys.executable, "-c", IMPORT_ALL, str(installed), *modules, cwd=installed))
    assert found == {name: str(installed / path) for name, path in modules.items()}


def test_every_package_says_that_it_has_types(installed: Path) -> None:
    packages = [path.parent for path in (installed / "nativecache").rglob("__init__.py")]
    assert len(packages) >= len(PARTS)
    assert not [package for package in packages if not (package / "py.typed").is_file()]


def test_nothing_but_nativecache_is_installed(installed: Path) -> None:
    names = {path.name for path in installed.iterdir()} - {"bin", "__pycache__"}
    assert names == {"nativecache", f"nativecache-{VERSION}.dist-info"}
    assert {path.name for path in (installed / "nativecache").iterdir()} - {"__pycache__"} == set(PARTS)


def test_the_version_stands_in_one_place(installed: Path) -> None:
    metadata = (installed / f"nativecache-{VERSION}.dist-info" / "METADATA").read_text()
    assert f"\nVersion: {VERSION}\n" in metadata
    said = run(
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(installed)!r}); sys.argv = ['nativecache', '--version']\n"
        "from nativecache.cli.start import main; main()",
        cwd=installed,
    )
    assert said == f"nativecache, version {VERSION}\n"
    assert f'"{VERSION}"' not in (ROOT / "pyproject.toml").read_text()


def test_a_source_distribution_holds_its_tests(sources: Path, tmp_path: Path) -> None:
    run(
        sys.executable,
        "-c",
        f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})",
        cwd=sources,
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    wanted = {
        str(path.relative_to(sources))
        for path in sources.rglob("*")
        if path.is_file()
        and not re.search(r"egg-info|__pycache__|/build/|^build/", str(path.relative_to(sources)))
    }
    assert wanted - names == set()
    assert {"Makefile", ".ci/run", "tests/setup.sh", "tests/conftest.py", "examples/c/main.c"} <= names
