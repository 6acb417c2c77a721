"""What of a module the rest of its program rests on."""

import pytest

from nativecache.aot.ir.module import Module, index_module
from nativecache.aot.units.bonds import find_bonds
from nativecache.aot.units.interface import interface, manner, stands_apart

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


def module(more: str = "", source: str = "a.c") -> Module:
    return index_module(BASE.format(source, more), "a.c")


def shown(found: Module) -> str:
    return interface(found, find_bonds(found))


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
