"""Metadata of units: types as alias analysis knows them."""

import re

import pytest
from harness import TESTS
from pipeline import LIMITS, Pipeline, key, resolved, resolved_with_debug, unit, with_bodies

from nativecache.aot.codegen.llvm import read_module
from nativecache.aot.ir.module import index_module
from nativecache.aot.units import metadata
from nativecache.aot.units.extract import UnitText

#: Two types of one layout as alias analysis sees them: "A" and "B".
ALIAS_TYPES = """\
!0 = !{!1, !2, i64 0}
!1 = !{!"A", !2, i64 0, !7, i64 8}
!2 = !{!"int", !3, i64 0}
!3 = !{!"omnipotent char", !4, i64 0}
!4 = !{!"Simple C/C++ TBAA"}
!5 = !{!6, !2, i64 0}
!6 = !{!"B", !2, i64 0, !7, i64 8}
!7 = !{!"vtable pointer", !4, i64 0}
"""


def stores(name: str, *types: str) -> str:
    """A function that writes through its argument as each of some types (`!0` is A, `!5` is B)."""
    lines = "".join(f"  store volatile i32 {n}, ptr %p, !tbaa {tag}\n" for n, tag in enumerate(types))
    return f"define void @{name}(ptr %p) {{\n{lines}  ret void\n}}\n"


def alias_types(text: UnitText) -> list[str]:
    """The type of each store of a unit in order, as its node is printed."""
    module = index_module(text.text, "")
    tags = re.findall(r"!tbaa (!\d+)", text.text)
    return [module.metadata[module.metadata[tag][2:].partition(",")[0]] for tag in tags]


@pytest.mark.parametrize(("old", "new"), [('"A"', '"_ZTS6Longer"'), ('"int"', '"long"'), ('"A"', '"t.0"')])
def test_renamed_alias_types_are_the_same(old: str, new: str) -> None:
    text = stores("work", "!0", "!5") + ALIAS_TYPES
    ours, theirs = unit(resolved(text), "work"), unit(resolved(text.replace(old, new)), "work")
    assert ours.text == theirs.text
    assert len(set(alias_types(ours))) == 2


def test_alias_types_that_become_one_make_another_unit() -> None:
    text = stores("work", "!0", "!5") + ALIAS_TYPES
    one = unit(resolved(text.replace('"B"', '"A"')), "work")
    assert key(one) != key(unit(resolved(text), "work"))
    assert len(set(alias_types(one))) == 1


@pytest.mark.parametrize("name", ["vtable pointer", "omnipotent char", "Simple C/C++ TBAA"])
def test_alias_types_with_a_meaning_keep_their_names(name: str) -> None:
    text = stores("work", "!0", "!5") + ALIAS_TYPES
    assert f'!"{name}"' in unit(resolved(text), "work").text
    assert key(unit(resolved(text), "work")) != key(unit(resolved(text.replace(name, "x")), "work"))


def test_alias_types_keep_their_names_where_units_meet() -> None:
    program = resolved(stores("work", "!5", "!0") + ALIAS_TYPES)
    (only,) = program.units
    text = program.extract(only, keep_types=True)
    assert [node[3:6] for node in alias_types(text)] == ['"B"', '"A"']


def test_alias_types_of_imported_bodies_are_those_of_their_files() -> None:
    calls = "declare void @one(ptr)\ndeclare void @two(ptr)\n" + stores("caller", "!0", "!5")
    calls = calls.replace("  ret", "  call void @one(ptr %p)\n  call void @two(ptr %p)\n  ret")
    # In the second file B comes first, so each file alone would number them the other way round.
    files = [calls + ALIAS_TYPES, stores("one", "!5") + ALIAS_TYPES, stores("two", "!0") + ALIAS_TYPES]
    text = unit(with_bodies(*files), "caller", LIMITS)
    assert text.imported == ("one", "two")
    a, b, second, third = alias_types(text)
    assert (a, b) == (third, second) and a != b


# Nodes of debug information


def every_text(made: Pipeline) -> list[UnitText]:
    return [made.extract(each) for each in made.units]


def described_programs() -> list[Pipeline]:
    """The golden programs that have debug information."""
    golden = sorted((TESTS / "golden" / "extract").glob("*.ll"))
    printed = [(path.name, read_module(path.read_bytes())) for path in golden if "!DI" in path.read_text()]
    return [resolved_with_debug([each]).simplify(LIMITS) for each in printed]


def test_nodes_are_written_alike_whether_they_are_kept_split(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = described_programs()
    assert programs
    quick = list(map(every_text, programs))
    monkeypatch.setattr(metadata, "SHARED_NODE", 0)
    assert quick == list(map(every_text, programs))


def test_lines_that_have_the_key_of_their_range_are_tokens_of_a_kept_node() -> None:
    node = "distinct !DILexicalBlock(scope: !1, file: !2, line: 3\1\1f\1, column: 4)"
    pieces = metadata._plain_node(node)
    assert pieces is not None and pieces.different == ("!1", "!2", "3\1\1f\1")
    lined = metadata._plain_node('!DILabel(scope: !1, name: "line: 3", file: !2, line: -3\1\1f\1)')
    assert lined is not None and lined.different == ("!1", "!2", "-3\1\1f\1")


@pytest.mark.parametrize(
    "node",
    [
        "distinct !{!1, !DILocation(line: 3\1, column: 3, scope: !2)}",  # its range is that of its scope
        '!DICompositeType(name: "s", scope: \2f\2)',
        'distinct !DIGlobalVariable(name: "v", line: \3)',
        '!DICompositeType(name: "(lambda at a.cpp:\4k\4:3)")',
        "distinct !DICompileUnit(language: DW_LANG_C11, file: !1)",
    ],
)
def test_nodes_that_depend_on_their_unit_are_not_kept(node: str) -> None:
    assert metadata._plain_node(node) is None
