"""What of a module the rest of its program rests on."""

import pytest

from nativecache.aot.ir.module import Module, index_module
from nativecache.aot.units.bonds import find_bonds
from nativecache.aot.units.interface import free_copies, interface, manner, stands_apart

BASE = """source_filename = "{}"
target triple = "x86_64-pc-linux-gnu"
@shown = global i32 3
define i32 @f(i32 %0) {{
  ret i32 %0
}}
{}
!llvm.module.flags = !{{!0}}
!0 = !{{i32 8, !"PIC Level", i32 2}}
"""
#: What may come and go, and what other modules are arranged by.
PLAIN = (
    "@more = global i32 4",
    "@more = hidden constant i32 4",
    "define i32 @main() {\n  ret i32 0\n}",
    "define internal void @only() {\n  ret void\n}",
    "declare i32 @puts(ptr)",
)
SHOWN = (
    "@more = weak global i32 4",
    "@more = common global i32 0",
    "@more = protected global i32 4",
    "@f2 = alias i32 (i32), ptr @f",
    "define linkonce_odr i32 @inline() {\n  ret i32 0\n}",
    "define i32 @puts(ptr %0) {\n  ret i32 0\n}",
    "define i32 @__udivti3(i32 %0) {\n  ret i32 0\n}",
    'module asm ".globl x"',
)
#: What comes to a file and goes with whoever names it there.
FREE = (
    "$more = comdat any\ndefine linkonce_odr i32 @more() comdat {\n  ret i32 0\n}",
    "$more = comdat any\ndefine linkonce_odr hidden i32 @more() comdat {\n  ret i32 0\n}",
    "$more = comdat any\n@more = linkonce_odr constant [1 x ptr] [ptr @f], comdat, align 8",
    '$"a b" = comdat any\n@"a b" = linkonce_odr global i32 0, comdat, align 8',
)
#: Copies to which more belongs than a name.
BOUND = (
    "$more = comdat any\ndefine weak_odr i32 @more() comdat {\n  ret i32 0\n}",
    "$more = comdat any\ndefine linkonce i32 @more() comdat {\n  ret i32 0\n}",
    "$more = comdat largest\n@more = linkonce_odr global i32 0, comdat",
    "$more = comdat any\ndefine linkonce_odr protected i32 @more() comdat {\n  ret i32 0\n}",
    "$more = comdat any\n@more = linkonce_odr thread_local global i32 0, comdat",
    "$g = comdat any\n@more = linkonce_odr global i32 0, comdat($g)",
    "$more = comdat any\n@more = linkonce_odr global i32 0, comdat\n"
    "@more.guard = linkonce_odr global i64 0, comdat($more)",
    "$more = comdat any\n@more = linkonce_odr global i32 0, comdat\n@m2 = linkonce_odr alias i32, ptr @more",
    "$puts = comdat any\ndefine linkonce_odr i32 @puts(ptr %0) comdat {\n  ret i32 0\n}",
    '$more = comdat any\n@more = linkonce_odr global i32 0, section "s", comdat',
    "$more = comdat any\n@more = linkonce_odr global i32 0, comdat\n"
    '@llvm.used = appending global [1 x ptr] [ptr @more], section "llvm.metadata"',
    '$more = comdat any\n@more = linkonce_odr global i32 0, comdat\nmodule asm ".weak more"',
)


def module(more: str = "", source: str = "a.c") -> Module:
    return index_module(BASE.format(source, more), "a.c")


def shown(found: Module) -> str:
    bonds = find_bonds(found)
    return interface(found, bonds, free_copies(found, bonds))


@pytest.mark.parametrize("more", PLAIN)
def test_plain_exports_are_nobody_elses(more: str) -> None:
    found = module(more)
    assert shown(found) == shown(module())
    assert stands_apart(found, find_bonds(found))


@pytest.mark.parametrize("more", SHOWN)
def test_what_programs_are_arranged_by(more: str) -> None:
    found = module(more)
    assert shown(found) != shown(module())
    assert not stands_apart(found, find_bonds(found))


def test_what_keeps_to_itself_in_a_library_is_shown() -> None:
    """It is reached under a second name in its own object, with -fno-semantic-interposition."""
    own = "define dso_local i32 @own() {\n  ret i32 0\n}"
    assert shown(module(own)) != shown(module())


def test_names_of_sources_make_no_difference() -> None:
    assert shown(module(source="/there/a.c")) == shown(module()) == shown(module(source="b.c"))


def test_how_modules_were_compiled() -> None:
    static = index_module(BASE.format("a.c", "").replace("i32 2}", "i32 1}"), "a.c")
    assert manner(module(PLAIN[0])) == manner(module()) != manner(static)


@pytest.mark.parametrize("more", FREE)
def test_copies_come_and_go(more: str) -> None:
    found = module(more)
    assert shown(found) == shown(module())
    assert len(free_copies(found, find_bonds(found))) == 1
    assert not stands_apart(found, find_bonds(found))


def test_copies_of_what_a_library_has_come_and_go() -> None:
    """As of std::string's members; what is no instance of a template is compared (inline_copies.py)."""
    text = "define available_externally i32 @{}() {{\n  ret i32 0\n}}"
    assert shown(module(text.format("_ZNSs4dataEv"))) == shown(module())
    assert shown(module(text.format("_ZN1a4dataEv"))) != shown(module())
    assert shown(module(text.format("data"))) != shown(module())


@pytest.mark.parametrize("more", BOUND)
def test_copies_to_which_more_belongs_are_bound(more: str) -> None:
    found = module(more)
    assert shown(found) != shown(module())
    assert not free_copies(found, find_bonds(found))
