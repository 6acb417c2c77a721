"""Texts rewritten with a unit's own tokens."""

from nativecache.aot.ir.module import index_module
from nativecache.aot.units.lines import EncodedLines
from nativecache.aot.units.program import Definitions
from nativecache.aot.units.rewrite import SHARED_TEXT, Pieces, Rewriter


def source() -> Definitions:
    return Definitions(index_module("", "m.c"), {}, frozenset(), "m.c")


def split(text: str) -> Pieces:
    return Rewriter(lambda _source, token, _level, _count: token, EncodedLines()).pieces(source(), text)


def test_tokens_are_names_numbers_of_groups_and_nodes_and_strings() -> None:
    pieces = split('call %t @f(ptr @"a b", i32 %3) #1, !x !7, c"s"')
    assert pieces.different == ("%t", "@f", '@"a b"', "#1", "!7", '"s"')
    assert pieces.join({token: token for token in pieces.different}).endswith('!x !7, c"s"')


def test_short_texts_are_split_once() -> None:
    short, long = "@f " * 9, "@f " * SHARED_TEXT
    assert split(short) is split(short)
    assert split(long) is not split(long)


def test_each_token_is_resolved_once_and_told_how_near_it_is() -> None:
    asked: list[tuple[str, int]] = []

    def resolve(_source: Definitions, token: str, level: int, _count: int | None) -> str:
        asked.append((token, level))
        return f"@nc.{len(asked)}"

    rewriter, text = Rewriter(resolve, EncodedLines()), source()
    assert rewriter.rewrite(text, "@g(@h, @g)", frozenset(("@g",)), 2) == "@nc.1(@nc.2, @nc.1)"
    assert rewriter.token(text, "@h") == "@nc.2"
    assert asked == [("@g", 2), ("@h", -2)]
    assert rewriter.known(text) == {"@g": "@nc.1", "@h": "@nc.2"}


def test_two_modules_have_tokens_of_their_own() -> None:
    rewriter = Rewriter(lambda source, token, _level, _count: f"{token}.{source.label}", EncodedLines())
    one, two = source(), Definitions(index_module("", "n.c"), {}, frozenset(), "n.c")
    assert [rewriter.rewrite(each, "@f") for each in (one, two)] == ["@f.m.c", "@f.n.c"]
