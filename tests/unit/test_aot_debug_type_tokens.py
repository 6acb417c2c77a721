"""Types that are declared, and types that stay whole."""

import pytest
from debug_text import STRUCT, analysed, function, normalised, text

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.naming import Naming
from nativecache.linker.lines import ordinal


def test_named_types_are_declared_and_defined_in_a_unit_of_their_own() -> None:
    made = normalised(function(30, "f", 10))
    assert made.debug is not None and made.debug.types is not None
    used = [body for body in map(made.metadata.__getitem__, made.metadata) if '"s"' in body]
    assert used == ['!DICompositeType(tag: DW_TAG_structure_type, name: "s", flags: DIFlagFwdDecl)']
    assert 'name: "next"' in made.debug.types.text
    assert f"line: {ordinal(0)}" in made.debug.types.text
    assert sorted(made.debug.types.lines) == [3, 4]
    moved = normalised(function(30, "f", 10), types=STRUCT.replace("line: 3", "line: 7"))
    assert moved.debug is not None and moved.debug.types is not None
    assert moved.debug.types.text == made.debug.types.text


def test_a_type_held_by_value_has_its_size() -> None:
    held = normalised(function(30, "f", 10, type_="!20"))
    assert held.debug is not None
    assert [size for _, size in held.debug.sizes.values()] == ["64"]
    larger = normalised(
        function(30, "f", 10, type_="!20"), types=STRUCT.replace("line: 3, size: 64", "line: 3, size: 128")
    )
    assert text(held, "f") != text(larger, "f")


def test_a_type_without_a_name_is_named_by_its_members() -> None:
    nameless = STRUCT.replace('name: "s", ', "")
    one, other = (
        Naming(analysed(function(30, "f", 10), types=types), frozenset())
        for types in (nameless, nameless.replace('"next"', '"previous"'))
    )
    assert one.name("!20") != other.name("!20")
    one.types.spell_waiting()
    body = one.tokens.nodes[one.name("!20")]
    assert "line" not in body and "elements: !" in body and "DIFlagFwdDecl" not in body


def test_an_ambiguous_type_stays_whole() -> None:
    naming = Naming(analysed(function(30, "f", 10)), frozenset({"s"}))
    token = naming.name("!20")
    naming.types.spell_waiting()
    assert "elements: !" in naming.tokens.nodes[token]
    assert naming.declarations.lines[token] == 3


def test_a_type_is_held_through_typedefs_but_not_through_pointers() -> None:
    more = """\
!24 = !DIDerivedType(tag: DW_TAG_typedef, name: "t", file: !1, line: 9, baseType: !25)
!25 = !DIDerivedType(tag: DW_TAG_const_type, baseType: !20)
"""
    naming = Naming(analysed(function(30, "f", 10), types=STRUCT + more), frozenset())
    assert naming.types.find_held("!24") == (naming.name("!20"), "64")
    assert naming.types.find_held("!23") is None and naming.types.find_held("!5") is None


def test_types_nested_too_deeply_are_refused() -> None:
    nested = "".join(
        f"!{n} = !DICompositeType(tag: DW_TAG_structure_type, elements: !{n + 1})\n"
        for n in range(1000, 1200)
    )
    naming = Naming(analysed(function(30, "f", 10), types=STRUCT + nested), frozenset())
    with pytest.raises(Unsupported, match="nested"):
        naming.name("!1000")
