"""Lines in functions, and lines of declarations."""

import pytest

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.lines import DeclarationLines, FunctionLines
from nativecache.aot.debug.ranges import Ranges
from nativecache.aot.ir.debug_info import ELSEWHERE, RELATIVE

RANGES = Ranges({("!30", "!1"): ("f", 10)}, {"f": 10})


def spelled(offset: int, key: str) -> str:
    return f"{offset}{RELATIVE}{RELATIVE}{key}{RELATIVE}"


def test_lines_count_from_the_first_of_their_range() -> None:
    lines = FunctionLines(RANGES, relative=True)
    assert lines.spell("!30", "!1", "13") == spelled(3, "f")
    assert lines.spell("!30", "!1", "0") == "0"


def test_a_line_of_no_range_is_refused() -> None:
    with pytest.raises(Unsupported, match="no other line"):
        FunctionLines(RANGES, relative=True).spell("!30", "!2", "13")


def test_real_lines_stay() -> None:
    assert FunctionLines(Ranges(), relative=False).spell("!30", "!1", "13") == "13"


def test_lines_of_declarations_are_kept_by_token() -> None:
    lines = DeclarationLines(relative=True)
    assert lines.hide("!T(file: !1, line: 7, size: 3)") == f"!T(file: !1, line: {ELSEWHERE}, size: 3)"
    assert lines.hide("!T(file: !1)") == "!T(file: !1)"
    lines.keep("!9", "!T(file: !1, line: 7)")
    lines.keep("!8", "!T(file: !1)")
    assert lines.lines == {"!9": 7, "!8": 0}


def test_real_lines_of_declarations_are_not_hidden() -> None:
    body = "!T(file: !1, line: 7)"
    assert DeclarationLines(relative=False).hide(body) == body
