"""Debug information that is slim and says nothing of where things stand."""

import re

import pytest

from nativecache.aot.debug.normalise import normalise
from nativecache.aot.debug.normaliser import FarLines, Normaliser, compilation_directory
from nativecache.aot.ir.debug_info import LineMap, Nodes
from nativecache.aot.ir.module import Module, index_module
from nativecache.linker.lines import DIRECTORY_PLACEHOLDER, encode, ordinal

HEAD = """\
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2}

!0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, producer: "c", emissionKind: FullDebug)
!1 = !DIFile(filename: "a.c", directory: "/home/me", checksumkind: CSK_MD5, checksum: "SUM")
!2 = !{i32 7, !"Dwarf Version", i32 5}
!3 = !DISubroutineType(types: !4)
!4 = !{!5}
!5 = !DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)
""".replace("SUM", "0123456789abcdef" * 2)

STRUCT = """\
!20 = distinct !DICompositeType(tag: DW_TAG_structure_type, name: "s", file: !1, line: 3, size: 64, \
elements: !21)
!21 = !{!22}
!22 = !DIDerivedType(tag: DW_TAG_member, name: "next", scope: !20, file: !1, line: 4, baseType: !23, size: 64)
!23 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !20, size: 64)
"""


def function(number: int, name: str, line: int, type_: str = "!23", more: str = "") -> tuple[str, str]:
    """A function with a variable, and its metadata: ten numbers from `number`."""
    n = number
    code = f"""\
define i32 @{name}() !dbg !{n} {{
    #dbg_value(i32 0, !{n + 1}, !DIExpression(), !{n + 2})
  ret i32 0, !dbg !{n + 2}
}}
"""
    nodes = f"""\
!{n} = distinct !DISubprogram(name: "{name}", scope: !1, file: !1, line: {line}, type: !3, \
scopeLine: {line}, spFlags: DISPFlagDefinition, unit: !0)
!{n + 1} = !DILocalVariable(name: "v", scope: !{n + 3}, file: !1, line: {line + 2}, type: {type_})
!{n + 2} = !DILocation(line: {line + 3}, column: 5, scope: !{n + 3})
!{n + 3} = distinct !DILexicalBlock(scope: !{n}, file: !1, line: {line + 1}, column: 3)
{more}"""
    return code, nodes


def module(*functions: tuple[str, str], types: str = STRUCT, head: str = HEAD) -> Module:
    code = "\n".join(code for code, _ in functions)
    nodes = "".join(nodes for _, nodes in functions)
    return index_module(f'source_filename = "a.c"\n\n{code}\n{head}{types}{nodes}', "a.c")


def normalised(*functions: tuple[str, str], types: str = STRUCT, head: str = HEAD) -> Module:
    made = module(*functions, types=types, head=head)
    normalise([made], directory="/home/me")
    return made


def text(made: Module, name: str) -> str:
    return made.entities[f"@{name}"].text


def test_a_function_is_the_same_wherever_it_stands() -> None:
    one = normalised(function(30, "f", 10))
    other = normalised(function(50, "g", 5), function(70, "f", 900))
    assert text(one, "f") == text(other, "f")
    assert one.debug is not None and other.debug is not None
    assert (one.debug.ranges["f"], other.debug.ranges["f"]) == (10, 900)
    token = re.findall(r" !dbg (!\d+) ", text(one, "f"))[0]
    assert one.metadata[token] == other.metadata[token]


@pytest.mark.parametrize(
    "change",
    [("line: 12", "line: 13"), ("column: 3", "column: 4"), ('name: "v"', 'name: "w"'), ("!23)", "!5)")],
    ids=["line", "column", "name", "type"],
)
def test_all_that_can_be_seen_is_in_the_tokens(change: tuple[str, str]) -> None:
    code, nodes = function(30, "f", 10)
    assert change[0] in nodes
    assert text(normalised((code, nodes)), "f") != text(normalised((code, nodes.replace(*change))), "f")


def test_functions_of_one_first_line_share_a_range() -> None:
    made = normalised(function(30, "f", 10), function(50, "g", 10))
    assert made.debug is not None
    assert made.debug.ranges == {"f": 10}
    # Which function it is called after is in the tokens, for a record of `g` names it.
    apart = normalised(function(30, "f", 9), function(50, "g", 10))
    assert text(apart, "g") != text(made, "g")


def test_lines_of_another_file_are_a_range_told_by_the_tokens() -> None:
    def including(number: int, name: str, line: int) -> tuple[str, str]:
        code, nodes = function(number, name, 10 * number)
        nodes += f"!{number + 4} = !DILexicalBlockFile(scope: !{number}, file: !90, discriminator: 0)\n"
        return code, nodes.replace(
            f"line: {10 * number + 3}, column: 5, scope: !{number + 3}", f"line: {line}, scope: !{number + 4}"
        )

    types = STRUCT + '!90 = !DIFile(filename: "part.def", directory: "/home/me")\n'
    shared = normalised(including(30, "f", 2), including(50, "g", 2), types=types)
    apart = normalised(including(30, "f", 1), including(50, "g", 2), types=types)
    assert shared.debug is not None and apart.debug is not None
    assert {key: line for key, line in shared.debug.ranges.items() if "part" in key} == {"f/part.def": 2}
    assert apart.debug.ranges["g/part.def"] == 2
    assert text(shared, "g") != text(apart, "g")
    assert text(shared, "f") == text(normalised(including(30, "f", 2), types=types), "f")


