"""Types that a debugger finds by their name."""

from debug_text import STRUCT, analysed, function

TYPES = """\
!24 = !DICompositeType(tag: DW_TAG_structure_type, name: "declared", flags: DIFlagFwdDecl)
!25 = !DICompositeType(tag: DW_TAG_structure_type, elements: !21)
!26 = !DICompositeType(tag: DW_TAG_union_type, name: "in_nameless", scope: !25, elements: !21)
!27 = !DICompositeType(tag: DW_TAG_class_type, name: "in_function", scope: !30, elements: !21)
!28 = !DICompositeType(tag: DW_TAG_enumeration_type, name: "e", elements: !21)
!29 = !DICompositeType(tag: DW_TAG_class_type, name: "member", scope: !20, elements: !21)
"""


def test_types_with_a_name_that_is_in_no_function() -> None:
    read = analysed(function(30, "f", 10), types=STRUCT + TYPES)
    assert {n for n in read.nodes.bodies if read.is_findable(n)} == {"!20", "!24", "!29"}
    assert {n for n in read.nodes.bodies if read.is_definition(n)} == {"!20", "!29"}
