"""Lines in names that become keys."""

from nativecache.aot.debug.names import hide_lines_in_names
from nativecache.aot.ir.debug_info import IN_NAME


def named(line: int | str, column: int = 3, file: str = "a.cpp") -> str:
    return f'!7 = !DICompositeType(name: "(lambda at {file}:{line}:{column})")'


def key(number: int, column: int = 3, file: str = "a.cpp") -> str:
    return named(f"{IN_NAME}{file}:{column}:{number}{IN_NAME}", column, file)


def test_lines_of_one_column_are_numbered_in_their_order() -> None:
    nodes = "\n".join([named(100), named(20), named(7, 4), named(20)])
    text, lines = hide_lines_in_names(nodes)
    assert text.split("\n") == [key(1), key(0), key(0, 4), key(0)]
    assert lines == {"a.cpp:3:0": 20, "a.cpp:3:1": 100, "a.cpp:4:0": 7}


def test_a_name_stays_when_lines_move() -> None:
    assert hide_lines_in_names(named(5))[0] == hide_lines_in_names(named(50))[0]


def test_lines_too_large_and_names_without_lines_stay() -> None:
    for text in named(12_345_678), "!7 = !{}", "look at this":
        assert hide_lines_in_names(text) == (text, {})
