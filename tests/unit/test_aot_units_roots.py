"""What no one reaches is not compiled, and what someone outside may reach is."""

from pathlib import Path

import pytest
from harness import needs_clang, run
from pipeline import resolved
from rules import Build, clang_archive, clang_object, write

from nativecache.aot.units.roots import find_roots, index_symbols, root_rules
from nativecache.linker.symbol_options import read_symbol_options

PAIR = "{ i32, ptr, ptr }"


def function(name: str, linkage: str = "") -> str:
    return f"define {linkage} void @{name}() {{\n  ret void\n}}\n"


BASE = function("main") + function("public") + function("closed", "hidden") + function("odr", "linkonce_odr")


def roots(
    text: str,
    *,
    executable: bool = True,
    options: tuple[str, ...] = (),
    outside: frozenset[str] = frozenset(),
    everything: bool = False,
) -> set[str]:
    made = resolved(text, labels=["m.ll"])
    program, units = made.program, made.units
    defined, told = index_symbols(program, units), read_symbol_options(options)
    rules = root_rules(defined, executable=executable, options=told, outside=outside)
    found = find_roots(program, units, rules, all_units=everything)
    assert found == sorted(set(found))
    return {units[i].name for i in found}


def test_an_executable_starts_at_its_entry_point() -> None:
    assert roots(BASE) == {"main"}


def test_a_library_starts_at_what_it_exports() -> None:
    assert roots(BASE, executable=False) == {"main", "public", "closed"}


def test_assembly_holds_everything() -> None:
    assert roots(BASE, everything=True) == {"main", "public", "closed", "odr"}


@pytest.mark.parametrize(
    "option",
    [
        "-rdynamic",
        "-Wl,--export-dynamic",
        "-Wl,-E",
        "-Wl,--dynamic-list=x",
        "-Wl,--version-script=v",
        "-Tscript.ld",
    ],
)
def test_options_that_export_symbols(option: str) -> None:
    assert "public" in roots(BASE, options=(option,))


@pytest.mark.parametrize("option", ["-lm", "-Wl,--gc-sections", "-Wl,--emit-relocs", "-static", "-s"])
def test_options_that_do_not(option: str) -> None:
    assert roots(BASE, options=(option,)) == {"main"}


@pytest.mark.parametrize(
    "option", ["-Wl,-e,public", "-Wl,--entry=public", "-Wl,--defsym=x=public", "-Wl,-u,public"]
)
def test_options_that_name_a_symbol(option: str) -> None:
    assert "public" in roots(BASE, options=(option,))


def test_what_native_inputs_and_libraries_mention() -> None:
    assert roots(BASE, outside=frozenset({"public", "puts"})) == {"main", "public"}


def test_locals_cannot_be_what_others_mention() -> None:
    text = BASE + function("local", "internal") + "define ptr @user() {\n  ret ptr @local\n}\n"
    assert roots(text, outside=frozenset({"local", "local.m"})) == {"main"}


def test_without_a_known_entry_point_everything_exported_is_one() -> None:
    assert roots(function("start") + function("public")) == {"start", "public"}


def test_what_the_program_keeps_alive() -> None:
    kept = (
        function("kept") + "@cell = internal global i32 1\n"
        '@llvm.used = appending global [1 x ptr] [ptr @kept], section "llvm.metadata"\n'
        '@llvm.compiler.used = appending global [1 x ptr] [ptr @cell], section "llvm.metadata"\n'
    )
    assert roots(BASE + kept) == {"main", "kept", "cell"}


def test_constructors_and_destructors() -> None:
    text = (
        function("first", "internal")
        + function("last", "internal")
        + "".join(
            f"@llvm.global_{kind} = appending global [1 x {PAIR}] "
            f"[{PAIR} {{ i32 65535, ptr @{name}, ptr null }}]\n"
            for kind, name in (("ctors", "first"), ("dtors", "last"))
        )
    )
    assert roots(BASE + text) == {"main", "first.m", "last.m", "structors:m.ll"}


def test_module_asm() -> None:
    assert roots('module asm "nop"\n' + BASE) == {"main", "asm:m.ll"}


def test_sections_that_someone_may_walk() -> None:
    text = 'define void @placed() section "init" {\n  ret void\n}\n@v = global i32 1, section "table"\n'
    assert "placed" in roots(BASE + text)


def test_library_functions_that_the_program_replaces() -> None:
    """Code generation calls `memcpy` where the program's text does not."""
    assert roots(BASE + function("memcpy")) == {"main", "memcpy"}


def test_symbols_are_found_by_their_final_name() -> None:
    text = "@x = common global i32 0\n"
    made = resolved(text, text)
    assert index_symbols(made.program, made.units) == {"x": [0, 1]}


# End to end; at -O0, so that nothing is inlined.

LIBRARY = """\
int reached(int x) { return x + 1; }
int unreached(int x) { return x + 2; }
static int hidden(int x) { return x + 3; }
int through(int x) { return hidden(x); }
"""
MAIN = "int reached(int);\nint main(void) { return reached(-1); }\n"


