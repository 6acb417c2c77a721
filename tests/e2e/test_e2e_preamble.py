"""Edited sources are compiled on precompiled headers, and no image shows it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import BuildResult, build, clean_environment, needs_clang, run

from nativecache.aot.front.preambles import read_preamble
from nativecache.aot.key import sealed
from nativecache.cache.entry import decode_entry, encode_entry

pytestmark = needs_clang

#: A head that takes long enough to be precompiled: 0.6 s, where 0.2 is asked for.
HEAD = '#include "own.h"\n#include <string>\n#include <regex>\n'
OWN = "#pragma once\ninline int own() { return 1; }\n"
BODY = """
int main(int argc, char **argv) {
  std::string s(argv[0]);
  return own() + NUMBER + (s.size() != 7);
}
"""
FLAGS = ("main.cpp", "-std=c++17", "-O1", "-j2", "-o", "app")


class Space:
    """A program of one file, whose exit code each edit makes another one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        (folder / "own.h").write_text(OWN)

    def edit(self, *flags: str, head: str = HEAD, check: bool = True, body: str = BODY) -> BuildResult:
        """A build after an edit of the source alone."""
        self.number += 1
        (self.folder / "main.cpp").write_text(head + body.replace("NUMBER", str(self.number)))
        return build(self.folder, *FLAGS, *flags, check=check)

    def check(self, done: BuildResult, on: int, own: int = 1) -> None:
        """How many sources were compiled on a preamble; the image is of what is there now."""
        assert done.stats["on_preambles"] == on
        assert run(self.folder / "app").code == self.number + own

    def compare(self) -> None:
        """The image is that of a build that knows of no preamble."""
        (apart := self.folder / "apart").mkdir(exist_ok=True)
        build(apart, *FLAGS[:-1], apart / "app", "--no-preamble", cwd=self.folder)
        assert (self.folder / "app").read_bytes() == (apart / "app").read_bytes()

    def kept(self) -> Path:
        """The file of the precompiled header: the largest."""
        files = [path for path in (self.folder / "cache").rglob("*.o") if path.is_file()]
        return max(files, key=lambda path: path.stat().st_size)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Space:
    """A program that was built and edited once, and beside it a copy of its folder."""
    folder = tmp_path_factory.mktemp("preamble") / "space"
    folder.mkdir()
    space = Space(folder)
    for _ in range(2):
        assert space.edit().stats["on_preambles"] == 0
    shutil.copytree(folder, folder.with_name("copy"))
    return space


@pytest.fixture
def space(built: Space) -> Space:
    """That program, in its folder as it was: what is precompiled is so for a folder."""
    shutil.rmtree(built.folder)
    shutil.copytree(built.folder.with_name("copy"), built.folder)
    built.number = 2
    return built


def test_the_second_edit_is_compiled_on_a_preamble(space: Space) -> None:
    for _ in range(2):
        done = space.edit("--verify=100")
        assert done.stats["verified"] >= 1
        assert done.stats["mismatches"] == []
        space.check(done, on=1)
        space.compare()
    done = space.edit("--timings")
    assert "app: front end: 0 of 1 files unchanged, 1 compiled on precompiled headers" in done.stdout
    done = build(space.folder, *FLAGS)  # up to date
    assert done.stats["on_preambles"] == 0


def test_it_can_be_turned_off(space: Space) -> None:
    space.check(space.edit("--no-preamble"), on=0)
    (space.folder / "main.cpp").write_text(HEAD + BODY.replace("NUMBER", "9"))
    done = build(space.folder, *FLAGS, env={"NATIVECACHE_NO_PREAMBLE": "1"})
    assert done.stats["on_preambles"] == 0
    space.check(space.edit(), on=1)


@pytest.mark.parametrize("flag", ["-DX=1", "-std=c++20"])
def test_other_flags_are_another_question(space: Space, flag: str) -> None:
    assert space.edit(flag).stats["on_preambles"] == 0


