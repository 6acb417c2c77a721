"""Globs of project files: what they find, where they look, and which names they stand for."""

from pathlib import Path

import pytest

from nativecache.cli.globs import Found, matches

FILES = ("a.c", "b.h", ".hidden.c", "src/c.c", "src/deep/d.c", "src/deep/er/e.c", ".git/f.c", "src/x[1].c")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a.c", ["a.c"]),
        ("missing.c", []),
        ("*.c", ["a.c"]),
        ("?.h", ["b.h"]),
        ("src/*.c", ["src/c.c", "src/x[1].c"]),
        ("src/[!a-b].c", ["src/c.c"]),
        ("**/*.c", ["a.c", "src/c.c", "src/deep/d.c", "src/deep/er/e.c", "src/x[1].c"]),
        ("src/**/e.c", ["src/deep/er/e.c"]),
        ("src/**/deep/*.c", ["src/deep/d.c"]),
        ("src/deep/**", ["src/deep/d.c", "src/deep/er/e.c"]),
        (".*.c", [".hidden.c"]),
    ],
)
def test_what_a_glob_finds_and_what_it_matches(pattern: str, found: list[str]) -> None:
    assert Found().files(pattern) == found
    plain = [name for name in FILES if not name.startswith(".") or pattern[0] == "."]
    assert [name for name in sorted(plain) if matches(name, [pattern])] == found


def test_an_absolute_glob(tmp_path: Path) -> None:
    assert Found().files(f"{tmp_path}/src/c*.c") == [f"{tmp_path}/src/c.c"]


def test_the_folders_in_which_was_looked() -> None:
    found = Found()
    found.files("src/**/*.c")
    assert sorted(found.folders) == ["src", "src/deep", "src/deep/er"]


def test_a_link_to_a_folder_above_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "src" / "up").symlink_to("..")
    assert Found().files("src/**/c.c") == ["src/c.c"]