def test_functions_of_one_name_are_told_by_their_symbols() -> None:
    first, second = function(30, "f", 10), function(50, "f", 20)
    second = second[0].replace("@f", "@f.1"), second[1]
    made = normalised(first, second)
    assert made.debug is not None
    assert made.debug.ranges == {"f": 10, "f.1": 20}
    assert text(made, "f").replace("@f", "@f.1") != text(made, "f.1")


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


def test_types_of_one_name_that_differ_stay_whole() -> None:
    one, other = (
        module(function(30, "f", 10)),
        module(function(30, "g", 10), types=STRUCT.replace('"next"', '"previous"')),
    )
    normalise([one, other], directory="/home/me")
    for made, name in ((one, "next"), (other, "previous")):
        token = re.findall(r" !dbg (!\d+) ", text(made, "f" if made is one else "g"))[0]
        assert token in made.metadata
        assert any(f'name: "{name}"' in body for body in map(made.metadata.__getitem__, made.metadata))


def test_a_type_that_one_file_only_declares_is_no_other() -> None:
    """Else all that name it would be described in each function, and searched for each."""
    held = STRUCT.replace("baseType: !20, size", "baseType: !24, size")
    type_ = '!DICompositeType(tag: DW_TAG_structure_type, name: "t", file: !1, line: 9, '
    declared = f"!24 = {type_}flags: DIFlagFwdDecl)\n"
    defined = f"!24 = distinct {type_}size: 64, elements: !21)\n"
    one = module(function(30, "f", 10, type_="!20"), types=held + declared)
    other = module(function(30, "g", 10, type_="!20"), types=held + defined)
    normalise([one, other], directory="/home/me")
    for made in (one, other):
        assert any('name: "s"' in body for body in made.metadata.values())
        assert not any('name: "next"' in body for body in made.metadata.values())


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


def test_folder_and_checksums_are_placeholders() -> None:
    files = [
        body
        for sum_ in ("0123456789abcdef", "fedcba9876543210")
        for made in [normalised(function(30, "f", 10), head=HEAD.replace("0123456789abcdef", sum_))]
        for body in map(made.metadata.__getitem__, made.metadata)
        if body.startswith("!DIFile(")
    ]
    assert len(files) == 2
    assert files[0] == files[1]
    assert DIRECTORY_PLACEHOLDER in files[0]
    assert "0123456789abcdef" not in files[0]


def test_names_of_one_file_have_one_placeholder() -> None:
    again = '!90 = !DIFile(filename: "/home/me/a.c", directory: "", checksumkind: CSK_MD5, checksum: "SUM")\n'
    again = again.replace("SUM", "0123456789abcdef" * 2)
    code, nodes = function(30, "f", 10)
    made = normalised(
        (code, nodes.replace("file: !1, line: 11", "file: !90, line: 11")), types=STRUCT + again
    )
    assert made.debug is not None
    assert len(made.debug.checksums) == 1


def test_older_dwarf_keeps_folder_and_checksums() -> None:
    made = normalised(function(30, "f", 10), head=HEAD.replace("i32 5}", "i32 4}"))
    assert made.debug is not None
    assert not made.debug.checksums
    assert any('"/home/me"' in body for body in map(made.metadata.__getitem__, made.metadata))


def test_what_is_not_understood_stays_as_it_is() -> None:
    code, nodes = function(30, "f", 10)
    nodes = nodes.replace("!33)", "!1)")  # in a file, and in no function
    made = normalised((code, nodes))
    assert made.debug is None
    assert made.metadata["!32"] == "!DILocation(line: 13, column: 5, scope: !1)"
    assert text(made, "f") == code


def test_lines_beyond_all_encodings_keep_all_lines_real() -> None:
    with pytest.raises(FarLines):
        Normaliser(HEAD + function(30, "f", 200_000_000)[1], {})
    near, far = module(function(30, "f", 10)), module(function(30, "g", 200_000_000))
    normalise([near, far], directory="/home/me")
    for made in near, far:
        assert made.debug is not None and not made.debug.relative
    assert "line: 13" in text(near, "f")


def test_places_are_packed() -> None:
    places = LineMap((("a.c", "f"), ("b.c", "g#2")), (("a.c", "!123"),))
    assert LineMap.decode(places.encode()) == places
    assert places.decode_line(encode(1, -3)) == (-3, "g#2")
    assert places.declared(ordinal(0)) == ("a.c", "!123")
    assert not LineMap()
    assert LineMap.decode(LineMap().encode()) == LineMap()


def test_nodes_of_a_group_are_spelled_on_demand() -> None:
    nodes = Nodes()
    nodes.add("!1", "!{}")
    head = "!" + "7" * 20
    nodes.add_group(head, "first(\0" + "!\0" + "0001)\nsecond(!\0" + "0000)".replace("\0", ""))
    assert nodes[f"{head}0001"] == f"second({head}0000)"
    assert nodes["!1"] == "!{}"
    assert "!2" not in nodes


def test_compilation_directory() -> None:
    assert compilation_directory(HEAD) == "/home/me"
    assert compilation_directory("!0 = !{}\n") == ""
