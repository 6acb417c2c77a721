"""Names that sources ask for are found in their text, or it is said that they cannot be."""

import pytest

from nativecache.aot.front.questions import (
    Unclear,
    all_tokens,
    assembler_parts,
    depends_on_time,
    has_assembler_read,
    macro_definitions,
    names_asked_for,
    read_text,
)


def names(*texts: str) -> set[str]:
    return set(names_asked_for([read_text(text.encode()) for text in texts]))


@pytest.mark.parametrize(
    "text",
    [
        "#if __has_include(<a/b.h>)\n",
        ' # /* why? */ elif 1 && __has_include /* it */ ( "a/b.h" )\n',
        "#if defined(__has_include) && __has_include(<a/b.h>)\n",
        "%: if __has_embed(<a/b.h> limit(1))\n",
        "??=if __has_include_next(<a/b.h>)\n",
        "#if 1 && \\ \n __has_\\\r\ninclude(<a/b.h>)\n",
        "#if 1 /* so\n */ && __has_include(<a/b.h>)\n",
        "/*\n*/ #if __has_include(<a/b.h>)\n",
        'auto s = R"(/api/*)";\n#if __has_include(<a/b.h>)\n#endif // */\n',
        "#if 0\ndon't /*\n#endif\n#if __has_include(<a/b.h>)\n// */\n",
        "int x; // why ??/\n#if __has_include(<a/b.h>)\n",
        "#define HAS __has_include\n#if HAS(<a/b.h>)\n",
        "#define HAS(x) __has_include(x)\n#define TOO(...) HAS(__VA_ARGS__)\n#if TOO(<a/b.h>)\n",
        "#define HAVE (defined(__has_include) && __has_include(<a/b.h>))\n",
        "#ifndef __has_include\n#define __has_include(x) 0\n#endif\n#if __has_include(<a/b.h>)\n",
        "#define HAS(x) __has_include(x)\n#undef HAS\n#define HAS(x) 0\n#if HAS(<a/b.h>)\n",
        "#\0if\r__has_include(<c.h>)\r#if __has_include(<a/b.h>)\r",
        "\ufeff#if __has_include(<a/b.h>)\n",
        "\u00a0#\u3000if __has_include(<a/b.h>)\n",
    ],
)
def test_names(text: str) -> None:
    assert "a/b.h" in names(text)


def test_macros_of_other_files_and_of_the_command_line() -> None:
    assert names("#define HAS(x) __has_include(x)\n", "#if HAS(<a.h>)\n") == {"a.h"}
    passed_on = ("-Xpreprocessor", "-D", "-Xpreprocessor", "A=__has_include(<a.h>)")
    assert names(macro_definitions(passed_on).decode()) == {"a.h"}
    flags = ("-D", "A=__has_include(<a.h>)", "-DB(x)=__has_include(x)", "-Wp,-DC=B(<c.h>)", "-DD")
    assert names(macro_definitions(flags).decode(), "#if B(<b.h>)\n") == {"a.h", "b.h", "c.h"}


def test_a_macro_in_a_name() -> None:
    """In arguments macros are expanded, asked directly they are not."""
    has = "#define HAS(x) __has_include(x)\n"
    assert names(has + "#if HAS(<linux/a.h>)\n") == {"linux/a.h", "1/a.h"}
    assert names("#define ID(x) x\n#if ID(__has_include(<linux/a.h>))\n") == {"linux/a.h", "1/a.h"}
    assert names(has + "#define a b\n#if HAS(<a.h>)\n") == {"a.h", "b.h"}
    assert names("#define a b\n#if __has_include(<a.h>)\n") == {"a.h"}


@pytest.mark.parametrize(
    "text",
    [
        "#if __has_include(X)\n",
        "#if CALL(__has_include, <a.h>)\n",
        "#define HAS(x) __has_include(#x)\n",
        "#define HAS(x) __has_include(<x.h>)\n",
        "#define HAS(x, y) (__has_include(x) + __has_include(y))\n",
        "#define X(a) __has_##a\n#if X(include)(<a.h>)\n",
        "#define CAT(a, b) a%:%:b\n#if CAT(__has_, include)(<a.h>)\n",
        "#define HAS(x) __has_include(x)\n#define a b c\n#if HAS(<a.h>)\n",
        "#define HAS(x) __has_include(x)\n#if HAS(<__linux__/a.h>)\n",
        "#define HAS(x) \\\n__has_include /*\n*/ (x)\n#if HAS(Y)\n",
        "#define X() __has_include\n#if X()(<a.h>)\n",
        "#define X(a, b) a##b\n#if X(__has_, include)(<a.h>) // ; {\n",
        "#define X(a, b) a##b\n#define A __has_ /* ; */\n#if X(A, include)(<a.h>)\n",
        "#define /*\n*/ HAS __has_include\n",
    ],
)
def test_names_that_are_not_clear(text: str) -> None:
    with pytest.raises(Unclear):
        names(text)


@pytest.mark.parametrize(
    "text",
    [
        "// what __has_include(X) asks\n/* * __has_include is\n * #define HAS __has_include */\n",
        "#ifdef __has_include\n#endif // __has_include(X)\n#undef __has_embed\n#if 1 // __has_include's\n",
        '#define _ _\nconst char *s = "__has_include(X)"; // ##\n',
        "#define NESTED(x) struct __has_##x { int include; };\n#include <include.h>\n",
    ],
)
def test_what_is_no_question(text: str) -> None:
    assert names(text) == set()


