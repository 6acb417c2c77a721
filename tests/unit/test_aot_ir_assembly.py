"""What assembler text does to symbols, and where that cannot be told."""

import pytest

from nativecache.aot.ir.asm_effects import Assembly
from nativecache.aot.ir.assembly import asm_words, names_in, read_assembly

X86, ARM = "x86_64-pc-linux-gnu", "aarch64-linux-gnu"


def read(*texts: str, inline: bool = False, triple: str = X86) -> Assembly:
    return read_assembly(texts, inline=inline, triple=triple)


@pytest.mark.parametrize(
    ("text", "defined"),
    [
        ("one: ret; two: three: nop\nfour : nop", "one two three four"),
        ('"a b": nop\n"c\\"d" : nop', 'a b|c"d'),
        ("# no: \n/* no: */ yes: // no:\n", "yes"),
        ('.ascii "no:; # no:"; yes: .asciz "/*"; too: .byte \'"\'', "yes too"),
        (".set a, 1; .equ b, 2\n.equiv c, 3\nd = 4; e == 5", "a b c d e"),
        (".comm a, 4; .lcomm b, 4", "a b"),
        (".weakref a, b", "a"),
        (".macro m x\n mov \\x, %eax\n.endm", "m"),
        ("1: jmp 1b; mov %fs:0, %eax; lock; incl (%rax)", ""),
        (". = . + 4", "."),
        (".if_not: nop", ".if_not"),
    ],
)
def test_what_is_defined(text: str, defined: str) -> None:
    found = read(text)
    assert found.defined == set(defined.split("|") if "|" in defined else defined.split())
    assert not found.unclear


def test_what_is_done_to_symbols() -> None:
    found = read(
        ".globl a, b; .global c\n.weak d\n.comm e, 4\n.local f\n.comm f, 4\n.hidden g, h; .protected i\n"
        ".internal j; .type k @function; .size l, .-l\n.symver m, n@V1; o = p + 4\n.long q - ."
    )
    assert found.exported == set("abcde")
    assert found.weak == {"d"}
    assert found.changed == set("dfghijkl")
    assert found.versioned == {"m"}
    assert {"m", "p"} <= found.aliased
    assert {"q"} <= found.counted and "p" not in found.counted
    assert not found.unclear


@pytest.mark.parametrize(
    "text",
    [
        ".section .rodata; .byte 1; .previous; .text",
        ".pushsection x; .byte 1; .popsection",
        ".cfi_startproc; .cfi_adjust_cfa_offset 8; .cfi_endproc",
        '.P2ALIGN 4; .QUAD f; .incbin "x"; .ident "y"',
        "b 1f; 1: rep; stosb",
    ],
)
def test_what_makes_nothing(text: str) -> None:
    found = read(text)
    assert not found.unclear
    assert not found.made and not found.exported


@pytest.mark.parametrize(
    "text",
    [
        ".macro m x\n\\x: ret\n.endm",
        '.macro m x\n"\\x": ret\n.endm',
        "a = 1; a = 2",
        ".macro m\n.endm\n.purgem m",
        ".macro m x\n.globl \\x\n.endm",
        ".macro m x\ncall pre_\\x\n.endm",
        ".macro m x\n\\x foo\n.endm",
        ".irp x, a, b\n\\x: ret\n.endr",
        ".irpc x, ab\n call \\x\n.endr",
        ".altmacro",
        ".ifdef f\n.endif",
        '.include "f"',
        ".previous",
        ".popsection",
        ".pushsection x",
        "jmp 1f",
        ".cfi_sections .debug_frame",
        ".unheard_of f",
        '.ascii "',
        "/* ",
        ".macro m",
    ],
)
def test_what_cannot_be_told(text: str) -> None:
    assert read(text).unclear


def test_operands_of_inline_asm() -> None:
    found = read("mov $$K, $0; .La${:uid}: fld${1:z} ${1:P}(%rip); mov$(l$|$) $0, ${2:c}@PLT", inline=True)
    assert "K" in found.names
    assert not found.made and not found.unclear
    assert not read("1: .long 1b - ., ${0:l} - ., -5", inline=True).unclear
    assert {"k$z", "k$$z"} <= read("mov $$k$$z, %eax", inline=True).names
    for text in ("${0:c}: nop", ".globl ${0:c}", ".set x, ${0:c}", "call f_${0:c}", ".long 1 - ${0:c}"):
        assert read(text, inline=True).unclear


def test_statements_of_one_function_are_read_in_order() -> None:
    assert not read("1: nop", ".pushsection x", "jmp 1b", ".popsection", inline=True).unclear


def test_a_hash_begins_a_comment_or_a_number() -> None:
    assert read("mov $1, #5; f: nop").defined == set()
    assert read("mov x0, #5; f: nop\n # g: nop", triple=ARM).defined == {"f"}


def test_names() -> None:
    assert names_in('lea f.1(%rip), $K; "a b" .L.str "\xc3\xa9"') >= {"f.1", "K", "a b", ".str", "é"}


def test_words_of_asm() -> None:
    assert asm_words(["movl cell(%rip), %eax\\0Acall f.1"]) >= {"movl", "cell", "rip", "call", "f.1"}
