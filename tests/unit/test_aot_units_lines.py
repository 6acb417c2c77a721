"""Lines in the debug information of units: encoded ones, and those of the sources."""

import pytest

from nativecache.aot.ir.debug_info import RELATIVE, DebugInfo
from nativecache.aot.units.lines import EncodedLines, LinesOutOfRange, RealLines, write_lines
from nativecache.linker.lines import DIRECTORY_PLACEHOLDER, REACH

DEBUG = DebugInfo(ranges={"f": 40}, lines={"!a": 7}, named={"k": 12}, checksums={b"\x01" * 16: b"\x02" * 16})


def test_encoded_lines_are_told_by_the_line_map() -> None:
    lines = EncodedLines()
    first, again, other = (lines.line("m.c", key, 3) for key in ("f", "f", "g"))
    assert first == again != other
    found = lines.line_map
    assert found.ranges == (("m.c", "f"), ("m.c", "g"))
    assert [found.decode_line(line) for line in (first, other)] == [(3, "f"), (3, "g")]
    lines.declared("m.c", "!a")
    assert lines.line_map.lines == (("m.c", "!a"),)
    lines.named("m.c", "k")
    assert lines.line_map.names == (("m.c", "k"),)


def test_a_line_too_far_from_its_range_cannot_be_encoded() -> None:
    with pytest.raises(LinesOutOfRange):
        EncodedLines().line("m.c", "f", REACH)


def test_a_line_that_looks_like_an_encoded_one_is_refused() -> None:
    EncodedLines().check("!DILocation(line: 999999, column: 1)")
    with pytest.raises(LinesOutOfRange):
        EncodedLines().check("!DILocation(line: 1000000, column: 1)")
    RealLines({}, "").check("!DILocation(line: 1000000, column: 1)")


def test_real_lines_are_those_of_the_sources() -> None:
    lines = RealLines({"m.c": DEBUG}, "/src")
    assert lines.line("m.c", "f", 2) == 42
    assert lines.declared("m.c", "!a") == 7
    assert not lines.line_map
    assert lines.finish(f'"{DIRECTORY_PLACEHOLDER}" {"01" * 16}') == f'"/src" {"02" * 16}'


def test_relative_lines_count_from_a_key_or_from_the_scope_that_follows() -> None:
    lines = RealLines({"m.c": DEBUG}, "")
    text = f"line: 1{RELATIVE}{RELATIVE}f{RELATIVE} line: 2{RELATIVE}, column: 3, scope: !9)"
    assert write_lines(text, "m.c", {"!9": "f"}, lines) == "line: 41 line: 42, column: 3, scope: !9)"
