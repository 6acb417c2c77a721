"""Content tokens."""

from nativecache.aot.debug.tokens import TextTokens, Tokens, digits, respell


def upper(node: str) -> str:
    return f"<{node}>"


def test_a_digest_is_a_number_of_twenty_digits() -> None:
    assert len(digits("a")) == 20 and digits("a").isdigit() and digits("a") != digits("b")


def test_nodes_in_strings_are_none() -> None:
    assert respell('!T(a: !1, name: "!2", b: !34)', upper) == '!T(a: <!1>, name: "!2", b: <!34>)'


def test_equal_nodes_have_one_token_unless_they_are_distinct() -> None:
    tokens = Tokens()
    assert tokens.add("!{}") == tokens.add("!{}")
    first, second = tokens.add_distinct("distinct !{}"), tokens.add_distinct("distinct !{}")
    assert first != second and tokens.nodes[first] == tokens.nodes[second] == "distinct !{}"
    again = Tokens()
    assert [again.add_distinct("distinct !{}") for _ in range(2)] == [first, second]


def test_text_has_known_locations_and_asks_once_for_other_nodes() -> None:
    asked = []

    def name(node: str) -> str:
        asked.append(node)
        return "!900"

    tokens = TextTokens({"!1": "!DILocation(line: 3)"}, name)
    assert (
        tokens.spell("ret void, !dbg !1, !x !2, !y !2")
        == "ret void, !dbg !DILocation(line: 3), !x !900, !y !900"
    )
    assert tokens.spell('call "!2", !dbg !2') == 'call "!2", !dbg !900'
    assert asked == ["!2"]
