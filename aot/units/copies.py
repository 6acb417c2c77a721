"""Tells which constants every unit that uses them holds a copy of, for the linker merges those again."""

from __future__ import annotations

from typing import Final

from nativecache.aot.ir.module import Entity
from nativecache.linker import lazy_re as re

#: A string is copied into each unit that uses it up to this many characters of IR.
COPIED_STRING: Final = 8192
#: Sizes in bytes of constants that linkers merge (ELF's .rodata.cst4 to .rodata.cst32).
_MERGED_SIZES: Final = (4, 8, 16, 32)
_STRING: Final = re.compile(r' \[\d+ x i8\] c"(?:[^"\\]|\\(?!00)[0-9A-F]{2})*\\00"')
_WIDE_STRING: Final = re.compile(r" \[\d+ x (i16|i32)\] \[(?:\1 -?[1-9]\d*, )*\1 0\]")
_NUMBERS: Final = re.compile(r" (?:global|constant) (?:\[(\d+) x )?(?:i(8|16|32|64)|(float)|(double))[] ]")


def copyable(entity: Entity) -> bool:
    """Whether each unit may hold its own copy: a constant that the linker merges again.

    Its address means nothing to LLVM, but a program may still compare two pointers into the one
    constant, so only what ends in one of ELF's mergeable sections may be there more than once.
    """
    if entity.kind != "variable" or not (entity.local and entity.constant and entity.unnamed_addr):
        return False
    text = entity.text
    if entity.thread_local or ", section " in text or entity.comdat or entity.groups or "@" in text[1:]:
        return False
    if _STRING.search(text) or _WIDE_STRING.search(text):
        return len(text) - len(entity.token) <= COPIED_STRING
    if numbers := _NUMBERS.search(text):
        count, bits, is_float, _ = numbers.groups()
        size = int(count or 1) * (int(bits) // 8 if bits else 4 if is_float else 8)
        return size in _MERGED_SIZES
    return False
