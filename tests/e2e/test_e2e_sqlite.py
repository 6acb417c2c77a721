"""SQLite, one C file of 260,000 lines, answers a page of SQL as clang's build does, and rebuilds fast."""

import re

import fetch
import pytest
from harness import PROGRAMS, Program, assert_same_behaviour, edit, needs_clang, run

pytestmark = needs_clang

FLAGS = (
    "-DSQLITE_THREADSAFE=0",
    "-DSQLITE_OMIT_LOAD_EXTENSION",
    "-DSQLITE_ENABLE_FTS5",
    "-DSQLITE_ENABLE_MATH_FUNCTIONS",
)


@pytest.fixture(scope="module")
def sqlite(level: str, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """SQLite with its main, built once from an empty cache."""
    sources = fetch.sqlite_sources()
    program = Program.copied(
        tmp_path_factory.mktemp("sqlite"),
        sources / "sqlite3.c",
        sources / "sqlite3.h",
        PROGRAMS / "sqlmain.c",
        sources=["sqlmain.c", "sqlite3.c"],
        flags=FLAGS,
        libraries=["-lm"],
    )
    cold = program.build("cold", level)
    assert cold.hits + cold.misses == cold.stats["units"]
    assert cold.misses > 1000
    return program


@pytest.mark.family(2, 1)
def test_a_page_of_sql(sqlite: Program, level: str) -> None:
    page = (PROGRAMS / "page.sql").read_bytes()
    answer = assert_same_behaviour(sqlite.space / "cold", sqlite.clang(level), stdin=page)
    assert answer.stdout.count(b"\n") > 100


@pytest.mark.family(2, 1)
def test_an_error_in_sql(sqlite: Program, level: str) -> None:
    assert_same_behaviour(sqlite.space / "cold", sqlite.clang(level), stdin=b"select * from nowhere;", code=1)


@pytest.mark.family(2, 1)
def test_second_build_compiles_nothing(sqlite: Program, level: str) -> None:
    warm = sqlite.assert_same_image("cold", level)
    assert (warm.misses, warm.compiled) == (0, [])


@pytest.mark.family(2, 1)
def test_other_folder_and_worker_count_give_the_same_image(sqlite: Program, level: str) -> None:
    warm = sqlite.copy("elsewhere").assert_same_image("cold", level, "-j1")
    assert warm.misses == 0


@pytest.mark.family(2, 1)
def test_edit_of_one_function_compiles_that_function(sqlite: Program, level: str) -> None:
    # instrFunc is called through a table only, so no other unit has imported its body.
    edited = sqlite.copy("edited")
    before = "int typeHaystack, typeNeedle;\n  int N"
    edit(edited.path("sqlite3.c"), f"{before} = 1;", f"{before} = 101;")
    result = edited.build("edited-image", level)
    assert result.compiled == ["instrFunc"]
    assert result.misses == 1
    query = b"select instr('nativecache', 'cache');"
    assert run(sqlite.space / "cold", stdin=query).stdout == b"7\n"
    assert run(sqlite.space / "edited-image", stdin=query).stdout == b"107\n"


@pytest.mark.family(2, 1)
def test_comment_and_blank_line_compile_nothing(sqlite: Program, level: str) -> None:
    # At the end of the file: further up it would move every later use of __LINE__, which is code.
    edited = sqlite.copy("commented")
    with edited.path("sqlite3.c").open("a") as file:
        file.write("\n/* nothing */\n")
    assert edited.assert_same_image("cold", level).misses == 0


@pytest.mark.family(3, 2)  # one of both levels takes a minute and a half: neither
def test_edits_that_change_no_code_compile_nothing(sqlite: Program, level: str) -> None:
    edited = sqlite.copy("renamed")
    source = edited.path("sqlite3.c")
    text = source.read_text()
    # A struct that alias analysis knows by name, a function with many callers, a static one.
    names = {
        "BtCursor": "CursorState",
        "sqlite3VdbeMemSetStr": "sqlite3PutStr",
        "balance_nonroot": "balance_any",
    }
    for old, new in names.items():
        assert len(re.findall(rf"\b{old}\b", text)) > 2
        text = re.sub(rf"\b{old}\b", new, text)
    added = '__attribute__((used)) const char *added(void) { return "a string on top"; }'
    source.write_text(f"/* a comment */\n\n{added}\n#line 1\n{text}")
    result = edited.build("renamed-image", level)
    assert result.compiled == ["added"]
    assert result.stats["function_hits"] == result.stats["functions"] - 1
    edited.assert_same_image("renamed-image", level, cache="renamed-cache")


@pytest.mark.family(2, 1)
def test_a_line_on_top_compiles_what_holds_its_line_number(sqlite: Program, level: str) -> None:
    edited = sqlite.copy("moved")
    source = edited.path("sqlite3.c")
    source.write_text("/* a comment */\n" + source.read_text())
    result = edited.build("moved-image", level)
    assert result.misses == 109 if level == "-O0" else 50 < result.misses < 150