def test_there_are_none_with_debug_information(space: Space) -> None:
    assert [space.edit("-g").stats["on_preambles"] for _ in range(3)] == [0, 0, 0]


def test_warnings_that_nobody_hears(space: Space) -> None:
    """In a header and in the source, and of one that would be an error."""
    (space.folder / "own.h").write_text(OWN + "#warning here\ninline int no() {}\n")
    body = BODY + "int *wrong() { int x; return &x; }\n"
    flags = ("-w", "-Werror")
    for on in (0, 0, 1):
        done = space.edit(*flags, body=body)
        space.check(done, on)
        assert done.stderr == ""
    done = space.edit(*flags, "--verify=100", body=body)
    space.check(done, on=1)
    assert done.stats["mismatches"] == []
    (apart := space.folder / "apart").mkdir(exist_ok=True)
    build(apart, *FLAGS[:-1], apart / "app", *flags, "--no-preamble", cwd=space.folder)
    assert (space.folder / "app").read_bytes() == (apart / "app").read_bytes()
    # A remark is heard.
    done = space.edit(*flags, "-Rpass=inline", body=body)
    again = space.edit(*flags, "-Rpass=inline", body=body)
    assert "remark: " in done.stderr and "remark: " in again.stderr


def test_with_headers_that_ask_what_clang_has(space: Space) -> None:
    """As C++20's `<version>` does, of what would tell the name of a file."""
    version, location = (f"{HEAD}#include <{name}>\n" for name in ("version", "source_location"))
    assert [space.edit("-std=c++20", head=version).stats["on_preambles"] for _ in range(3)] == [0, 0, 1]
    space.check(space.edit("-std=c++20", head=version), on=1)
    # Who includes what does tell it is compiled plainly.
    assert [space.edit("-std=c++20", head=location).stats["on_preambles"] for _ in range(3)] == [0, 0, 0]


def test_a_preamble_is_for_one_head(space: Space) -> None:
    longer = HEAD + "#define MORE 1\n"
    space.check(space.edit(head=longer), on=0)
    space.check(space.edit(head=longer), on=1)
    space.check(space.edit(), on=0)


def test_a_header_of_the_preamble_is_edited(space: Space) -> None:
    """Also right after a build on it: what is noted of that names all headers."""
    space.check(space.edit(), on=1)
    (space.folder / "own.h").write_text(OWN.replace("1", "2"))
    done = build(space.folder, *FLAGS)
    space.check(done, on=0, own=2)
    space.check(space.edit(), on=0, own=2)
    space.check(space.edit(), on=1, own=2)
    space.compare()
    (space.folder / "own.h").write_text(OWN.replace("1", "3"))  # together with the source
    space.check(space.edit(), on=0, own=3)


def test_a_header_appears_where_it_is_found_first(space: Space) -> None:
    flags = ("-Ifirst", "-Isecond")
    head = HEAD.replace('"own.h"', "<shadowed.h>")
    for name in ("first", "second"):
        (space.folder / name).mkdir()
    (space.folder / "second/shadowed.h").write_text(OWN)

    def edit() -> int:
        return int(space.edit(*flags, head=head).stats["on_preambles"])

    assert [edit() for _ in range(3)] == [0, 0, 1]
    assert run(space.folder / "app").code == space.number + 1
    (space.folder / "first/shadowed.h").write_text(OWN.replace("1", "4"))
    assert edit() == 0
    assert run(space.folder / "app").code == space.number + 4


