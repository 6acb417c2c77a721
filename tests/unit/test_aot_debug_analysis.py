"""What one module's debug information says by itself."""

from debug_text import HEAD, function

from nativecache.aot.debug.analysis import analyse

TEXT = HEAD + function(30, "f", 10)[1]


def test_lines_are_to_be_encoded_where_they_are_real() -> None:
    read = analyse(TEXT, {"!30": "f"}, directory="/home/me")
    assert read.ranges.first == {"f": 10} and read.files.checksums


def test_real_lines_need_neither_ranges_nor_placeholders() -> None:
    read = analyse(TEXT, {"!30": "f"}, relative=False, directory="/home/me")
    assert not read.ranges.places and not read.files.checksums
