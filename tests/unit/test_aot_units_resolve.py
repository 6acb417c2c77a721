"""Symbols over all modules: which definition prevails, which are promoted, which clash."""

import pytest

from nativecache.aot.codegen.llvm import read_module
from nativecache.aot.errors import BuildError
from nativecache.aot.ir.module import index_module
from nativecache.aot.units.program import Program
from nativecache.aot.units.resolve import resolve_symbols


def resolved(*texts: str, labels: str | list[str] = "abcdef") -> Program:
    """A program of modules called a.ll, b.ll, …"""
    return resolve_symbols(
        [
            index_module(read_module(text.encode("latin-1")), label if "." in label else f"{label}.ll")
            for text, label in zip(texts, labels, strict=False)
        ]
    )


def dropped(program: Program) -> list[set[str]]:
    return [set(part.dropped) for part in program.modules]


def home(program: Program, name: str) -> int:
    return program.definitions[name].module


def function(name: str, linkage: str = "") -> str:
    return f"define {linkage} i32 @{name}() {{\n  ret i32 1\n}}\n"


def test_a_strong_definition_prevails_over_weak_ones() -> None:
    program = resolved(function("f", "weak"), function("f", "linkonce_odr"), function("f"))
    assert home(program, "f") == 2
    assert dropped(program) == [{"@f"}, {"@f"}, set()]


@pytest.mark.parametrize("linkage", ["weak", "weak_odr", "linkonce", "linkonce_odr"])
def test_the_first_of_several_weak_ones_prevails(linkage: str) -> None:
    program = resolved("declare i32 @f()\n", function("f", linkage), function("f", linkage))
    assert home(program, "f") == 1
    assert program.modules[2].dropped == {"@f"}


def test_common_symbols_all_stay_until_a_strong_one_comes() -> None:
    common = "@v = common global i32 0\n"
    assert dropped(resolved(common, common)) == [set(), set()]
    assert dropped(resolved(common, "@v = global i32 1\n")) == [{"@v"}, set()]


def test_a_common_symbol_prevails_over_weak_ones() -> None:
    assert home(resolved("@v = weak global i32 1\n", "@v = common global i32 0\n"), "v") == 1


def test_a_body_that_is_available_externally_defines_nothing() -> None:
    assert "f" not in resolved(function("f", "available_externally")).definitions


def test_all_duplicates_are_reported_at_once_with_their_files() -> None:
    with pytest.raises(BuildError) as caught:
        resolved(function("f") + function("g"), function("f"), function("g") + function("f") + function("h"))
    assert sorted(caught.value.problems) == [
        "'f' is defined in a.ll and in b.ll and in c.ll; rename one or make it static",
        "'g' is defined in a.ll and in c.ll; rename one or make it static",
    ]


def test_locals_are_promoted_under_their_modules_name() -> None:
    program = resolved(function("f", "internal"), function("f", "internal"))
    assert [part.names["@f"] for part in program.modules] == ["f.a", "f.b"]
    assert program.definitions["f.a"].module == 0 and program.definitions["f.b"].module == 1


def test_modules_of_one_name_are_told_apart() -> None:
    program = resolved(*[function("f", "internal")] * 3, labels=["x/m.c", "y/m.c", "m.cpp"])
    assert [part.names["@f"] for part in program.modules] == ["f.m", "f.m.2", "f.m.3"]


def test_promoted_names_never_meet_the_programs_own() -> None:
    program = resolved(
        function("f", "internal") + function("f.a"), function("f.b") + function("f", "internal")
    )
    assert [part.names["@f"] for part in program.modules] == ["f.a_", "f.b_"]


def test_globals_without_a_name_get_one() -> None:
    program = resolved("@0 = private global i32 1\ndefine ptr @f() {\n  ret ptr @0\n}\n")
    assert program.modules[0].names["@0"] == "__unnamed_0.a"


def test_locals_that_asm_or_used_lists_name_are_pinned() -> None:
    program = resolved(
        "@used = internal global i32 1\n@named = internal global i32 2\n@free = internal global i32 3\n"
        '@llvm.used = appending global [1 x ptr] [ptr @used], section "llvm.metadata"\n'
        'define ptr @f() {\n  call void asm "incl named(%rip)", ""()\n  ret ptr @free\n}\n'
    )
    assert set(program.modules[0].pinned) == {"@used", "@named"}
    assert program.modules[0].names == {"@used": "used", "@named": "named", "@free": "free.a", "@f": "f"}
    assert "named" in program.asm_words


def test_what_only_module_asm_defines_is_pinned() -> None:
    program = resolved(
        'module asm "secret: ret"\nmodule asm ".globl open"\nmodule asm "open: ret"\n'
        "declare void @secret()\ndeclare void @open()\ndefine void @f() {\n  call void @secret()\n"
        "  call void @open()\n  ret void\n}\n"
    )
    assert set(program.modules[0].pinned) == {"@secret"}


def test_the_members_of_a_comdat_come_from_one_module() -> None:
    text = (
        "$g = comdat any\n@v = linkonce_odr global i32 {}, comdat($g)\n"
        "define linkonce_odr i32 @f{}() comdat($g) {{\n  ret i32 1\n}}\n"
    )
    program = resolved(text.format(1, 1), text.format(2, 2))
    assert dropped(program) == [set(), {"@v", "@f2"}]
    assert "f2" not in program.definitions


def test_comdats_that_are_not_deduplicated_stay_in_each_module() -> None:
    text = (
        "$g = comdat nodeduplicate\n@v{} = internal global i32 1, comdat($g)\n"
        "define ptr @f{}() {{\n  ret ptr @v{}\n}}\n"
    )
    assert dropped(resolved(text.format(1, 1, 1), text.format(2, 2, 2))) == [set(), set()]


def test_an_alias_that_prevails_keeps_its_own_body() -> None:
    """`f` comes from b.ll; a.ll's `g` still means a.ll's body."""
    program = resolved(function("f", "weak") + "@g = alias i32 (), ptr @f\n", function("f"))
    assert "@f.aliased" in program.modules[0].entities
    assert "@f.aliased" in program.modules[0].entities["@g"].text
    assert (home(program, "f"), home(program, "g")) == (1, 0)