def time(text: str) -> bool:
    data = text.encode()
    return depends_on_time([read_text(data)], lambda: all_tokens([data]))


def test_the_time_by_its_letters() -> None:
    assert time("a __DATE__") and time("/* __TIM\\\nE__ */") and time("char*s=__TIM??/\nE__;")
    assert time("#define C(a, b) a##b\nC(__TIME, STAMP__)\n")
    assert not time("__TIMES__ __DATE") and not time("#define C(a, b) a##b\nC(TIME, STAMP)\n")


def test_what_keeps_clang_from_telling() -> None:
    for text in (
        '#pragma clang diagnostic ignored "-Wdate-time"\n',
        '_Pragma("GCC diagnostic ignored \\"-Weverything\\"")\n',
        '#pragma clang diagnostic ignored "-Wdate" "-time"\n'.replace("date", "d\\x61te"),
        '#pragma clang diagnostic ignored "-Wdate" "-time"\n',
        '#define DO(x) _Pragma(#x)\nDO(GCC diagnostic ignored\n"-Wdate" "-time")\n',
        "#define IGNORE(x) DO(GCC diagnostic ignored x)\n#define DO(x) _Pragma(#x)\n",
    ):
        assert read_text(text.encode()).hushed, text
    for text in (
        '#pragma clang diagnostic ignored "-Wunused"\n',
        '_Pragma("GCC diagnostic ignored \\"-Wunused\\"")\n// it is ignored\n',
        "#pragma warning(disable:4197) // top-level volatile in cast is ignored\n",
        '#pragma GCC diagnostic ignored "-Wunused"\nputs("usage: x -a\\n" " -Wall\\n");\n',
    ):
        assert not read_text(text.encode()).hushed, text


def reads(*texts: bytes) -> bool:
    return has_assembler_read(map(assembler_parts, texts))


@pytest.mark.parametrize(
    "text",
    [
        '".incbin \\"a\\""',
        '".INCLUDE \\"a\\""',
        '".inc" "bin"',
        '"." "incbin \\"a\\""',
        '"." S(include) " \\"a\\""',
        '"." S( \t include ) " \\"a\\""',
        '" ." S(a) "include \\"a\\""',
        '".in{cbin|x} \\"a\\""',
        "S(.inc##bin)",
        '"." "inc" "bin \\"a\\""',
        '"\\n." INC "include \\"a\\""',
        '".\\x69ncbin"',
        '".in\\143bin"',
        '"\\u002eincbin"',
        "#define D incbin\nS(.D)",
        '#define D include\nS(.D "a")',
        'S(.C(inc, lude) "a")',
        'S(.) S(include) "a"',
        '"\\\n\r/* .incbin"',
        '"\\x2eincbin"',
        ".macro m a\n.\\a\\()bin\n.endm",
        "\".macro m a\\n.i\\\\a 'x'\\n.endm\"",
    ],
)
def test_an_assembler_reads(text: str) -> None:
    assert reads(text.encode())
    assert not reads(b'#include "include.h"\n// Well. Include this.\n')
    assert not reads(b'#  include "value.h"\nputs("Well." " Please include this.");\n')


@pytest.mark.parametrize(
    ("before", "is_comment"),
    [
        ("/* of\n** ", True),
        ("int a;\n  \t/* of ", True),
        ("/* one */ /* two\n/* three ", True),
        ("/* of */ ", False),
        ("/*\n*/ ", False),
        ("/*/ */ ", False),
        ("int a; /* of\n", False),  # what begins within a line could be in a string
        ('const char a[] = "\\\n/*";\n', False),
        ('const char a[] = R"x(\n/* ', False),
        ('const char a[] = u8R"(\n/* ', False),
        ('const char a[] = "??/\n/*";\n', False),
        ("// of\n", False),
    ],
)
def test_what_comments_say_of_assemblers_is_nothing(before: str, is_comment: bool) -> None:
    assert reads(f'{before}"file.in" */;'.encode()) != is_comment
    assert reads(f'{before}"file.in" */;\nasm(".incbin \\"a\\"");'.encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('#define D(word, name) asm("." #word " " name)\n', 'D(include, "\\"a\\"");\n'),
        ('#define DOT "."\n', 'asm(DOT "include \\"a\\"");\n'),
        ('asm(".macro m a");\n', 'asm(".\\\\a \\"a\\"");\n'),
    ],
)
def test_an_assembler_reads_by_what_several_files_say(one: str, other: str) -> None:
    assert reads(one.encode(), other.encode()) and not reads(one.encode()) and not reads(other.encode())


def test_sentences_and_versions_are_no_directives() -> None:
    version = b'#define VERSION MAJOR "." MINOR\n/* Inc. /bin */\n'
    assert not reads(version, b'puts("include it."); int bin, inc; f(include + 1, b.inc, {.in = 2});\n')


def test_strings_of_an_assembler_reach_over_lines() -> None:
    text = b'.ascii "\n/*\n"\n.include "a"\n'
    assert has_assembler_read([assembler_parts(text, assembly=True)]) and not reads(text)


def test_a_zero_behind_a_backslash_is_no_blank() -> None:
    assert names('// \\\0\n#if __has_include("a.h")\n#endif\n') == {"a.h"}
