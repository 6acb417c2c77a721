"""What is compiled alone and what stays together."""

import pipeline
import pytest

from nativecache.aot.request import EmitKind
from nativecache.aot.units.output_model import EXECUTABLE, OutputModel
from nativecache.aot.units.partition import Slot, Unit, structors
from nativecache.aot.units.program import Program

PAIR = "{ i32, ptr, ptr }"
LABELS = ("a.ll", "b.ll", "c.ll")


def resolved(*texts: str, kind: EmitKind = "exe") -> Program:
    return pipeline.resolved(*texts, labels=LABELS, output=OutputModel(kind)).program


def units(*texts: str, kind: EmitKind = "exe") -> tuple[Unit, ...]:
    return pipeline.resolved(*texts, labels=LABELS, output=OutputModel(kind)).units


def shapes(*texts: str, kind: EmitKind = "exe") -> list[tuple[str, list[str]]]:
    """(kind, sorted tokens) of all units."""
    return [(unit.kind, sorted(unit.tokens)) for unit in units(*texts, kind=kind)]


def function(name: str, body: str = "ret ptr null", rest: str = "") -> str:
    return f"define ptr @{name}() {rest} {{\n  {body}\n}}\n"


def test_each_function_is_a_unit() -> None:
    found = units(function("f"), function("g") + function("h"))
    assert [(u.index, u.module, u.kind, u.tokens, u.name) for u in found] == [
        (0, 0, "function", ("@f",), "f"),
        (1, 1, "function", ("@g",), "g"),
        (2, 1, "function", ("@h",), "h"),
    ]


def test_declarations_and_losers_are_in_no_unit() -> None:
    weak = "define weak void @f() {\n  ret void\n}\n"
    assert shapes(weak, weak, "declare void @f()\n") == [("function", ["@f"])]


def test_plain_variables_share_a_unit_per_module() -> None:
    text = "@x = global i32 1\n@y = internal global [2 x i32] zeroinitializer\n"
    assert shapes(text + function("f", "ret ptr @y"), "@z = global i32 3\n") == [
        ("function", ["@f"]),
        ("data", ["@x", "@y"]),
        ("data", ["@z"]),
    ]


def test_a_variable_that_holds_addresses_is_a_unit() -> None:
    """So that what only a dispatch table reaches is compiled only if the table is reached."""
    text = "@table = global [1 x ptr] [ptr @f]\n@x = global i32 1\n" + function("f")
    assert ("data", ["@table"]) in shapes(text) and ("data", ["@x"]) in shapes(text)


def test_constants_that_linkers_merge_are_in_no_unit() -> None:
    text = '@s = private unnamed_addr constant [2 x i8] c"a\\00"\n' + function("f", "ret ptr @s")
    assert shapes(text) == [("function", ["@f"])]


def test_aliases_and_ifuncs_stay_with_what_they_name() -> None:
    text = (
        "@a = alias ptr (), ptr @f\n@i = ifunc ptr (), ptr @g\n"
        + function("f")
        + function("g")
        + function("h")
    )
    assert sorted(shapes(text)) == [
        ("function", ["@h"]),
        ("group", ["@a", "@f"]),
        ("group", ["@g", "@i"]),
    ]


def test_block_addresses_stay_with_their_function() -> None:
    text = (
        "@table = internal global [1 x ptr] [ptr blockaddress(@f, %b)]\n"
        "define void @f() {\n  br label %b\nb:\n  ret void\n}\n" + function("g")
    )
    assert sorted(shapes(text)) == [("function", ["@g"]), ("group", ["@f", "@table"])]


@pytest.mark.parametrize(("kind", "together"), [("exe", False), ("object", True)])
def test_members_of_a_comdat_stay_together_if_the_output_is_linked_again(
    kind: EmitKind, together: bool
) -> None:
    text = "$c = comdat any\n" + function("f", rest="comdat($c)") + function("g", rest="comdat($c)")
    assert (("group", ["@f", "@g"]) in shapes(text, kind=kind)) == together


def test_members_of_a_comdat_that_is_not_deduplicated_always_stay_together() -> None:
    text = "$c = comdat nodeduplicate\n" + function("f", rest="comdat($c)") + function("g", rest="comdat($c)")
    assert shapes(text) == [("group", ["@f", "@g"])]


