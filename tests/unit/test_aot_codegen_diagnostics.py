"""Which of clang's warnings LLVM's words are, what flags make of them, and how they are said."""

import pytest

from nativecache.aot.codegen.diagnostics import (
    Diagnostic,
    Wanted,
    decode_diagnostics,
    encode_diagnostics,
    group,
    line,
    read_spoken,
)

FRAME = Diagnostic("warning", "stack frame size (10008) exceeds limit (1000) in function 'nc.0'")
CALL = Diagnostic("warning", 'call to bad marked "dontcall-warn": do not')
NEVER = Diagnostic("error", 'call to nc.1 marked "dontcall-error": never')
LOOP = Diagnostic("warning", "<unknown>:0:0: loop not vectorized: the optimizer was unable to perform it")
ASM = Diagnostic("warning", '<inline asm>:1:2: hey\n\t.warning "hey"\n\t^')
OTHER = Diagnostic("warning", "something new")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (FRAME, "frame-larger-than"),
        (CALL, "attribute-warning"),
        (LOOP, "pass-failed"),
        (ASM, "inline-asm"),
        (OTHER, "backend-plugin"),
    ],
)
def test_each_has_clangs_group(said: Diagnostic, name: str) -> None:
    assert group(said) == name


def test_they_are_said_with_file_function_and_flag() -> None:
    names = {"nc.0": "big", "nc.1": "worse"}
    expected = "a.c: in function 'big': warning: stack frame size (10008) exceeds limit (1000)"
    assert line(FRAME, "a.c", "f", names) == f"{expected} [-Wframe-larger-than]"
    assert line(NEVER, "a.c", "f", names) == (
        "a.c: in function 'f': error: call to 'worse' declared with 'error' attribute: never"
    )
    assert line(CALL, "a.c", "f", names, error=True).startswith("a.c: in function 'f': error: call to 'bad'")
    assert line(LOOP, "a.c", "f", names) == (
        "a.c: in function 'f': warning: loop not vectorized: the optimizer was unable to perform it"
        " [-Wpass-failed]"
    )
    assert line(ASM, "a.c", "f", names) == (
        "a.c: in function 'f': warning: <inline asm>:1:2: hey [-Winline-asm]"
    )


@pytest.mark.parametrize(
    ("flags", "ignored", "error"),
    [
        ("", False, False),
        ("-w", True, False),
        ("-Werror", False, True),
        ("-Werror -Wno-error", False, False),
        ("-Werror -w", True, False),
        ("-Werror -Wno-error=frame-larger-than", False, False),
        ("-Werror=frame-larger-than", False, True),
        ("-Werror=frame-larger-than=1000", False, True),
        ("-Werror=attribute-warning", False, False),
        ("-Wno-frame-larger-than", True, False),
        ("-Wno-frame-larger-than -Wframe-larger-than=1000 -Werror", False, True),
        ("-Wno-error=frame-larger-than -Werror", False, False),
        ("-Wframe-larger-than=1000 -Wno-everything", True, False),
        ("-Wno-everything -Wframe-larger-than=1000", False, False),
        ("-Wno-everything -Werror=frame-larger-than", False, True),
        ("-Wl,-Werror -Wa,--fatal-warnings", False, False),
    ],
)
def test_the_last_word_on_a_group_counts(flags: str, ignored: bool, error: bool) -> None:
    wanted = Wanted(flags.split())
    assert (wanted.is_ignored(FRAME), wanted.is_error(FRAME)) == (ignored, error)


def test_errors_are_errors_whatever_the_flags() -> None:
    wanted = Wanted(["-w", "-Wno-error"])
    assert wanted.is_error(NEVER) and not wanted.is_ignored(NEVER)


def test_what_llvm_prints_is_read() -> None:
    text = (
        "warning: stack frame size (8) exceeds limit (1) in function 'f'\n"
        "remark: nothing\n"
        "'x' is not a recognized processor for this target (ignoring processor)\n"
        "<inline asm>:1:2: error: invalid instruction mnemonic 'foo'\n\tfoo bar\n\t^~~\n"
    )
    assert read_spoken(text) == [
        Diagnostic("warning", "stack frame size (8) exceeds limit (1) in function 'f'"),
        Diagnostic("error", "<inline asm>:1:2: invalid instruction mnemonic 'foo'"),
    ]


def test_they_survive_in_an_entry() -> None:
    assert decode_diagnostics(encode_diagnostics([FRAME, NEVER])) == [FRAME, NEVER]
    assert decode_diagnostics(None) == []


def test_what_llvm_said_last_may_be_no_diagnostic() -> None:
    assert read_spoken("LLVM ERROR: inline asm is not supported") == read_spoken("") == []
