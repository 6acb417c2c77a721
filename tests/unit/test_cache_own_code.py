"""Our own code is all of it, however deep; and all of it is installed."""

import os
import tomllib
from pathlib import Path

from harness import ROOT

from nativecache.cache.own_code import PARTS, own_code, own_files, own_stamps


def test_every_module_is_in_it() -> None:
    modules = [path for part in PARTS for path in (ROOT / part).rglob("*.py")]
    every = sorted(path.relative_to(ROOT).as_posix() for path in modules)
    assert [name for name, _, _ in own_files()] == every
    assert len(own_code()) == 64 and all(name in own_stamps() for name in every)


def test_modules_in_nested_folders_are_in_it(tmp_path: Path) -> None:
    others = ("cli/__pycache__/d.py", "tests/e.py", "cli/f.txt")
    for name in ("aot/a.py", "aot/units/b.py", "cli/x/y/c.py", *others):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert [name for name, _, _ in own_files(str(tmp_path))] == ["aot/a.py", "aot/units/b.py", "cli/x/y/c.py"]


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {
        f"nativecache.{path.parent.relative_to(ROOT).as_posix().replace('/', '.')}"
        for part in PARTS
        for path in (ROOT / part).rglob("__init__.py")
    }
    with_code = {os.path.dirname(name).replace("/", ".") for name, _, _ in own_files()}
    assert set(settings["packages"]) == folders == {f"nativecache.{name}" for name in with_code}
