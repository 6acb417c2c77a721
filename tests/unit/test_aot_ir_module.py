"""The index finds every entity of a printed module."""

import pytest

from nativecache.aot.codegen.llvm import read_module
from nativecache.aot.ir.module import (
    Entity,
    Module,
    Structor,
    index_function,
    index_global,
    index_module,
    inline_asm,
)


def indexed(text: str) -> Module:
    """The module as LLVM prints it, indexed."""
    return index_module(read_module(text.encode("latin-1")), "m.ll")


def only(text: str, token: str) -> tuple[Entity, Module]:
    module = indexed(text)
    return module.entities[token], module


def test_functions_variables_aliases_and_declarations() -> None:
    module = indexed(
        "@v = global i32 1\n@a = alias i32, ptr @v\n@i = ifunc void (), ptr @r\n@e = external global i32\n"
        "declare void @d()\ndefine ptr @r() { ret ptr null }\ndefine void @f() { call void @d() ret void }\n"
    )
    found = {token: (entity.kind, entity.defined) for token, entity in module.entities.items()}
    assert found == {
        "@v": ("variable", True),
        "@e": ("variable", False),
        "@a": ("alias", True),
        "@i": ("ifunc", True),
        "@r": ("function", True),
        "@f": ("function", True),
        "@d": ("function", False),
    }
    assert [entity.token for entity in module.functions()] == ["@r", "@f"]


def test_the_texts_of_all_entities_make_up_the_module() -> None:
    text = read_module(
        b"@v = global i32 1\ndefine i32 @f() {\n  ret i32 1\n}\ndefine i32 @g() {\n  ret i32 2\n}\n"
    )
    for entity in index_module(text, "m.ll").entities.values():
        assert entity.text in text and entity.text.endswith("\n")


@pytest.mark.parametrize(
    ("line", "linkage", "visibility"),
    [
        ("@v = global i32 1", "", ""),
        ("@v = internal global i32 1", "internal", ""),
        ("@v = weak_odr hidden global i32 1", "weak_odr", "hidden"),
        ("@v = common protected global i32 0", "common", "protected"),
        ("@v = extern_weak global i32", "extern_weak", ""),
        ("@v = linkonce constant i32 1", "linkonce", ""),
    ],
)
def test_linkage_and_visibility(line: str, linkage: str, visibility: str) -> None:
    entity, _ = only(f"{line}\ndefine ptr @f() {{ ret ptr @v }}\n", "@v")
    assert (entity.linkage, entity.visibility) == (linkage, visibility)


def test_constants_thread_locals_and_unnamed_addresses() -> None:
    module = indexed(
        "@c = private unnamed_addr constant i32 1\n@l = local_unnamed_addr constant i32 1\n"
        "@t = thread_local(initialexec) global i32 1\ndefine void @f() unnamed_addr { ret void }\n"
    )
    e = module.entities
    assert [e[t].constant for t in ("@c", "@l", "@t")] == [True, True, False]
    assert [e[t].unnamed_addr for t in ("@c", "@l", "@t", "@f")] == [True, False, False, True]
    assert [e[t].thread_local for t in ("@c", "@t")] == [False, True]


def test_strings_and_names_that_look_like_code_confuse_nothing() -> None:
    module = indexed(
        '@"a = global i32 1, comdat" = constant [4 x i8] c"}\\0A@\\22"\n'
        '@"define x(" = internal global i32 2, section "s = comdat"\n'
        'define ptr @"q\\22uo ted)"(ptr %"x y") {\n  ret ptr %"x y"\n}\n'
        'define void @g() {\n  call void asm "}\\0A\\0Adefine void @h() {", ""()\n  ret void\n}\n'
    )
    assert sorted(module.entities) == ['@"a = global i32 1, comdat"', '@"define x("', '@"q\\22uo ted)"', "@g"]
    assert all(entity.comdat is None for entity in module.entities.values())


def test_comdats_by_name_and_by_the_members_own() -> None:
    module = indexed(
        "$c = comdat any\n$f = comdat nodeduplicate\n"
        "define void @f() comdat { ret void }\ndefine void @g() comdat($c) { ret void }\n"
        "@v = global i32 1, comdat($c)\n@w = global i32 1\n"
    )
    assert module.comdats == {"$c": "any", "$f": "nodeduplicate"}
    assert {token: entity.comdat for token, entity in module.entities.items()} == {
        "@f": "$f",
        "@g": "$c",
        "@v": "$c",
        "@w": None,
    }


def test_types_attributes_metadata_and_flags() -> None:
    module = indexed(
        "%S = type { i32, ptr }\n%O = type { i8 }\n"
        "define void @f(ptr byval(%S) %p) noinline !x !0 { ret void }\ndeclare void @g(ptr byref(%O))\n"
        '!llvm.module.flags = !{!1}\n!0 = !{}\n!1 = !{i32 1, !"wchar_size", i32 4}\n'
    )
    assert module.types["%S"] == "{ i32, ptr }"
    assert module.attributes == {"#0": "{ noinline }"}
    assert module.named_metadata == {"llvm.module.flags": "!0"}
    assert module.metadata == {"!0": '!{i32 1, !"wchar_size", i32 4}', "!1": "!{}"}


def test_constructors_destructors_and_what_is_kept() -> None:
    pair = "{ i32, ptr, ptr }"
    module = indexed(
        f"@llvm.global_ctors = appending global [2 x {pair}] "
        f"[{pair} {{ i32 65535, ptr @f, ptr null }}, {pair} {{ i32 101, ptr @g, ptr @v }}]\n"
        f"@llvm.global_dtors = appending global [1 x {pair}] [{pair} {{ i32 7, ptr @f, ptr null }}]\n"
        '@llvm.used = appending global [1 x ptr] [ptr @v], section "llvm.metadata"\n'
        "@v = global i32 1\ndefine void @f() { ret void }\ndefine void @g() { ret void }\n"
    )
    assert module.structors["ctors"] == (Structor(65535, "@f", None), Structor(101, "@g", "@v"))
    assert module.structors["dtors"] == (Structor(7, "@f", None),)
    assert module.used == {"llvm.used": ("@v",), "llvm.compiler.used": ()}
    assert "@llvm.used" not in module.entities


def test_target_source_and_module_asm() -> None:
    module = indexed(
        'source_filename = "dir/a\\22b.c"\ntarget triple = "x86_64-unknown-linux-gnu"\n'
        'module asm ".globl one"\nmodule asm "one: ret"\n'
    )
    assert module.source_file == 'dir/a"b.c'
    assert module.triple == "x86_64-unknown-linux-gnu"
    assert module.asm == (".globl one", "one: ret")
    assert {"one", "ret"} <= module.asm_words


def test_globals_without_a_name() -> None:
    entity, _ = only("@0 = global i32 1\ndefine ptr @f() { ret ptr @0 }\n", "@0")
    assert entity.local, "no other module can mean it"


def test_inline_asm_strings() -> None:
    text = 'define void @f() {\n  call void asm sideeffect inteldialect "nop \\22x\\22", "~{memory}"()\n'
    assert inline_asm(index_function(f"{text}  call void @asm()\n  ret void\n}}\n")) == ["nop \\22x\\22"]


@pytest.mark.parametrize("text", ["", "define nothing", "declare void @f", "hello"])
def test_what_is_no_function(text: str) -> None:
    with pytest.raises(ValueError, match="not a function"):
        index_function(text)


def test_what_is_no_global() -> None:
    with pytest.raises(ValueError, match="not a global"):
        index_global("@x = nonsense")
