"""Printed debug information, taken apart."""

from debug_text import HEAD, STRUCT, function

from nativecache.aot.debug.nodes import DebugNodes, read_nodes


def read(text: str) -> DebugNodes:
    return read_nodes(text, relative=True)


def test_locations_are_no_nodes_and_common_kinds_are_taken_apart() -> None:
    nodes = read(function(30, "f", 10)[1])
    assert list(nodes.bodies) == ["!30", "!31", "!33"]
    assert nodes.locations == [("!32", "13", ", column: 5, scope: ", "!33", "")]
    assert nodes.blocks == [("!33", "!30", "!1", "11", ", column: 3")]
    assert nodes.variables == [("!31", 'name: "v", ', "!33", "!1", "12", "!23", "")]


def test_what_the_module_says_of_itself() -> None:
    nodes = read(HEAD)
    assert nodes.dwarf_version == 5 and list(nodes.compile_units) == ["!0"]
    assert nodes.file_name("!1") == "a.c" and nodes.file_name("!99") == ""
    assert read("!0 = !{}\n").dwarf_version == 4


def test_qualified_names() -> None:
    scopes = """\
!24 = !DINamespace(name: "a", scope: null)
!25 = !DINamespace(scope: !24)
!26 = !DICompositeType(tag: DW_TAG_structure_type, name: "t", scope: !25, file: !1)
!27 = !DICompositeType(tag: DW_TAG_structure_type, name: "u", scope: !27)
"""
    nodes = read(HEAD + STRUCT + scopes)
    assert nodes.qualified_name("!26") == "a::::t"
    assert nodes.qualified_name("!20") == "s"
    assert nodes.qualified_name("!27").startswith("u::u::")  # damaged, but it ends


def test_lines_in_names_become_keys_unless_lines_are_real() -> None:
    text = '!7 = !DICompositeType(name: "(lambda at a.cpp:5:3)")\n'
    assert read(text).named == {"a.cpp:3:0": 5}
    real = read_nodes(text, relative=False)
    assert not real.named and "a.cpp:5:3" in real.bodies["!7"]
