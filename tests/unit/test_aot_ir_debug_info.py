"""What is known of normalised debug information."""

import pytest

from nativecache.aot.ir.debug_info import LineMap, Nodes, Types, TypeUnit
from nativecache.linker.lines import encode


def test_a_line_map_comes_back_from_its_text() -> None:
    line_map = LineMap((("a.c", "f"), ("b.c", "g#2")), (("a.c", "!123"),), (("a.c", "a.c:3:0"),))
    assert LineMap.decode(line_map.encode()) == line_map
    assert line_map.decode_line(encode(1, -3)) == (-3, "g#2")
    assert not LineMap() and line_map
    assert LineMap.decode(LineMap().encode()) == LineMap()
    assert LineMap.labels(line_map.encode()) == {"a.c", "b.c"} and not LineMap.labels("")


def test_nodes_of_a_group_are_spelled_on_demand() -> None:
    nodes = Nodes()
    nodes.add("!1", "!{}")
    head = "!" + "7" * 20
    nodes.add_group(head, "first(\0" + "!\0" + "0001)\nsecond(!\0" + "0000)".replace("\0", ""))
    assert list(nodes) == ["!1"]
    assert nodes[f"{head}0001"] == f"second({head}0000)"
    assert nodes["!1"] == "!{}"
    assert "!2" not in nodes and len(nodes) == 3
    with pytest.raises(KeyError):
        nodes["!2"]


def test_types_are_written_once_when_they_are_asked_for() -> None:
    written = []

    def write() -> TypeUnit:
        written.append(1)
        return TypeUnit("text", (1, 2), (3,))

    types = Types(write)
    assert not written
    assert (types.text, types.lines, types.named) == ("text", (1, 2), (3,)) and len(written) == 1
