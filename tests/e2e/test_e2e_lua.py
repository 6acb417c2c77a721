"""The Lua interpreter, 33 C files, runs scripts as clang's build does."""

import shutil
from pathlib import Path

import fetch
import pytest
from harness import PROGRAMS, Program, assert_same_behaviour, edit, needs_clang, run

from nativecache.cache.folder import find_entries, remove

pytestmark = needs_clang

SCRIPTS = sorted(PROGRAMS.glob("lua_*.lua"))


@pytest.fixture(scope="module")
def lua(level: str, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The interpreter, built once from an empty cache."""
    sources = fetch.lua_sources()
    program = Program.copied(
        tmp_path_factory.mktemp("lua"),
        *sources.glob("*.[ch]"),
        sources=[file.name for file in fetch.lua_program(sources)],
        flags=["-DLUA_USE_POSIX"],
        libraries=["-lm"],
    )
    cold = program.build("cold", level)
    assert cold.hits + cold.misses == cold.stats["units"]
    return program


@pytest.mark.family(4)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script(lua: Program, level: str, script: Path) -> None:
    answer = assert_same_behaviour(lua.space / "cold", lua.clang(level), [script])
    assert answer.stdout.count(b"\n") > 20


def test_exit_code_and_arguments(lua: Program, level: str) -> None:
    script = PROGRAMS / "lua_objects.lua"
    assert_same_behaviour(lua.space / "cold", lua.clang(level), [script, "an argument"], code=3)


def test_uncaught_error(lua: Program, level: str) -> None:
    chunk = ["-e", "error('no one catches this')"]
    assert_same_behaviour(lua.space / "cold", lua.clang(level), chunk, code=1)


def test_second_build_compiles_nothing(lua: Program, level: str) -> None:
    warm = lua.assert_same_image("cold", level)
    assert (warm.misses, warm.compiled) == (0, [])


@pytest.mark.family(2)
def test_worker_count_makes_no_difference(lua: Program, level: str) -> None:
    cold = lua.assert_same_image("cold", level, "-j1", cache=f"one{level}")
    assert cold.misses > 0


@pytest.mark.family(2)
def test_half_a_cache_and_another_folder_give_the_same_image(lua: Program, level: str) -> None:
    shutil.copytree(lua.space / "cache", lua.space / "half")
    entries = sorted(find_entries(lua.space / "half"), key=lambda entry: entry.key)
    assert len(remove(entries[::2])) > 0
    half = lua.copy("elsewhere").assert_same_image("cold", level, cache="half")
    assert half.misses > 0
    assert half.hits > 0


def test_edit_of_one_function_compiles_that_function(lua: Program, level: str) -> None:
    # str_len is called through a table only, so no other unit has imported its body.
    edited = lua.copy("edited")
    edit(edited.path("lstrlib.c"), "(lua_Integer)l);", "(lua_Integer)l + 100);")
    result = edited.build("edited-image", level)
    assert result.compiled == ["str_len"]
    query = ["-e", "print(string.len('abc'))"]
    assert run(lua.space / "cold", query).stdout == b"3\n"
    assert run(lua.space / "edited-image", query).stdout == b"103\n"


@pytest.mark.family(2)
def test_edit_reaches_the_callers_it_was_inlined_into(lua: Program, level: str) -> None:
    edited = lua.copy("deeper")
    before = "int luaO_ceillog2 (unsigned int x) {"
    edit(edited.path("lobject.c"), before, before + " x += 0;")
    edited.build("deeper-image", level)
    edited.assert_same_image("deeper-image", level, cache="fresh")
