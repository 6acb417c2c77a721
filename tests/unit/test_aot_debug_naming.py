"""Tokens that mean the same in any module."""

import pytest
from debug_text import STRUCT, analysed, function

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.naming import Naming


def naming_of(nodes: str) -> Naming:
    return Naming(analysed(function(30, "f", 10), types=STRUCT + nodes), frozenset())


def test_tokens_do_not_depend_on_numbers() -> None:
    one = naming_of('!24 = !DIBasicType(name: "a")\n!25 = !{!24, !5}\n')
    other = naming_of('!28 = !DIBasicType(name: "a")\n!26 = !{!28, !5}\n')
    assert one.name("!25") == other.name("!26")
    assert one.tokens.nodes[one.name("!25")] == f"!{{{one.name('!24')}, {one.name('!5')}}}"


def test_a_loop_names_itself() -> None:
    naming = naming_of("!24 = distinct !{!24, !26}\n!25 = distinct !{!25, !26}\n!26 = !{}\n")
    first, second = naming.name("!24"), naming.name("!25")
    assert first != second
    assert naming.tokens.nodes[first] == f"distinct !{{{first}, {naming.name('!26')}}}"


def test_places_of_types_are_left_out() -> None:
    member = '!24 = !DIDerivedType(tag: DW_TAG_typedef, name: "t", file: !1, line: 3, baseType: !5)\n'
    moved = member.replace("line: 3", "line: 4")
    assert naming_of(member).name("!24") == naming_of(moved).name("!24")


def test_lines_of_global_variables_are_kept() -> None:
    naming = naming_of(
        '!24 = distinct !DIGlobalVariable(name: "v", scope: !0, file: !1, line: 3, type: !5)\n'
    )
    assert naming.declarations.lines == {naming.name("!24"): 3}


def test_compile_units_are_without_their_lists() -> None:
    naming = naming_of(
        "!24 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, enums: !21, globals: !21)\n"
    )
    assert naming.tokens.nodes[naming.name("!24")].endswith(f"file: {naming.name('!1')})")


def test_long_chains_are_named_without_recursion() -> None:
    chain = "".join(f"!{n} = !{{!{n + 1}}}\n" for n in range(1000, 9000)) + "!9000 = !{}\n"
    naming = naming_of(chain)
    assert naming.tokens.nodes[naming.name("!1000")] == f"!{{{naming.name('!1001')}}}"


def test_circles_are_refused() -> None:
    with pytest.raises(Unsupported, match="depend on themselves"):
        naming_of("!24 = !{!25}\n!25 = !{!24}\n").name("!24")
