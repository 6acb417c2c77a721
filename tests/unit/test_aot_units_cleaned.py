"""Functions keep their module's debug information through the clean-up."""

import pytest
from debug_text import STRUCT, function, normalised

from nativecache.aot.ir.debug_info import LineMap, Nodes
from nativecache.aot.ir.module import Module
from nativecache.aot.packed import encode_nodes
from nativecache.aot.units.cleaned import are_known, carry, list_nodes, read_carried, used_nodes
from nativecache.aot.units.extract import extract
from nativecache.aot.units.partition import partition
from nativecache.aot.units.resolve import resolve_symbols
from nativecache.linker.lines import encode

#: What LLVM prints of a unit with four nodes: the first two swapped places, the fourth is not named, and one
#: was made that names itself and one of the unit's.
PRINTED = """\
source_filename = "x"

@nc.v = external global i32, !dbg !8

define void @nc.0() #0 !dbg !5 {
  call void asm "!5", ""(), !dbg !3
  ret void, !dbg !6, !llvm.loop !7
}

declare !dbg !4 void @nc.1()

attributes #0 = { nounwind }

!llvm.dbg.cu = !{!1}
!nc.nodes = !{!5, !4, !8, !2}

!1 = distinct !DICompileUnit(language: DW_LANG_C11, file: !2)
!2 = !DIFile(filename: "a.c", directory: "")
!3 = !DILocation(line: LINE, column: 3, scope: !5)
!4 = !DISubprogram(name: "1", spFlags: 0)
!5 = distinct !DISubprogram(name: "0", unit: !1)
!6 = !DILocation(line: 0, scope: !5, inlinedAt: !9)
!7 = distinct !{!7, !4}
!8 = !DIGlobalVariableExpression(var: !2, expr: !DIExpression())
!9 = distinct !DILocation(line: LINE, scope: !5)
""".replace("LINE", str(encode(0, 5)))
CARRIED = """\
source_filename = "x"

@nc.v = external global i32, !dbg !2

define void @nc.0() #0 !dbg !0 {
  call void asm "!5", ""(), !dbg !DILocation(line: LINE, column: 3, scope: !0)
  ret void, !dbg !DILocation(line: 0, scope: !0, inlinedAt: !4), !llvm.loop !5
}

declare !dbg !1 void @nc.1()

attributes #0 = { nounwind }

!4 = distinct !DILocation(line: LINE, scope: !0)
!5 = distinct !{!5, !1}
""".replace("LINE", str(encode(0, 5)))


def own_node(module: Module, name: str) -> str:
    """What describes a function."""
    return module.entities[name].text.partition("!dbg ")[2].partition(" ")[0]


def test_nodes_have_the_numbers_of_their_unit() -> None:
    assert carry(PRINTED) == CARRIED
    assert used_nodes(CARRIED) == [0, 1, 2]
    assert list_nodes(3) == "!nc.nodes = !{!0, !1, !2}\n"


def test_of_nodes_that_became_one_it_is_the_first() -> None:
    twice = PRINTED.replace("!{!5, !4, !8, !2}", "!{!5, !4, !8, !4}")
    assert carry(twice) == carry(PRINTED)


def test_a_carried_function_has_its_modules_nodes() -> None:
    module = normalised(function(30, "f", 12), function(40, "g", 20))
    assert module.debug is not None
    tokens = [own_node(module, name) for name in ("@f", "@g")]
    carried = CARRIED.replace("@nc.v = external global i32, !dbg !2\n", "")
    line_map = LineMap(ranges=(("a.c", "f"),))
    made = read_carried(carried, encode_nodes(tokens), module, line_map=line_map, salt="f")
    assert made.debug is not None and isinstance(made.metadata, Nodes)
    text = made.entities["@nc.0"].text
    assert f"!dbg {tokens[0]} {{" in text and 'asm "!5"' in text
    assert f"line: 5\1\1f\1, column: 3, scope: {tokens[0]})" in text
    assert f"declare !dbg {tokens[1]} " in made.entities["@nc.1"].text
    assert made.metadata[tokens[1]] == module.metadata[tokens[1]]
    loop = text.rpartition("!llvm.loop ")[2].partition("\n")[0]
    assert made.metadata[loop] == f"distinct !{{{loop}, {tokens[1]}}}" and loop not in module.metadata
    assert made.debug.scopes is module.debug.scopes


def test_tokens_that_do_not_fit_are_refused() -> None:
    module = normalised(function(30, "f", 12))
    with pytest.raises(ValueError, match="zip"):
        read_carried(CARRIED, "", module, line_map=LineMap(), salt="f")


def test_a_module_tells_which_nodes_it_has() -> None:
    module = normalised(function(30, "f", 12))
    own = own_node(module, "@f")
    assert are_known(encode_nodes([own, f"{own[:-1]}1"]), module.metadata)
    assert not are_known(encode_nodes([f"!{7:020}"]), module.metadata)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("!5", "!DIBasicType"),
        ("!20", "size: 64"),
        ("!23", "size: 64"),
        ("!24", "size: 64"),
        ("!25", "size: 32"),
    ],
)
def test_the_clean_up_sees_of_a_variable_its_size_and_sign(kind: str, shown: str) -> None:
    types = """\
!24 = !DIDerivedType(tag: DW_TAG_typedef, name: "size: 1", file: !1, line: 6, baseType: !20)
!25 = !DIDerivedType(tag: DW_TAG_typedef, name: "i", file: !1, line: 7, baseType: !5)
"""
    module = normalised(function(30, "f", 12, kind), types=STRUCT + types)
    program = resolve_symbols([module])
    (unit,) = (unit for unit in partition(program) if unit.kind == "function")
    text = extract(program, unit, triple="", datalayout="", keep_types=True, sketches=True)
    (variable,) = (line for line in text.text.split("\n") if "DILocalVariable(" in line)
    token = variable.partition("type: ")[2].removesuffix(")")
    seen = variable if token[1] == "D" else text.text.partition(f"\n{token} = ")[2].partition("\n")[0]
    assert shown in seen and "next" not in text.text and 'name: "s"' not in text.text
    assert all(node in module.metadata for node in text.nodes if node)
    own = text.nodes.index(own_node(module, "@f"))
    assert f'\n!{own} = distinct !DISubprogram(name: "{own}", file: ' in text.text
