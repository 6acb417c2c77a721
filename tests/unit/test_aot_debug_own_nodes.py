"""Functions' own nodes, named as one."""

import pytest
from debug_text import STRUCT, analysed, function

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.naming import Naming


def named(*functions: tuple[str, str], types: str = STRUCT) -> Naming:
    naming = Naming(analysed(*functions, types=types), frozenset())
    naming.own_nodes.name_all()
    return naming


def test_one_digest_and_a_rank_each() -> None:
    naming = named(function(30, "f", 10))
    tokens = [naming.name(n) for n in ("!30", "!33", "!31")]
    assert {token[:21] for token in tokens} == {tokens[0][:21]}
    assert [token[21:] for token in tokens] == ["0000", "0001", "0002"]
    block = naming.tokens.nodes[tokens[1]]
    assert block.startswith(f"distinct !DILexicalBlock(scope: {tokens[0]}, file: {naming.name('!1')}, ")


def test_what_is_known_by_token() -> None:
    naming = named(function(30, "f", 10, type_="!20"))
    own = naming.own_nodes
    assert own.scopes == {naming.name("!30"): "f", naming.name("!33"): "f"}
    assert own.owners == {"f": (naming.name("!30"), naming.name("!1"))}
    assert own.sizes == {naming.name("!31"): (naming.name("!20"), "64")}


def test_any_node_names_its_whole_function() -> None:
    naming = Naming(analysed(function(30, "f", 10), function(50, "g", 20)), frozenset())
    naming.name("!33")
    assert {"!30", "!31", "!33"} <= naming.tokens.by_node.keys()
    assert "!50" not in naming.tokens.by_node


def test_other_kinds_are_spelled_with_lines_of_their_range() -> None:
    label = '!34 = !DILabel(scope: !33, name: "l", file: !1, line: 14)\n'
    one, moved = (
        named(function(30, "f", 10, more=label)),
        named(function(30, "f", 10, more=label.replace("14", "15"))),
    )
    assert one.name("!34") != moved.name("!34")
    assert 'name: "l"' in one.tokens.nodes[one.name("!34")]


def test_too_many_nodes_are_refused() -> None:
    more = "".join(
        f"!{n} = distinct !DILexicalBlock(scope: !30, file: !1, line: 11, column: 3)\n"
        for n in range(100, 10_098)
    )
    with pytest.raises(Unsupported, match="too many"):
        named(function(30, "f", 10, more=more))
