"""Tests for what is read from linker scripts and lists of symbols."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import needs_clang
from rules import clang_archive, clang_object

from nativecache.linker.native import scan_native
from nativecache.linker.scripts import is_object, read_script, symbol_words


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a=impl+0", {"a", "impl"}),
        ("(impl)", {"impl"}),
        ("a=b-c*d/e|f&g~h", {"a", "b", "c", "d", "e", "g~h", "f"}),
        ('"a b" = c;', {"a b", "c"}),
        ("_ZN1a1bEv.isra.0 = .;", {"_ZN1a1bEv.isra.0"}),
        ("old@@V2, f$x", {"old", "old@@V2", "f$x"}),
        ("naïve = \udcff;", {"naïve", "\udcff"}),
        ("a/b = c-d;", {"a/b", "c-d", "a", "b", "c", "d"}),
    ],
)
def test_words_that_may_be_symbols(text: str, names: set[str]) -> None:
    assert names <= symbol_words(text)


def script(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_words_of_a_script_and_what_it_includes(tmp_path: Path) -> None:
    inner = script(tmp_path, "inner.ld", "PROVIDE(a = b);")
    outer = script(tmp_path, "outer.ld", f'INCLUDE {inner}\nINCLUDE "{inner}"\nEXTERN(c)')
    found = read_script(outer)
    assert {"a", "b", "c"} <= found.words
    assert found.files == (outer, inner)
    assert found.acts and not found.lays_out and not found.missing


def test_includes_are_looked_for_beside_the_script_and_in_folders(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    script(tmp_path, "beside.ld", "a = 1;")
    script(tmp_path / "more", "there.ld", "b = 1;")
    outer = script(tmp_path, "outer.ld", "INCLUDE beside.ld INCLUDE there.ld INCLUDE nowhere.ld")
    found = read_script(outer, [str(tmp_path / "more")])
    assert {"a", "b"} <= found.words
    assert found.missing == ("nowhere.ld",)


def test_a_script_that_includes_itself(tmp_path: Path) -> None:
    path = script(tmp_path, "s.ld", f"INCLUDE {tmp_path}/s.ld a = b;")
    assert read_script(path).files == (path,)


def test_inputs_of_a_script(tmp_path: Path) -> None:
    (tmp_path / "a.o").write_bytes(b"\x7fELF rest")
    (tmp_path / "b.a").write_bytes(b"!<arch>\n")
    path = script(tmp_path, "s.ld", "GROUP ( a.o AS_NEEDED ( b.a -lm ) ) INPUT(gone.o, a.o)")
    found = read_script(path)
    assert found.inputs == (str(tmp_path / "a.o"), str(tmp_path / "b.a"))
    assert found.libraries == ("m",)
    assert found.missing == ("gone.o",)
    assert not found.acts and not found.words


def test_comments_are_no_words_but_patterns_are_no_comments(tmp_path: Path) -> None:
    text = (
        'x = 1; /* INCLUDE gone.ld "it */ y = "a /* b"; SECTIONS { .t : { dir/*.o(.text) z = .; */*.o(.d) } }'
    )
    found = read_script(script(tmp_path, "s.ld", text))
    assert {"x", "y", "z", "a /* b"} <= found.words
    assert not found.missing and found.lays_out


def test_objects_are_no_scripts(tmp_path: Path) -> None:
    for number, magic in enumerate((b"\x7fELF", b"!<arch>\n", b"!<thin>\n", b"BC\xc0\xde")):
        (tmp_path / str(number)).write_bytes(magic + b"rest")
        assert is_object(str(tmp_path / str(number)))
    assert not is_object(script(tmp_path, "s.ld", "a = b;"))


@needs_clang
def test_native_inputs_are_read_through_the_same_reader(tmp_path: Path) -> None:
    """What stands in an included script, or is found by SEARCH_DIR, is not told from what a script names."""
    (tmp_path / "sub").mkdir()
    clang_object(tmp_path, "one.c", "int one(void) { return 1; }\n")
    clang_archive(tmp_path, "two.c", "int two(void) { return 2; }\n")
    for name in ("one.o", "libtwo.a"):
        (tmp_path / name).rename(tmp_path / "sub" / name)
    (tmp_path / "outer.ld").write_text("INCLUDE inner.ld /* INPUT(none.o) */\nGROUP(AS_NEEDED(-ltwo))\n")
    (tmp_path / "inner.ld").write_text(f"SEARCH_DIR({tmp_path}/sub) INPUT(one.o)\n")
    assert scan_native(tmp_path / "outer.ld", [str(tmp_path / "sub")]).defined == {"one", "two"}
