"""Metadata of units: types as alias analysis knows them."""

import re

import pytest
from pipeline import LIMITS, key, resolved, unit, with_bodies

from nativecache.aot.ir.module import index_module
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
