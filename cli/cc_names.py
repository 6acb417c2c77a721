"""Tells whether the command was called as a compiler. Imports nothing, for it comes before all else."""

import os

_NAMES = frozenset(("cc", "c++", "gcc", "g++", "clang", "clang++"))


def is_compiler(name: str) -> bool:
    """Whether that is what compilers are called: `cc`, `clang++-22`, `aarch64-linux-gnu-gcc`."""
    head, _, version = name.rpartition("-")
    if head and version.replace(".", "").isdigit():
        name = head
    return name.rpartition("-")[2] in _NAMES


def compiler_words(arguments: "list[str]") -> "list[str] | None":
    """A compiler's name or path and its words, if this process was called as one; else None.

    `arguments` begin with the name that this process was called by.
    """
    called = os.path.basename(arguments[0])
    if is_compiler(called):
        return [called, *arguments[1:]]
    words = arguments[1:]
    return words if words and ("/" in words[0] or is_compiler(words[0])) else None
