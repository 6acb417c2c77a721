"""Where the lines of functions count from."""

import pytest
from debug_text import HEAD, STRUCT, analysed, function, normalised, text

from nativecache.aot.debug.analysis import analyse
from nativecache.aot.debug.errors import FarLines
from nativecache.aot.debug.ranges import Ranges


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


def test_a_range_begins_with_its_function() -> None:
    read = analysed(function(30, "f", 10), function(50, "g", 20))
    assert read.ranges.places == {("!30", "!1"): ("f", 10), ("!50", "!1"): ("g", 20)}
    assert read.ranges.first == {"f": 10, "g": 20}


def test_files_of_one_name_are_told_apart() -> None:
    files = "".join(f'!9{n} = !DIFile(filename: "x.h", directory: "/{n}")\n' for n in range(2))
    more = "".join(
        f"!3{n + 4} = distinct !DILexicalBlock(scope: !30, file: !9{n}, line: {n + 5}, column: 1)\n"
        for n in range(2)
    )
    read = analysed(function(30, "f", 10, more=more), types=STRUCT + files)
    assert read.ranges.first == {"f": 10, "f/x.h": 5, "f/x.h'": 6}


def test_calls_that_were_inlined_may_be_all_that_is_left_of_a_file() -> None:
    types = STRUCT + '!90 = !DIFile(filename: "part.def", directory: "/home/me")\n'
    more = """\
!34 = !DILexicalBlockFile(scope: !33, file: !90, discriminator: 0)
!35 = distinct !DILocation(line: 8, scope: !34)
!36 = distinct !DILocation(line: 7, scope: !34)
!37 = !DILocation(line: 3, scope: !33, inlinedAt: !35)
!38 = !DILocation(line: 3, scope: !33, inlinedAt: !36)
"""
    assert analysed(function(30, "f", 10, more=more), types=types).ranges.first == {"f": 10, "f/part.def": 7}
    made = normalised(function(30, "f", 10, more=more), types=types)
    assert made.debug is not None


def test_scopes_have_the_keys_of_their_ranges() -> None:
    read = analysed(function(30, "f", 10))
    assert read.functions.members["!30"] == ["!30", "!33", "!31"]
    assert read.ranges.scope_keys(read.functions, "!30") == ["f", "f", ""]
    assert Ranges().scope_keys(read.functions, "!30") == ["", "", ""]


def test_lines_that_no_object_has_room_for() -> None:
    with pytest.raises(FarLines):
        analyse(HEAD + function(30, "f", 200_000_000)[1], {})
    analyse(HEAD + function(30, "f", 200_000_000)[1], {}, relative=False)
