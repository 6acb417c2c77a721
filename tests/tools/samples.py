"""Small programs that several test files edit: by name of the file, its text, headers first.

One in C: a table of items over two files. One in C++: a stack template and shapes with virtual functions.
"""

from harness import PROGRAMS


def read_program(folder: str, *names: str) -> dict[str, str]:
    """Files of a folder of tests/programs with their texts, in this order."""
    return {name: (PROGRAMS / folder / name).read_text() for name in names}


C_FILES = read_program("table", "table.h", "table.c", "main.c")
CXX_FILES = read_program("stack", "shapes.h", "shapes.cpp", "main.cpp")
TABLE, MAIN = C_FILES["table.c"], C_FILES["main.c"]
