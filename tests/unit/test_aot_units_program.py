"""What a program tells of its symbols once they are resolved."""

from dataclasses import replace

import pipeline

from nativecache.aot.ir.debug_info import DebugInfo, LineMap
from nativecache.aot.units.output_model import OutputModel
from nativecache.aot.units.program import Definition, Program
from nativecache.linker.symbol_options import SymbolOptions

ALIASES = "@v = global i32 1\n@a = alias i32, ptr @v\n@w = weak alias i32, ptr @v\n"
LOCALS = (
    "@s = private unnamed_addr constant i32 7\n@n = internal global i32 1\n"
    "define ptr @f() {\n  ret ptr @n\n}\ndefine ptr @g() {\n  ret ptr @s\n}\n"
)


def resolved(*texts: str, output: OutputModel | None = None, told: SymbolOptions | None = None) -> Program:
    made = pipeline.resolved(*texts, output=output or OutputModel(), told=told or SymbolOptions())
    return made.program


def opaque(program: Program) -> set[str]:
    (part,) = program.modules
    return {token for token, entity in part.entities.items() if program.is_opaque_alias(part, entity)}


def test_a_plain_alias_is_a_second_name_and_a_weak_one_is_not() -> None:
    program = resolved(ALIASES)
    assert opaque(program) == {"@w"}
    assert program.opaque_bases == {"v"}


def test_an_alias_that_may_be_replaced_is_opaque() -> None:
    assert opaque(resolved(ALIASES, output=OutputModel("shared", interposable=True))) == {"@a", "@w"}
    assert opaque(resolved(ALIASES, told=SymbolOptions(assigned=frozenset(("v",))))) == {"@a", "@w"}


def test_a_definition_is_at_home_where_it_prevails() -> None:
    text = "define weak void @f() {\n  ret void\n}\n"
    program = resolved(text, text)
    assert [program.is_home(part, "@f") for part in program.modules] == [True, False]
    assert program.entity(Definition(1, "@f")).linkage == "weak"


def test_locals_that_are_copied_do_not_tie_a_body_to_its_module() -> None:
    program = resolved(LOCALS, "")
    assert program.mentions_local(program.modules[0], ["n.0"])
    assert not program.mentions_local(program.modules[0], ["f", "s.0", "nothing"])
    assert not program.mentions_local(program.modules[1], ["n.0"])


def test_common_symbols_are_ours_or_those_of_native_inputs() -> None:
    assert resolved("@c = common global i32 0\n").has_common
    assert not resolved("@c = global i32 0\n").has_common
    assert resolved("", output=OutputModel(native_common=True)).has_common


def test_lines_exist_while_their_ranges_do() -> None:
    debug = DebugInfo(ranges={"f": 1}, lines={"!a": 2}, checksums={b"p": b"r"})
    (empty,) = pipeline.indexed("")
    program = pipeline.resolved_modules([replace(empty, debug=debug)]).program
    assert program.has_lines(LineMap(ranges=(("0.ll", "f"),), lines=(("0.ll", "!a"),)))
    assert not program.has_lines(LineMap(ranges=(("0.ll", "g"),)))
    assert not program.has_lines(LineMap(ranges=(("1.ll", "f"),)))
    assert program.checksums == [{b"p": b"r"}]


def test_what_brings_an_assigned_symbol_along() -> None:
    text = (
        "define available_externally void @carry() {\n  call void @away()\n  ret void\n}\n"
        "declare void @away()\ndefine void @f() {\n  call void @carry()\n  ret void\n}\n"
    )
    program = resolved(
        text, "define void @away() {\n  ret void\n}\n", told=SymbolOptions(assigned=frozenset(("away",)))
    )
    source = program.modules[0].source
    assert program.leads_elsewhere(source, ["@carry"]) and program.leads_elsewhere(source, ["@away"])
    assert not program.leads_elsewhere(source, ["@f"])
