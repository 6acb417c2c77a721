"""Entities as other units see them: declarations, definitions and copies."""

import pytest

from nativecache.aot.codegen.llvm import Llvmlite, read_module
from nativecache.aot.ir.linkage import aliasee, declaration, definition, is_interposable
from nativecache.aot.ir.module import (
    Entity,
    Module,
    index_function,
    index_module,
)


def indexed(text: str) -> Module:
    """The module as LLVM prints it, indexed."""
    return index_module(read_module(text.encode("latin-1")), "m.ll")


def only(text: str, token: str) -> tuple[Entity, Module]:
    module = indexed(text)
    return module.entities[token], module


def declared(text: str, token: str) -> str:
    return declaration(*only(text, token)).rstrip("\n")


def test_aliasee_is_what_an_alias_stands_for() -> None:
    entity, _ = only(
        "@v = global [2 x i32] zeroinitializer\n@a = alias i32, getelementptr (i8, ptr @v, i64 4)\n", "@a"
    )
    assert aliasee(entity) == "@v"


# Declarations


def test_declaring_a_function_keeps_its_signature_and_attributes() -> None:
    text = "define dso_local noundef i32 @f(ptr noalias %p, i32 signext %n, ...) nounwind {\n  ret i32 1\n}\n"
    assert declared(text, "@f") == "declare dso_local noundef i32 @f(ptr noalias, i32 signext, ...) #0"


def test_declaring_a_local_makes_it_hidden() -> None:
    assert (
        declared("define internal fastcc void @f() {\n  ret void\n}\n", "@f")
        == "declare hidden fastcc void @f()"
    )
    assert (
        declared("@v = internal constant i32 7, align 4\n", "@v")
        == "@v = external hidden constant i32, align 4"
    )


def test_declaring_a_function_leaves_what_only_definitions_have() -> None:
    text = (
        "$f = comdat any\ndeclare i32 @__gxx_personality_v0(...)\n"
        'define void @f() section "s" comdat align 32 prefix i32 1 prologue i8 2 '
        "personality ptr @__gxx_personality_v0 {\n  ret void\n}\n"
    )
    assert declared(text, "@f") == "declare void @f() align 32"


def test_declaring_a_function_with_types_among_its_arguments() -> None:
    text = "%T = type { i32 }\ndefine void @f(ptr byval(%T) align 4 %x, ptr sret(%T) %y) {\n  ret void\n}\n"
    assert declared(text, "@f") == "declare void @f(ptr byval(%T) align 4, ptr sret(%T))"


def test_declaring_a_variable_keeps_space_section_and_alignment() -> None:
    text = (
        '@v = thread_local(localexec) addrspace(1) global [2 x i32] [i32 1, i32 2], section "s", align 16\n'
    )
    assert declared(text, "@v") == (
        '@v = external thread_local(localexec) addrspace(1) global [2 x i32], section "s", align 16'
    )


def test_declaring_an_alias() -> None:
    text = (
        "@v = global i32 1\n@a = hidden alias i32, ptr @v\n@g = alias i32 (i32), ptr @f\n"
        "define fastcc i32 @f(i32 %x) nounwind {\n  ret i32 %x\n}\n"
    )
    assert declared(text, "@a") == "@a = external hidden global i32"
    assert declared(text, "@g") == "declare fastcc i32 @g(i32) #0"


def test_what_is_declared_stays_as_it_is() -> None:
    text = (
        "declare extern_weak noalias ptr @f(i64)\n@v = extern_weak global i32\n"
        "define ptr @g() { ret ptr @v }\n"
    )
    assert declared(text, "@f") == "declare extern_weak noalias ptr @f(i64)"
    assert declared(text, "@v") == "@v = extern_weak global i32"


def test_llvm_reads_every_declaration() -> None:
    module = indexed(
        "%T = type { i32 }\n$c = comdat any\n"
        '@"a b" = linkonce_odr constant %T { i32 1 }, comdat($c), align 4\n'
        '@t = internal thread_local global i32 1\n@x = alias %T, ptr @"a b"\n@i = ifunc i32 (i32), ptr @r\n'
        "define internal ptr @r() { ret ptr @f }\n"
        "define weak i32 @f(i32 returned %x) comdat($c) { ret i32 %x }\n"
        'define available_externally void @e(...) gc "statepoint-example" { ret void }\n'
    )
    types = "".join(f"{name} = type {body}\n" for name, body in module.types.items())
    assert Llvmlite().unit_bitcode(
        types + "".join(declaration(entity, module) for entity in module.entities.values())
    )


# Definitions


def head(text: str, token: str, **options: bool | str) -> str:
    entity, _ = only(text, token)
    return definition(entity, **{"keep_comdat": False, **options}).partition("\n")[0]  # type: ignore[arg-type]


def test_defining_a_local_makes_it_hidden_unless_pinned() -> None:
    text = "define internal void @f() {\n  ret void\n}\n"
    assert head(text, "@f") == "define hidden void @f() {"
    assert head(text, "@f", pinned=True) == "define internal void @f() {"


@pytest.mark.parametrize(
    ("own", "becomes"), [("linkonce", "weak"), ("linkonce_odr", "weak_odr"), ("weak", "weak")]
)
def test_a_unit_alone_must_not_drop_what_it_defines(own: str, becomes: str) -> None:
    assert head(f"define {own} void @f() {{\n  ret void\n}}\n", "@f") == f"define {becomes} void @f() {{"


def test_a_comdat_stays_only_if_the_output_is_linked_again() -> None:
    text = "$f = comdat any\ndefine void @f() comdat {\n  ret void\n}\n@v = global i32 1, comdat($f)\n"
    assert head(text, "@f") == "define void @f() {"
    assert head(text, "@f", keep_comdat=True) == "define void @f() comdat($f) {"
    assert head(text, "@v") == "@v = global i32 1"
    assert head(text, "@v", keep_comdat=True) == "@v = global i32 1, comdat($f)"


def test_a_copy_for_another_unit() -> None:
    text = "define dso_local i32 @f() {\n  ret i32 1\n}\n"
    assert head(text, "@f", linkage="internal") == "define internal i32 @f() {"
    assert (
        head(text, "@f", linkage="available_externally") == "define available_externally dso_local i32 @f() {"
    )


@pytest.mark.parametrize(("linkage", "may"), [("weak", True), ("linkonce", True), ("weak_odr", False)])
def test_what_another_definition_may_replace(linkage: str, may: bool) -> None:
    entity = index_function(f"define {linkage} void @f() {{\n  ret void\n}}\n")
    assert is_interposable(entity) == may
