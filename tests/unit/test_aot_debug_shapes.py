"""Types of one name that are not the same in all modules."""

import random
import re
from functools import partial

import pytest
from debug_text import STRUCT, analysed, function, module, text

from nativecache.aot.debug.normalise import normalise
from nativecache.aot.debug.shapes import (
    Shape,
    are_as_ambiguous,
    digest_shapes,
    find_ambiguous,
    find_doubtful,
    find_shapes,
)


def test_types_of_one_name_that_differ_stay_whole() -> None:
    one, other = (
        module(function(30, "f", 10)),
        module(function(30, "g", 10), types=STRUCT.replace('"next"', '"previous"')),
    )
    one, other = normalise([one, other], directory="/home/me")
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
    one, other = normalise([one, other], directory="/home/me")
    for made in (one, other):
        assert any('name: "s"' in body for body in made.metadata.values())
        assert not any('name: "next"' in body for body in made.metadata.values())


def test_a_type_is_ambiguous_if_one_that_it_names_is() -> None:
    def shapes(inner: str) -> dict[str, Shape]:
        return {
            "outer": Shape("o", frozenset({"middle"})),
            "middle": Shape("m", frozenset({"inner"})),
            "inner": Shape(inner),
            "other": Shape("x"),
        }

    assert find_ambiguous([shapes("i"), shapes("j")]) == {"outer", "middle", "inner"}
    assert find_ambiguous([shapes("i"), shapes("i")]) == set()
    assert find_ambiguous([shapes("i")]) == set()
    assert find_ambiguous([{"a": Shape("")}, {"b": Shape("")}]) == {"a", "b"}


def test_a_shape_is_without_places_and_names_other_types() -> None:
    shape = find_shapes(analysed(function(30, "f", 10)))["s"]
    moved = find_shapes(analysed(function(30, "f", 10), types=STRUCT.replace("line: 4", "line: 9")))["s"]
    assert shape == moved and "line" not in shape.text
    held = STRUCT.replace("baseType: !20, size", "baseType: !24, size")
    held += '!24 = !DICompositeType(tag: DW_TAG_structure_type, name: "t", flags: DIFlagFwdDecl)\n'
    assert find_shapes(analysed(function(30, "f", 10), types=held))["s"].names == {"t"}


def test_a_type_with_linkage_is_told_by_its_place() -> None:
    linked = STRUCT.replace('name: "s"', 'name: "s", identifier: "_ZTS1s"')
    assert find_shapes(analysed(function(30, "f", 10), types=linked))["s"] == Shape("a.c ['3', '64']")


@pytest.mark.parametrize(
    ("fields", "expression", "same"),
    [
        ("isLocal: false", "!DIExpression()", True),
        ("isLocal: true", "!DIExpression()", False),
        ("isLocal: true", "!DIExpression(DW_OP_constu, 3, DW_OP_stack_value)", True),
    ],
    ids=["shared", "local", "constant"],
)
def test_local_variables_of_one_name_are_others(fields: str, expression: str, same: bool) -> None:
    types = f"""{STRUCT}\
!24 = !DIGlobalVariableExpression(var: !25, expr: {expression})
!25 = distinct !DIGlobalVariable(name: "v", scope: !0, file: !1, line: 2, type: !5, {fields})
"""
    one, other = (analysed(function(30, "f", 10), types=types) for _ in range(2))
    assert ("=v" not in find_ambiguous([find_shapes(one), find_shapes(other)])) is same


def test_what_was_ambiguous_is_so_after_an_edit() -> None:
    """Programs of random shapes, edited at random: where it is said to be, it is."""
    told, kept = random.Random(7), 0
    names = [*"abcdef"]

    def shape() -> Shape:
        text = told.choice(["", "variable own", "x", "y", *["z"] * 8])
        below = told.sample(names, told.choice([0, 0, 0, 1, 2]))
        return Shape(text, frozenset(below if text not in ("", "variable own") else ()))

    for _ in range(3000):
        before = [{name: shape() for name in told.sample(names, told.randrange(4))} for _ in range(3)]
        if told.randrange(2):
            same = {name: Shape("z") for name in names}
            before = [{name: same[name] for name in module} for module in before]
        after = [dict(module) for module in before]
        name, new = told.choice(names), shape()
        changed = told.sample(range(3), told.randrange(1, 4))
        for i in changed:
            if told.randrange(8):
                after[i][name] = new if told.randrange(8) else shape()
            else:
                after[i].pop(name, None)
        ambiguous = find_ambiguous(before)
        now = {i: (digest_shapes(after[i]), find_doubtful(after[i], ambiguous)) for i in changed}
        if are_as_ambiguous([*map(digest_shapes, before)], now, partial(frozenset, ambiguous)):
            kept += before != after
            assert find_ambiguous(after) == ambiguous, (before, after)
    assert kept > 500
