"""Which nodes are a function's own."""

from debug_text import STRUCT, analysed, function, module, normalised, text

from nativecache.aot.debug.functions import find_functions
from nativecache.aot.debug.nodes import read_nodes
from nativecache.aot.ir.debug_info import LOCAL_TO


def test_functions_of_one_name_are_told_by_their_symbols() -> None:
    first, second = function(30, "f", 10), function(50, "f", 20)
    second = second[0].replace("@f", "@f.1"), second[1]
    made = normalised(first, second)
    assert made.debug is not None
    assert made.debug.ranges == {"f": 10, "f.1": 20}
    assert text(made, "f").replace("@f", "@f.1") != text(made, "f.1")


def test_an_array_whose_length_is_a_variable_is_its_functions() -> None:
    more = """\
!34 = !DICompositeType(tag: DW_TAG_array_type, baseType: !5, elements: !35)
!35 = !{!36}
!36 = !DISubrange(count: !37)
!37 = !DILocalVariable(name: "n", scope: !30, type: !5, flags: DIFlagArtificial)
"""
    made = normalised(function(30, "f", 10, type_="!34", more=more))
    assert made.debug is not None
    moved = normalised(function(30, "f", 20, type_="!34", more=more))
    assert text(made, "f") == text(moved, "f")


def test_scopes_and_variables_are_their_functions() -> None:
    functions = analysed(function(30, "f", 10), function(50, "g", 20)).functions
    assert functions.members == {"!30": ["!30", "!33", "!31"], "!50": ["!50", "!53", "!51"]}
    assert functions.owners["!53"] == "!50" and "!1" not in functions.owners
    assert functions.files == {"!30": "!1", "!50": "!1", "!33": "!1", "!53": "!1"}


def test_blocks_are_found_in_any_order() -> None:
    more = """\
!34 = distinct !DILexicalBlock(scope: !35, file: !1, line: 14, column: 3)
!35 = !DILexicalBlockFile(scope: !33, file: !1, discriminator: 2)
"""
    assert {*analysed(function(30, "f", 10, more=more)).functions.members["!30"]} == {
        f"!3{n}" for n in (0, 1, 3, 4, 5)
    }


def test_functions_without_symbol_are_numbered_among_those_of_their_name() -> None:
    nodes = "".join(function(n, "f", n)[1] for n in (30, 50, 70))
    read = read_nodes(nodes, relative=True)
    assert find_functions(read, {"!50": "g"}).keys == {"!30": "f#1", "!50": "g", "!70": "f#2"}


def test_a_type_in_a_function_names_it_by_its_key() -> None:
    functions = analysed(function(30, "f", 10)).functions
    assert functions.localize("!T(scope: !33, size: 8)") == f"!T(scope: {LOCAL_TO}f{LOCAL_TO}, size: 8)"
    assert functions.localize("!T(scope: !1, size: 8)") == "!T(scope: !1, size: 8)"


def test_functions_by_the_nodes_that_describe_them() -> None:
    assert module(function(30, "f", 10), types=STRUCT).described == {"!30": "@f"}
