"""What a module's asm ties together."""

import pytest
from pipeline import resolved_modules

from nativecache.aot.codegen.llvm import read_module
from nativecache.aot.ir.module import Module, index_module
from nativecache.aot.units.bonds import NO_BONDS, Bonds, find_bonds

ASM = 'call void asm sideeffect "{}", ""()'


def indexed(*lines: str, module_asm: str = "") -> Module:
    text = "".join(f'module asm "{line}"\n' for line in module_asm.split("|") if line) + "\n".join(lines)
    return index_module(read_module(text.encode()), "m.ll")


def function(name: str, asm: str = "", head: str = "define void", body: str = "") -> str:
    inline = f"  {ASM.format(asm)}\n" if asm else ""
    return f"{head} @{name}() {{\n{inline}{body}  ret void\n}}\n"


def bonds(*lines: str, module_asm: str = "") -> Bonds:
    return find_bonds(indexed(*lines, module_asm=module_asm))


def units(module: Module) -> list[set[str]]:
    return [set(unit.tokens) for unit in resolved_modules([module]).units]


def test_a_module_without_asm_has_none() -> None:
    assert bonds(function("f")) is NO_BONDS


def test_what_only_the_modules_asm_makes_is_private() -> None:
    found = bonds(
        "declare void @own()\ndeclare void @open()\ndeclare void @versioned()\ndeclare void @other()\n",
        module_asm="own: ret|.globl open|open: ret|.symver versioned, v@V1|jmp other",
    )
    assert found.private == {"@own", "@versioned"}
    assert not found.sealed


def test_functions_that_need_each_others_asm() -> None:
    found = bonds(
        function("make", ".set K, 5"),
        function("use", "mov $$K, %eax"),
        function("fill", ".pushsection x; .byte 1; .popsection"),
        function("alone", "mov $$7, %eax"),
    )
    assert found.fixed == {"@make", "@use"}
    assert found.makers == {"@make"}
    assert found.scattered == {"@fill"}


@pytest.mark.parametrize(
    "asm",
    [
        ".symver memcpy, memcpy@V1",
        "memset = mine",
        ".hidden _DYNAMIC",
        ".altmacro",
        ".macro m x|\\\\x: nop|.endm",
    ],
)
def test_what_seals_a_module(asm: str) -> None:
    module = indexed(
        function("f"),
        "@v = internal global i32 1\n",
        "@llvm.global_ctors = appending global "
        "[1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @f, ptr null }]\n",
        module_asm=asm,
    )
    assert find_bonds(module).sealed
    (unit,) = resolved_modules([module]).units
    assert (set(unit.tokens), unit.has_asm, unit.has_structors) == ({"@f", "@v"}, True, True)


def test_what_must_be_inlined_leaves_its_traces_elsewhere() -> None:
    found = bonds(
        function("fill", ".pushsection x; .byte 1; .popsection", head="define internal void").replace(
            "() {", "() alwaysinline {"
        ),
        function("user", body="  call void @fill()\n"),
        function("other", body="  call void @user()\n"),
    )
    assert found.scattered == {"@fill", "@user"}


def test_a_library_function_that_asm_defines_for_all_seals_nothing() -> None:
    assert not bonds(module_asm=".globl memcpy|memcpy: ret").sealed


def test_asm_stays_with_what_it_names_and_makes() -> None:
    module = indexed(
        function("make", "here: nop"),
        function("look", "lea here(%rip), %rax"),
        function("named"),
        function("name", "call named"),
        function("reader", body="  store i8 1, ptr @here\n"),
        function("rest", "nop"),
        "@here = external global i8\n",
    )
    assert units(module) == [{"@make", "@look", "@reader"}, {"@named", "@name"}, {"@rest"}]


def test_what_a_version_takes_the_name_of_stays_with_its_users() -> None:
    module = indexed(function("f"), function("g", body="  call void @f()\n"), module_asm=".symver f, v@@@V2")
    assert units(module) == [{"@f", "@g"}]