def test_warnings_and_errors_are_clangs(space: Space) -> None:
    """Once, in its order, as it prints them without a preamble; also where the edit before had some."""
    loud = BODY + "static int unused() { int x; return 0; }\n"
    wrong = BODY + "int f() { return y; }\n"
    for _ in range(2):
        space.edit("-Wall")
    assert space.edit("-Wall").stats["on_preambles"] == 1
    for body, code in ((loud, 0), (BODY, 0), (wrong, 1)):
        done = space.edit("-Wall", "-fcolor-diagnostics", body=body, check=False)
        command = ["clang-22", *FLAGS[:3], "-Wall", "-c", "-o", os.devnull]
        expected = subprocess.run(command, cwd=space.folder, capture_output=True, text=True)
        assert done.exit_code == code
        assert done.stderr[: len(expected.stderr)] == expected.stderr
        assert done.stderr.count("\n") == expected.stderr.count("\n") + code
        assert done.stats.get("on_preambles", 0) == 0
    assert space.edit("-Wall", "-fcolor-diagnostics").stats["on_preambles"] == 1


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def seal_nonsense(path: Path) -> None:
    """A precompiled header that is none, in an entry that is whole."""
    key = path.parent.name + path.stem
    entry = decode_entry(key, path.read_bytes())
    end = 4 + int.from_bytes(entry.payload[:4], "little")
    path.write_bytes(encode_entry(sealed("preamble", key, entry.payload[:end] + b"nonsense", 0)))


@pytest.mark.parametrize("damage", [flip, cut, seal_nonsense, Path.unlink])
def test_damage(space: Space, damage: Callable[[Path], None]) -> None:
    damage(space.kept())
    space.check(space.edit(), on=0)


def test_pruned(space: Space) -> None:
    words = [sys.executable, "-m", "nativecache.cli.start", "cache"]
    environ = clean_environment() | {"NATIVECACHE_DIR": str(space.folder / "cache")}
    size = space.kept().stat().st_size
    subprocess.run([*words, "verify"], env=environ, check=True, capture_output=True)
    subprocess.run([*words, "prune", f"--max-size={size // 2}"], env=environ, check=True, capture_output=True)
    assert space.kept().stat().st_size < size
    space.check(space.edit(), on=0)


def test_a_cache_that_is_only_read(space: Space) -> None:
    before = {path: path.stat().st_mtime_ns for path in (space.folder / "cache").rglob("*")}
    space.check(space.edit("--cache-mode", "read-only"), on=1)
    assert before == {path: path.stat().st_mtime_ns for path in (space.folder / "cache").rglob("*")}


def test_a_wrong_preamble_is_found(space: Space) -> None:
    """One of another header, of the same size, in an entry that says otherwise."""
    path = space.kept()
    right = path.read_bytes()
    (space.folder / "own.h").write_text(OWN.replace("1", "2"))
    for _ in range(2):
        space.edit()
    assert space.kept() == path
    key = path.parent.name + path.stem
    wrong, entry = decode_entry(key, path.read_bytes()), decode_entry(key, right)
    precompiled = read_preamble(wrong).precompiled
    end = 4 + int.from_bytes(entry.payload[:4], "little")
    (space.folder / "own.h").write_text(OWN)
    for _ in range(2):
        space.edit()
    path.write_bytes(encode_entry(sealed("preamble", key, entry.payload[:end] + precompiled, 0)))
    done = space.edit("--verify=100", check=False)
    assert done.exit_code == 4
    assert done.stats["mismatches"] == ["main.cpp"]
    space.check(done, on=1)
    space.check(space.edit(), on=0)  # it is not used again


def test_two_builds_at_once(space: Space) -> None:
    other = space.folder / "other"
    command = [sys.executable, "-m", "nativecache.cli.start", "build", *FLAGS[1:-1]]
    environ = clean_environment() | {"NATIVECACHE_DIR": str(space.folder / "cache")}
    for number, head in (("4", HEAD), ("5", HEAD + "#define MORE\n")):
        (space.folder / "main.cpp").write_text(head + BODY.replace("NUMBER", number))
        children = [
            subprocess.Popen([*command, out, "main.cpp"], cwd=space.folder, env=environ)
            for out in ("app", str(other))
        ]
        assert [child.wait() for child in children] == [0, 0]
        for image in (space.folder / "app", other):
            assert run(image).code == int(number) + 1
