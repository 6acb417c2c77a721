"""The unit that defines a module's types."""

from debug_text import HEAD, STRUCT, analysed, function

from nativecache.aot.debug.type_unit import has_types, write_type_unit
from nativecache.linker.lines import name_line, ordinal


def test_definitions_are_listed_and_lines_are_ordinals() -> None:
    unit = write_type_unit(analysed(function(30, "f", 10)), ["!2"], [])
    assert unit.text.startswith("!llvm.dbg.cu = !{!0}\n!llvm.module.flags = !{!")
    assert "retainedTypes: !{!" in unit.text and f"line: {ordinal(1)}" in unit.text
    assert unit.lines == (3, 4) and unit.named == ()
    assert "DISubprogram" not in unit.text and 'i32 7, !"Dwarf Version", i32 5' in unit.text


def test_of_functions_no_more_than_which_they_are() -> None:
    inner = '!24 = !DIDerivedType(tag: DW_TAG_member, name: "m", scope: !33, baseType: !5)\n'
    types = STRUCT.replace("!{!22}", "!{!22, !24}") + inner
    text = write_type_unit(analysed(function(30, "f", 10), types=types), [], []).text
    assert '!DISubprogram(name: "f", spFlags: 0)' in text and "DILexicalBlock" not in text


def test_only_constants_of_the_globals_stay() -> None:
    head = HEAD.replace("FullDebug)", "FullDebug, globals: !24)")
    types = (
        STRUCT
        + "!24 = !{!25, !26}\n"
        + "".join(
            f"!{n} = !DIGlobalVariableExpression(var: !{n + 2}, expr: !DIExpression())\n"
            f'!{n + 2} = distinct !DIGlobalVariable(name: "v{n}", scope: !0, type: !5)\n'
            for n in (25, 26)
        )
    )
    text = write_type_unit(analysed(function(30, "f", 10), types=types, head=head), [], ["!26"]).text
    assert '"v26"' in text and '"v25"' not in text


def test_lines_in_names_are_numbered() -> None:
    types = STRUCT.replace('name: "s"', 'name: "(lambda at a.c:9:3)"')
    unit = write_type_unit(analysed(function(30, "f", 10), types=types), [], [])
    assert f"(lambda at a.c:{name_line(0)}:3)" in unit.text and unit.named == (9,)


def test_modules_with_lines_only_have_no_types() -> None:
    assert has_types(analysed(function(30, "f", 10)))
    head = HEAD.replace("FullDebug", "LineTablesOnly")
    assert not has_types(analysed(function(30, "f", 10), head=head))
