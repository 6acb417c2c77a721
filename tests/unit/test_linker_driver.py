"""The compiler driver that is found."""

import importlib
from pathlib import Path

import pytest

from nativecache.linker.driver import Driver, find_driver
from nativecache.linker.errors import LinkError


def fake_tools(folder: Path, *names: str) -> dict[str, str]:
    for name in names:
        (folder / name).write_text("#!/bin/sh\necho fake clang version\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


def test_the_first_driver_on_the_path_is_taken(tmp_path: Path) -> None:
    environ = fake_tools(tmp_path, "clang-19", "clang-21", "clang++-19")
    assert find_driver(None, cplusplus=False, environ=environ) == Driver(
        (str(tmp_path / "clang-21"),), "clang"
    )
    assert find_driver(None, cplusplus=True, environ=environ) == Driver(
        (str(tmp_path / "clang++-19"),), "clang"
    )


def test_a_driver_whose_name_says_nothing_is_asked(tmp_path: Path) -> None:
    assert find_driver(None, cplusplus=False, environ=fake_tools(tmp_path, "cc")).family == "clang"


def test_an_explicit_driver_may_have_arguments_and_a_sibling(tmp_path: Path) -> None:
    environ = fake_tools(tmp_path, "wrap", "gcc-12", "g++-12")
    found = find_driver("wrap gcc-12", cplusplus=True, environ=environ)
    assert found == Driver((str(tmp_path / "wrap"), str(tmp_path / "g++-12")), "gcc")


def test_zig_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ziglang").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LinkError, match=r"no C\+\+ compiler"):  # a folder of that name is no package
        find_driver(None, cplusplus=True, environ={"PATH": ""})
    (tmp_path / "ziglang" / "__init__.py").touch()
    importlib.invalidate_caches()
    (tmp_path / "ziglang" / "zig").touch(0o755)
    found = find_driver(None, cplusplus=True, environ={"PATH": ""})
    assert found == Driver((str(tmp_path / "ziglang" / "zig"), "c++"), "zig")


def test_no_driver_at_all_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LinkError, match="no C compiler to link with"):
        find_driver(None, cplusplus=False, environ={"PATH": ""})
