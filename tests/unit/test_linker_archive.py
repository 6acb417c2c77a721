"""Archives written here, read with GNU ar and nm, and the other way round."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nativecache.linker.archive import read_archive, stream_archive, write_archive
from nativecache.linker.errors import BadObject

needs_binutils = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("ar")), reason="gcc or ar is missing"
)
LONG = "a_member_with_a_name_of_more_than_fifteen_bytes.o"


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def object_of(folder: Path, source: str) -> bytes:
    (folder / "unit.c").write_text(source)
    run("gcc", "-c", folder / "unit.c", "-o", folder / "unit.o")
    return (folder / "unit.o").read_bytes()


@needs_binutils
def test_ar_lists_and_extracts_what_was_written(tmp_path: Path) -> None:
    members = [("odd.o", b"odd"), (LONG, b"even"), ("odd.o", b"again"), ("has space.o", b"")]
    (tmp_path / "lib.a").write_bytes(write_archive(members, symbol_index=False))
    assert run("ar", "t", tmp_path / "lib.a").splitlines() == [name for name, _ in members]
    assert run("ar", "p", tmp_path / "lib.a", LONG) == "even"


@needs_binutils
def test_the_archive_equals_that_of_ar(tmp_path: Path) -> None:
    members = []
    for number, name in enumerate(["one.o", LONG, "three.o"]):
        obj = object_of(tmp_path, f"int f{number}(void) {{ return g; }} int v{number};".replace("g;", "0;"))
        (tmp_path / name).write_bytes(obj)
        members.append((name, obj))
    run("ar", "rcsD", tmp_path / "theirs.a", *(tmp_path / name for name, _ in members))
    assert write_archive(members, symbol_index=True) == (tmp_path / "theirs.a").read_bytes()


@needs_binutils
def test_the_symbol_index_pulls_only_what_is_needed(tmp_path: Path) -> None:
    needed = object_of(tmp_path, "int f(void) { return 42; }")
    unneeded = object_of(tmp_path, "int missing(void); int g(void) { return missing(); }")
    archive = write_archive([("g.o", unneeded), ("f.o", needed), ("notes.txt", b"hello")], symbol_index=True)
    (tmp_path / "lib.a").write_bytes(archive)
    assert "f in f.o" in run("nm", "-s", tmp_path / "lib.a")
    object_of(tmp_path, "int f(void); int main(void) { return f(); }")
    run("gcc", tmp_path / "unit.o", tmp_path / "lib.a", "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42


@given(
    st.lists(st.tuples(st.from_regex(r"[A-Za-z0-9_. ]{0,30}[a-z]", fullmatch=True), st.binary(max_size=9)))
)
def test_what_is_written_is_read_back(members: list[tuple[str, bytes]]) -> None:
    assert list(read_archive(write_archive(members, symbol_index=True))) == members


@needs_binutils
def test_thin_archives_are_read_relative_to_their_folder(tmp_path: Path) -> None:
    object_of(tmp_path, "int a;")
    subprocess.run(["ar", "rcsT", "lib.a", "unit.o"], cwd=tmp_path, check=True, capture_output=True)
    data = (tmp_path / "lib.a").read_bytes()
    assert list(read_archive(data, tmp_path)) == [("unit.o", (tmp_path / "unit.o").read_bytes())]
    with pytest.raises(BadObject, match="thin archive"):
        list(read_archive(data))


def test_a_cut_archive_is_refused() -> None:
    whole = write_archive([(LONG, b"some content")], symbol_index=False)
    for length in (5, 20, 70, len(whole) - 1):
        with pytest.raises(BadObject):
            list(read_archive(whole[:length]))


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b"])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not an archive member name"):
        write_archive([(name, b"")], symbol_index=False)


@pytest.mark.parametrize("names", [[], ["a.o", "b.o"], ["a.o", "a name longer than sixteen.o", "c/d.o"]])
def test_a_streamed_archive_is_the_same(names: list[str]) -> None:
    members = [(name, bytes([n]) * (n + 3)) for n, name in enumerate(names)]
    file = io.BytesIO()
    stream_archive(names, (content for _, content in members), file)
    assert file.getvalue() == write_archive(members, symbol_index=False)