def test_a_local_that_asm_names_stays_with_its_users() -> None:
    text = (
        "@cell = internal global i32 1\n"
        'define void @f() {\n  call void asm "incl cell(%rip)", ""()\n  ret void\n}\n'
        + function("g", "ret ptr @cell")
        + function("h")
    )
    assert sorted(shapes(text)) == [("function", ["@h"]), ("group", ["@cell", "@f", "@g"])]


def test_module_asm_is_a_unit_of_its_own_unless_it_names_locals() -> None:
    asm = 'module asm ".globl out"\nmodule asm "out: jmp inner"\n'
    alone = units(asm + function("f"))
    assert {(u.kind, u.tokens, u.has_asm) for u in alone} == {("function", ("@f",), False), ("asm", (), True)}
    inner = "define internal void @inner() {\n  ret void\n}\n"
    together = units(asm + inner + function("f"))
    assert ("group", ("@inner",), True) in {(u.kind, u.tokens, u.has_asm) for u in together}


def test_variables_of_one_section_stay_together_in_order() -> None:
    text = "".join(f'@{name} = global ptr @f, section "list"\n' for name in "cab") + function("f")
    assert ("@c", "@a", "@b") in [unit.tokens for unit in units(text)]


def test_associated_sections_stay_with_what_they_belong_to() -> None:
    text = (
        '@m = internal global ptr @f, section "meta", !associated !0\n' + function("f") + "!0 = !{ptr @f}\n"
    )
    assert shapes(text) == [("group", ["@f", "@m"])]


def test_an_always_inline_body_that_cannot_leave_keeps_its_callers() -> None:
    text = (
        "@cell = internal global i32 1\n"
        '@llvm.used = appending global [1 x ptr] [ptr @cell], section "llvm.metadata"\n'
        + function("small", "ret ptr @cell", "alwaysinline")
        + function("caller", "%x = call ptr @small()\n  ret ptr %x")
        + function("other")
    )
    assert sorted(shapes(text)) == [("function", ["@other"]), ("group", ["@caller", "@cell", "@small"])]


def test_constructors_have_a_unit() -> None:
    text = f"@llvm.global_ctors = appending global [1 x {PAIR}] [{PAIR} {{ i32 65535, ptr @f, ptr null }}]\n"
    found = units(text + "define void @f() {\n  ret void\n}\n")
    assert [(u.kind, u.tokens, u.name) for u in found] == [
        ("function", ("@f",), "f"),
        ("structors", (), "structors:a.ll"),
    ]


def test_priorities_of_constructors_become_section_names() -> None:
    entries = ", ".join(f"{PAIR} {{ i32 {priority}, ptr @f, ptr null }}" for priority in (65535, 101))
    text = (
        f"@llvm.global_ctors = appending global [2 x {PAIR}] [{entries}]\n"
        f"@llvm.global_dtors = appending global [1 x {PAIR}] [{PAIR} {{ i32 5, ptr @f, ptr null }}]\n"
        "define void @f() {\n  ret void\n}\n"
    )
    assert structors(resolved(text).modules[0], EXECUTABLE) == [
        Slot(".init_array", "@f", None),
        Slot(".init_array.101", "@f", None),
        Slot(".fini_array.5", "@f", None),
    ]


def test_a_constructor_goes_with_a_global_that_does_not_prevail() -> None:
    text = (
        "$v = comdat any\n@v = linkonce_odr global i32 0, comdat\n"
        f"@llvm.global_ctors = appending global [1 x {PAIR}] [{PAIR} {{ i32 65535, ptr @init, ptr @v }}]\n"
        "define internal void @init() comdat($v) {\n  ret void\n}\n"
    )
    program = resolved(text, text)
    assert [len(structors(program.modules[i], EXECUTABLE)) for i in (0, 1)] == [1, 0]
    assert [slot.comdat for slot in structors(program.modules[0], OutputModel("object"))] == ["$v"]


def test_libraries_named_by_a_pragma_have_a_unit() -> None:
    assert [u.kind for u in units('!llvm.dependent-libraries = !{!0}\n!0 = !{!"m"}\n')] == ["structors"]


def test_every_definition_is_in_exactly_one_unit() -> None:
    text = (
        "@x = global i32 1\n@t = global ptr @f\n@a = alias i32, ptr @x\n"
        '@u = internal global i32 2, section "s"\n'
        '@v = global i32 3, section "s"\n' + function("f") + function("g", "ret ptr @u")
    )
    tokens = [token for unit in units(text) for token in unit.tokens]
    assert sorted(tokens) == ["@a", "@f", "@g", "@t", "@u", "@v", "@x"]
