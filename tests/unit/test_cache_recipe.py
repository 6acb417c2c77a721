"""A recipe's digest and its text name the same fields, and both differ where any field does."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nativecache.cache.recipe import Begun, Recipe

FIELDS = st.lists(
    st.tuples(
        st.sampled_from(("a", "b", "ab")), st.one_of(st.text("ab '\n\0", max_size=4), st.binary(max_size=3))
    )
)


def hashed(recipe: Recipe) -> list[tuple[str, bytes]]:
    """The fields that are in what is hashed, read back."""
    data, found = b"".join(recipe.encoded()), []
    while data:
        head, _, data = data.partition(b"\0")
        name, size = head.decode().split(" ")
        found.append((name, data[: int(size)]))
        data = data[int(size) :]
    return found


def test_the_form_is_what_the_first_line_says() -> None:
    assert b"".join(Recipe(("one", "a\udcff"), ("two", b"\0")).encoded()) == b"one 2\0a\xfftwo 1\0\0"


@given(FIELDS)
def test_what_is_hashed_can_be_read_back(fields: list[tuple[str, str | bytes]]) -> None:
    bytes_of = [(name, value if isinstance(value, bytes) else value.encode()) for name, value in fields]
    assert hashed(Recipe(*fields)) == bytes_of


@given(FIELDS, FIELDS)
def test_digests_and_texts_differ_where_fields_do(
    one: list[tuple[str, str | bytes]], other: list[tuple[str, str | bytes]]
) -> None:
    first, second = Recipe(*one), Recipe(*other)
    assert (first.key() == second.key()) == (hashed(first) == hashed(second))
    assert (first.text() == second.text()) == (one == other)


def test_bytes_that_move_across_a_boundary_make_another_key() -> None:
    recipes = [
        Recipe(("a", "xy"), ("b", "z")),
        Recipe(("a", "x"), ("b", "yz")),
        Recipe(("a", "xyz"), ("b", "")),
        Recipe(("a", "xyz")),
        Recipe(("a", "x"), ("a", "y"), ("b", "z")),
        Recipe(("a", "xyb 1\0z")),
        Recipe(("b", "z"), ("a", "xy")),
    ]
    assert len({recipe.key() for recipe in recipes}) == len({recipe.text() for recipe in recipes}) == 7


def test_a_view_counts_as_its_bytes() -> None:
    one, other = Recipe(("a", memoryview(b"xyz")[1:])), Recipe(("a", b"yz"))
    assert one.key() == other.key() and one.text() == other.text()
    assert one.key() == one.digest().hex()


def test_people_see_short_texts_and_digests_of_the_rest() -> None:
    lines = (
        Recipe(("a", "2 words"), ("b", b"x"), ("c", "x" * 999), ("d", "\n"), ("e", "")).text().splitlines()
    )
    assert lines[0] == "a: 2 words" and lines[3:] == ["d: '\\n'", "e: "]
    assert all(re.fullmatch(r"[bc]: sha256 [0-9a-f]{64}", line) for line in lines[1:3])


@pytest.mark.parametrize("name", ["", "a b", "a\0", "a:", "a\n"])
def test_a_name_cannot_be_taken_for_more(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        Recipe((name, "")).key()


def test_what_is_hashed_once_makes_the_same_key() -> None:
    begun = Begun(Recipe(("a", "1"), ("b", b"2")))
    for last in ("3", "4"):
        assert begun.key(("c", last)) == Recipe(("a", "1"), ("b", b"2"), ("c", last)).key()
