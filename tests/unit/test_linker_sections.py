"""Sections of an object get names of their own; all else stays where it was."""

import subprocess
from pathlib import Path

import pytest
from harness import needs, needs_clang
from rules import clang_object

from nativecache.linker.errors import BadObject
from nativecache.linker.sections import name_sections

pytestmark = needs_clang

TEXT = """\
int puts(const char *), v = 1;
int f(void) { return v + puts("hi"); }
__attribute__((section("mine"))) void g(void) {}
"""


@pytest.fixture
def obj(tmp_path: Path) -> bytes:
    return (tmp_path / clang_object(tmp_path, "a.c", TEXT)).read_bytes()


def sections(obj: Path) -> set[str]:
    text = subprocess.run(["readelf", "-SW", obj], capture_output=True, text=True, check=True).stdout
    rows = [line.partition("]")[2].split() for line in text.splitlines() if line.lstrip()[:1] == "["]
    return {row[0] for row in rows if row}


@needs("readelf")
def test_sections_have_names_of_their_own(tmp_path: Path, obj: bytes) -> None:
    before, after = tmp_path / "before.o", tmp_path / "after.o"
    before.write_bytes(obj)
    after.write_bytes(name_sections(obj, "f"))
    old, new = sections(before), sections(after)
    assert {".text", ".rela.text", ".data"} <= old
    assert new - old == {".text.f", ".rela.text.f", ".data.f"}
    assert old - new == {".text", ".rela.text", ".data"}
    assert {"mine", ".rodata.str1.1", ".eh_frame"} <= new


def test_named_twice_is_named_once(obj: bytes) -> None:
    named = name_sections(obj, "f")
    assert name_sections(named, "g") == named


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(BadObject):
        name_sections(b"hello", "f")
