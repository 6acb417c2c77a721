"""Which flags have clang read or write files that its depfile does not name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nativecache.linker import lazy_re as re

#: With these, clang reads files that its depfile does not name, or writes more than its output.
_ELSEWHERE: Final = re.compile(
    r"-M|@|-fmodule|-fprebuilt|-fimplicit-module|-fcxx-modules|-include-pch|-fpch|-fplugin|-fpass-plugin|-Xclang"
    r"|-mllvm|-mmlir|--?config|-i?vfsoverlay|--?save-(?:temps|stats)|-working-dir|-f?apinotes|-iapinotes"
    r"|-f(?:cs-)?profile-(?!(?:instr-)?generate)|-fauto-profile|-fmemory-profile|-gsplit-dwarf|--?coverage"
    r"|-ftest-cov|-fthin-?lto-index|-ftime-|-f(?:save-)?optimization-rec|-fstack-usage|-fdump|-fproc-stat"
    r"|--?serialize-diag|-?-?index-store|--?specs|-fbuild-session|--precompile|-emit-|--?extract|--analyze|-verify-pch"
    r"|--?gen-|--cuda|--hip|--rocm|--offload|-fopenmp-targets|-fsycl|--libomptarget|-fcas|-fdepscan|-foffload"
    r"|-f?no-integrated-as|-Xopenmp|-Xarch|-Xcuda|-Xoffload|-ccc-|-F|-iframework|-v$|-###|-[EHoS]|-fsyntax-only|-x|-dump"
)


#: With these of an assembler's options it reads or writes files that no depfile names.
_ASSEMBLER_ELSEWHERE: Final = re.compile(r"@|--?MD|-a.*=|-o")


def read_elsewhere(flags: Sequence[str], whole: bool) -> str:
    """Why it cannot be told which files flags have clang read or write; "" if it can.

    `whole`: clang goes on to an object, so the flags of its assembler count as well.
    """
    before = ""
    for flag in flags:
        words, assembler = [flag], False
        if flag.startswith(("-Wp,", "-Wa,")):
            words, assembler = flag.split(",")[1:], flag[2] == "a"
        elif before in ("-Xpreprocessor", "-Xassembler"):
            assembler = before == "-Xassembler"
        elif flag in ("-Xpreprocessor", "-Xassembler"):
            words = []
        before = flag
        if assembler and not whole:
            continue  # no assembler runs
        expression = _ASSEMBLER_ELSEWHERE if assembler else _ELSEWHERE
        for word in words:
            if expression.match(word):
                return f"with {word} clang reads or writes files that it does not name"
    return ""
