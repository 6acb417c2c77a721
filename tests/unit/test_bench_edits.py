"""The benchmark's edits of real sources, and how apt's sources are turned into sources of sources."""

import re
from pathlib import Path

import pytest
from bench import edits
from bench.edits import Change, Edit
from bench.grown import edit_file, generate_files
from bench.projects import PROJECTS, Project
from fetch import source_entries

SOURCE = """\
#include "a.h"

int count(int x) {
  int const limit = 4;
  return x < limit;
}

int use(void) { return count(1) + count (2); } /* count() */
"""


def applied(tmp_path: Path, edit: Edit, *numbers: int) -> str:
    file = tmp_path / "a.c"
    file.write_text(SOURCE)
    for number in numbers:
        edit.apply(tmp_path, number)
    return file.read_text()


def test_each_edit_is_new_and_stands_on_the_last_one(tmp_path: Path) -> None:
    assert "int const limit = 12;" in applied(
        tmp_path, edits.constant("a.c", r"limit = \d+", "limit = {n}"), 11, 12
    )
    called = applied(tmp_path, edits.function("a.c", r"^int count\(int x\) \{", "x"), 11, 12)
    assert called.count('puts("edit 11 of many")') == called.count("nc_bench_12((long) x);") == 1
    assert applied(tmp_path, edits.comment("a.c", r'^#include "a.h"'), 11).splitlines()[1] == "/* edit 11 */"
    field = applied(tmp_path, edits.field("a.c", r"^int count\(int x\) \{"), 11)
    assert "int count(int x) {\n  int nc_bench_11;\n" in field


def test_a_signature_changes_where_it_is_declared_and_where_it_is_called(tmp_path: Path) -> None:
    text = applied(tmp_path, edits.signature("count", "int x", ("a.c",), ("a.c",)), 11, 12)
    assert "int count(int nc_bench_12, int nc_bench_11, int x) {" in text
    assert "count(12, 11, 1) + count (12, 11, 2)" in text
    assert "/* count() */" in text


def test_an_edit_without_a_place_names_its_file_and_writes_nothing(tmp_path: Path) -> None:
    edit = Edit("both", (Change(("a.c",), "limit", "x{n}"), Change(("a.c",), "gone", "y{n}")))
    with pytest.raises(ValueError, match=r"a\.c: nothing there is 'gone'"):
        applied(tmp_path, edit, 11)
    assert (tmp_path / "a.c").read_text() == SOURCE


@pytest.mark.parametrize("project", PROJECTS.values(), ids=list(PROJECTS))
def test_a_project_has_each_kind_of_edit_and_each_is_numbered(project: Project) -> None:
    assert [edit.kind for edit in project.edits] == ["constant", "function", "signature", "header", "comment"]
    for change in (change for edit in project.edits for change in edit.changes):
        assert "{n}" in change.text
        re.compile(change.pattern)


def test_a_generated_program_has_its_files_and_is_edited_in_one(tmp_path: Path) -> None:
    file = generate_files(5, tmp_path / "src")
    assert len(list((tmp_path / "src").glob("*.c"))) == 6
    old = file.read_text()
    edit_file(file, 1)
    (changed,) = (
        pair
        for pair in zip(old.splitlines(), file.read_text().splitlines(), strict=True)
        if pair[0] != pair[1]
    )
    assert changed[1] == "  x ^= 100001; /* edit */"


def test_packages_lists_become_lists_of_sources() -> None:
    text = "# deb one\ndeb [arch=amd64] mirror:/a suite main\ndeb-src mirror:/a suite main\n"
    assert source_entries(text, ".list") == "deb-src [arch=amd64] mirror:/a suite main\n"
    text = (
        "Types: deb\nURIs: mirror:/a\nSuites: s\nSigned-By: /key\n\n# no\nTypes: deb-src\nURIs: mirror:/b\n"
    )
    wanted = "Types: deb-src\nURIs: mirror:/a\nSuites: s\nSigned-By: /key\n"
    assert source_entries(text, ".sources") == wanted
    assert source_entries("Types: deb deb-src\nURIs: u\n", ".sources") == "Types: deb-src\nURIs: u\n"
