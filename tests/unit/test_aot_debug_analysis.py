"""What one module's debug information says by itself."""

from debug_text import HEAD, function

from nativecache.aot.debug.analysis import analyse
from nativecache.aot.ir.debug_info import LineMap

TEXT = HEAD + function(30, "f", 10)[1]


def test_lines_are_to_be_encoded_where_they_are_real() -> None:
    read = analyse(TEXT, {"!30": "f"}, directory="/home/me")
    assert read.ranges.first == {"f": 10} and read.files.checksums


def test_real_lines_need_neither_ranges_nor_placeholders() -> None:
    read = analyse(TEXT, {"!30": "f"}, relative=False, directory="/home/me")
    assert not read.ranges.places and not read.files.checksums


def test_encoded_lines_have_their_ranges_in_the_line_map() -> None:
    line_map = LineMap((("a.c", "f"),))
    read = analyse(TEXT, {"!30": "f"}, directory="/home/me", line_map=line_map)
    assert not read.ranges.places and read.line_map is line_map