def compiled(space: Path, *words: str, more: str = "", main: str = MAIN) -> set[str]:
    """Builds and runs; the functions that were compiled."""
    write(space, {"lib.c": LIBRARY + more, "main.c": main})
    result = Build.start(space, space, "-O0", "lib.c", "main.c", "-o", "app", *words).result()
    if "--emit" not in words:
        assert run(space / "app").code == 0
    return set(result.compiled)


@needs_clang
def test_what_nothing_reaches_is_not_compiled(tmp_path: Path) -> None:
    assert compiled(tmp_path) == {"main", "reached"}


@needs_clang
def test_what_becomes_reached_is_compiled_then(tmp_path: Path) -> None:
    compiled(tmp_path)
    more = "int through(int);\nint main(void) { return through(-3); }\n"
    assert compiled(tmp_path, main=more) == {"main", "through", "hidden"}


@needs_clang
@pytest.mark.parametrize("words", [["-rdynamic"], ["-Wl,--export-dynamic"], ["--", "-rdynamic"]])
def test_exported_symbols_are_compiled(tmp_path: Path, words: list[str]) -> None:
    assert compiled(tmp_path, *words) == {"main", "reached", "unreached", "through", "hidden"}


@needs_clang
@pytest.mark.parametrize("kind", ["shared", "object", "archive"])
def test_libraries_hold_everything(tmp_path: Path, kind: str) -> None:
    assert compiled(tmp_path, "--emit", kind) == {"main", "reached", "unreached", "through", "hidden"}


@needs_clang
def test_a_native_object_that_calls_back(tmp_path: Path) -> None:
    native = clang_object(tmp_path, "native.c", "int through(int); int back(void) { return through(-3); }")
    main = "int back(void);\nint main(void) { return back(); }\n"
    assert compiled(tmp_path, native, main=main) == {"main", "through", "hidden"}


@needs_clang
@pytest.mark.parametrize("place", ["input", "after the dashes"])
def test_an_archive_that_calls_back(tmp_path: Path, place: str) -> None:
    native = clang_archive(tmp_path, "native.c", "int through(int); int back(void) { return through(-3); }")
    main = "int back(void);\nint main(void) { return back(); }\n"
    words = [native] if place == "input" else ["--", native]
    assert compiled(tmp_path, *words, main=main) == {"main", "through", "hidden"}


@needs_clang
def test_a_library_found_by_its_name_that_calls_back(tmp_path: Path) -> None:
    clang_archive(tmp_path, "native.c", "int through(int); int back(void) { return through(-3); }")
    main = "int back(void);\nint main(void) { return back(); }\n"
    assert compiled(tmp_path, "-L.", "-lnative", main=main) == {"main", "through", "hidden"}


@needs_clang
def test_constructors_are_reached(tmp_path: Path) -> None:
    more = "__attribute__((constructor)) static void init(void) { through(1); }\n"
    assert compiled(tmp_path, more=more) >= {"main", "reached", "init", "through", "hidden"}


@needs_clang
def test_what_is_marked_used_is_reached(tmp_path: Path) -> None:
    more = "__attribute__((used)) static int kept(int x) { return x; }\nint other(int x) { return x; }\n"
    found = compiled(tmp_path, more=more)
    assert "kept" in found and "other" not in found


@needs_clang
def test_a_table_is_reached_with_what_it_holds(tmp_path: Path) -> None:
    more = "int in_table(int x) { return x; }\nint (*table[])(int) = {in_table};\n"
    assert "in_table" not in compiled(tmp_path, more=more)
    main = "extern int (*table[])(int);\nint main(void) { return table[0](0); }\n"
    assert compiled(tmp_path, more=more, main=main) >= {"main", "in_table", "table"}


@needs_clang
def test_a_weak_reference_reaches_what_the_program_defines(tmp_path: Path) -> None:
    main = (
        "__attribute__((weak)) int through(int), nowhere(int);\n"
        "int main(void) { return nowhere ? 1 : through(-3); }\n"
    )
    assert compiled(tmp_path, main=main) == {"main", "through", "hidden"}


@needs_clang
def test_an_alias_reaches_its_function(tmp_path: Path) -> None:
    more = 'int base(int x) { return x + 9; }\nint other(int) __attribute__((alias("base")));\n'
    main = "int other(int);\nint main(void) { return other(-9); }\n"
    assert compiled(tmp_path, more=more, main=main) == {"main", "base"}


@needs_clang
def test_unreached_functions_are_counted(tmp_path: Path) -> None:
    write(tmp_path, {"lib.c": LIBRARY, "main.c": MAIN})
    stats = Build.start(tmp_path, tmp_path, "-O0", "lib.c", "main.c", "-o", "app").result().stats
    assert (stats["units"], stats["functions"], stats["unreached"]) == (2, 2, 3)
