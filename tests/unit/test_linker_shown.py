"""Names are shown so that neither a terminal nor a reader of lines takes them for something else."""

import os
from pathlib import Path

import pytest
from harness import needs_clang
from rules import Build, write

from nativecache.linker.shown import shown, shown_lines


@pytest.mark.parametrize(
    ("name", "as_shown"),
    [
        ("plain name é 名", "plain name é 名"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nnativecache: up to date", "a\\nnativecache: up to date"),
        ("\r\t\x7f\x9b", "\\r\\t\\x7f\\x9b"),
        (os.fsdecode(b"\xff.c"), "\\xff.c"),
        ("\u202egnp\u2066", "\\u202egnp\\u2066"),
        ("\u2028\ue000\U000e0041", "\\u2028\\ue000\\U000e0041"),
    ],
)
def test_a_name_is_one_line_of_printable_characters(name: str, as_shown: str) -> None:
    assert shown(name) == as_shown


def test_what_tools_say_keeps_lines_tabs_and_colours() -> None:
    text = "a.c:1:\t\x1b[0;1;31merror: \x1b[0mno\n\x1b]0;title\x07\x1b[2Jx\r\n"
    assert shown_lines(text) == "a.c:1:\t\x1b[0;1;31merror: \x1b[0mno\n\\x1b]0;title\\x07\\x1b[2Jx\n"


#: A name that would colour a terminal, begin a line, and be markup; and one that is no UTF-8.
NAMES = ("a\x1b[31m\nb[x] $'\"#\\%s", os.fsdecode(b"\xff\xfe" + b"x" * 200))


@needs_clang
@pytest.mark.parametrize("name", NAMES, ids=["controls", "bytes"])
def test_any_name_of_a_file_is_built(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.c").write_text("int f(int a) { return a; }\nint main(void) { return f(0); }\n")
    for words in (("-g", "-v", "--timings"), ("--emit=archive",), ("--emit=asm",)):
        result = Build.start(tmp_path, tmp_path, f"{name}.c", *words, "-o", name).result()
        assert result.stdout.replace("\n", "").isprintable()
        assert (tmp_path / name).stat().st_size
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def failure(space: Path, *words: str) -> str:
    """What a build says that fails."""
    build = Build.start(space, space, *words)
    build.process.join()
    assert build.process.exitcode in (1, 2, 3)
    return build.log.read_text()


def test_a_file_that_is_missing_is_one_line(tmp_path: Path) -> None:
    assert (
        failure(tmp_path, "a\nb\x1b[2J.ll")
        == "nativecache: error: a\\nb\\x1b[2J.ll: No such file or directory\n"
    )


def test_control_characters_of_symbols_do_not_reach_the_terminal(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.ll": 'declare void @"gone\\1B[2J\\0Aerror: x"()\n'
            'define void @"f[/x]\\1B[2J"() {\n  call void @"gone\\1B[2J\\0Aerror: x"()\n  ret void\n}\n'
            'define i32 @main() {\n  call void @"f[/x]\\1B[2J"()\n  ret i32 0\n}\n',
        },
    )
    said = failure(tmp_path, "a.ll", "-o", "a", "--import-limit", "0")
    assert "undefined symbol: gone\\x1b[2J" in said and "\x1b" not in said
    (tmp_path / "a.ll").write_text(
        (tmp_path / "a.ll")
        .read_text()
        .replace("declare", "define")
        .replace('"()\ndefine', '"() {\n  ret void\n}\ndefine', 1)
    )
    words = ("a.ll", "-o", "a", "--import-limit", "0", "-v", "--timings")
    result = Build.start(tmp_path, tmp_path, *words).result()
    assert "compiled f[/x]\\x1b[2J in" in result.stdout and "\x1b" not in result.stdout
    assert "f[/x]\x1b[2J" in result.compiled
