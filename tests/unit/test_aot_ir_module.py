"""The index finds every entity of a printed module and writes it as other units see it."""

import pytest

from nativecache.aot.codegen.llvm import Llvmlite, read_module
from nativecache.aot.ir.module import (
    Entity,
    Module,
    Structor,
    aliasee,
    asm_words,
    block_owners,
    closing_parenthesis,
    declaration,
    definition,
    index_function,
    index_global,
    index_module,
    inline_asm,
    quote,
    references,
    symbol_name,
    type_end,
    unescape,
)


def indexed(text: str) -> Module:
    """The module as LLVM prints it, indexed."""
    return index_module(read_module(text.encode("latin-1")), "m.ll")


def only(text: str, token: str) -> tuple[Entity, Module]:
    module = indexed(text)
    return module.entities[token], module


def declared(text: str, token: str) -> str:
    return declaration(*only(text, token)).rstrip("\n")


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


@pytest.mark.parametrize(
    "name", ["plain", "with space", 'quo"te', "back\\slash", "ünï", "1st", "a.b$c-d", "\udc80"]
)
def test_quoting_a_name_and_reading_it_again(name: str) -> None:
    assert symbol_name("@" + quote(name)) == name


def test_the_mark_against_mangling_is_no_part_of_a_name() -> None:
    assert symbol_name('@"\\01_plain"') == "_plain"


def test_references_leave_strings_out() -> None:
    assert references('ptr @a, c"@b", ptr @"c d", i32 0, @1 @a') == ["@a", '@"c d"', "@1", "@a"]


def test_unescape_gives_one_character_a_byte() -> None:
    assert unescape("a\\22\\C3\\BCb") == 'a"\xc3\xbcb'
    assert unescape(r"\\5C\\\5C\0A") == "\\5C\\\\\n", "LLVM doubles a backslash"
    assert unescape(r"a\\41\5Cb") == r"a\41\b"


def test_words_of_asm() -> None:
    assert asm_words(["movl cell(%rip), %eax\\0Acall f.1"]) >= {"movl", "cell", "rip", "call", "f.1"}


def test_inline_asm_strings() -> None:
    text = 'define void @f() {\n  call void asm sideeffect inteldialect "nop \\22x\\22", "~{memory}"()\n'
    assert inline_asm(index_function(f"{text}  call void @asm()\n  ret void\n}}\n")) == ["nop \\22x\\22"]


def test_owners_of_block_addresses() -> None:
    assert block_owners('[ptr blockaddress(@f, %a), ptr blockaddress(@"g h", %b)]') == ["@f", '@"g h"']


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("i32 1", "i32"),
        ("ptr null", "ptr"),
        ("ptr addrspace(3) null", "ptr addrspace(3)"),
        ("%S zeroinitializer", "%S"),
        ('%"a b" undef', '%"a b"'),
        ("[2 x { i8, [3 x i8] }] zeroinitializer", "[2 x { i8, [3 x i8] }]"),
        ('<{ i8, %"]>" }> undef', '<{ i8, %"]>" }>'),
        ("<4 x float> zeroinitializer", "<4 x float>"),
        ('target("spirv.Image", void, 1) undef', 'target("spirv.Image", void, 1)'),
    ],
)
def test_where_a_type_ends(text: str, type_: str) -> None:
    assert text[: type_end(text)] == type_


@pytest.mark.parametrize("text", ["[2 x i8", ", i8", "{ i8 "])
def test_no_type(text: str) -> None:
    with pytest.raises(ValueError, match="type"):
        type_end(text)


def test_closing_parenthesis_counts_and_skips_strings() -> None:
    text = '(i32 (ptr), @")" ()) rest'
    assert text[: closing_parenthesis(text, 0)] == '(i32 (ptr), @")" ())'
    with pytest.raises(ValueError, match="unbalanced"):
        closing_parenthesis("((", 0)


@pytest.mark.parametrize("text", ["", "define nothing", "declare void @f", "hello"])
def test_what_is_no_function(text: str) -> None:
    with pytest.raises(ValueError, match="not a function"):
        index_function(text)


def test_what_is_no_global() -> None:
    with pytest.raises(ValueError, match="not a global"):
        index_global("@x = nonsense")


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
