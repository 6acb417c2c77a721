"""Tells whether a link line asks only for what every linker reads in the same way.

mold 1.10 takes `local:*;` without a blank for a name, ignores `-z stack-size`, does not know some of GNU
ld's options or knows them in other forms only, and forgets that a library is to be loaded in any case where
it was named behind `--as-needed` before; lld refuses versions of what is not defined. GNU ld is what most
lines are written for.

Sources: images by GNU ld 2.40, `ld.lld` of LLVM 22 and mold 1.10, compared option by option.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Literal

from nativecache.linker.symbol_options import expanded_words

#: `alike`: any linker will do. `exports`: mold leaves something out that others have visible outside of the
#: image. `unlike`: GNU ld decides. `llvm`: as that, but with words that GNU ld does not know.
Reading = Literal["alike", "exports", "unlike", "llvm"]

_ALIKE = frozenset(
    (
        "as-needed", "no-as-needed", "whole-archive", "no-whole-archive", "start-group",
        "end-group", "(", ")", "push-state", "pop-state", "Bstatic", "Bdynamic", "static", "dn",
        "dy", "non_shared", "shared", "Bshareable", "pie", "no-pie", "gc-sections",
        "no-gc-sections", "print-gc-sections", "entry", "undefined", "require-defined", "init",
        "fini", "rpath", "R", "rpath-link", "enable-new-dtags", "disable-new-dtags", "soname", "h",
        "hash-style", "strip-all", "s", "strip-debug", "S", "x", "X", "discard-all",
        "discard-locals", "no-undefined", "build-id", "eh-frame-hdr", "no-eh-frame-hdr", "wrap",
        "defsym", "library-path", "fatal-warnings", "no-fatal-warnings", "Map",
        "dependency-file", "demangle", "no-demangle", "sort-common", "compress-debug-sections",
        "allow-multiple-definition", "warn-common", "warn-once", "O0", "O1",
        "O2", "O3", "relax", "no-relax", "plugin", "o", "no-allow-shlib-undefined",
        "allow-shlib-undefined", "unresolved-symbols", "warn-unresolved-symbols",
        "no-copy-dt-needed-entries", "no-keep-memory", "no-export-dynamic", "u", "e", "m", "z",
        "sysroot",
        # What only lld and mold, or one of them, know: it says nothing about symbols.
        "start-lib", "end-lib", "threads", "thread-count", "no-threads", "color-diagnostics", "error-limit",
        "icf", "print-icf-sections", "fork", "no-fork", "lto-O", "thinlto-jobs", "thinlto-cache-dir",
    )
)  # fmt: skip
_OF_LLVM = frozenset(
    (
        "start-lib", "end-lib", "threads", "thread-count", "no-threads", "color-diagnostics", "icf",
        "print-icf-sections", "image-base", "pack-dyn-relocs", "undefined-glob", "fork", "no-fork",
        "symbol-ordering-file", "call-graph-ordering-file", "keep-unique", "lto-O", "thinlto-jobs",
        "thinlto-cache-dir", "Bsymbolic-non-weak", "Bsymbolic-non-weak-functions",
    )
)  # fmt: skip
_EXPORTS = frozenset(
    ("E", "export-dynamic", "export-dynamic-symbol", "Bsymbolic", "Bsymbolic-functions", "exclude-libs")
)
_ALIKE_Z = frozenset(
    (
        "defs", "now", "lazy", "nodelete", "origin", "initfirst", "interpose", "nodlopen", "nodump",
        "combreloc", "nocombreloc", "common-page-size", "max-page-size", "execstack", "noexecstack",
        "separate-code", "noseparate-code", "norelro", "relro", "text", "notext", "nocopyreloc",
        "nodefaultlib", "muldefs",
    )
)  # fmt: skip
#: What ends a state that an option began. Behind `--as-needed` a library may be named that is named again, to
#: be loaded in any case, and mold 1.10 keeps to what was said first; nor does it end `-Bstatic` by
#: `--pop-state`.
_ENDS = {
    "no-as-needed": ("as-needed",),
    "pop-state": ("as-needed", "Bstatic", "dn", "non_shared", "static"),
}
_STATES = frozenset(_ENDS["pop-state"])
#: Words of a compiler driver's that it hands on as they are, or as another.
_HANDED_ON = ("-z", "-T", "-rdynamic")


def how_read(options: Iterable[str], *, gc_sections: bool = False) -> Reading:
    """How linkers read the options of a link line, given as a compiler driver takes them.

    Options that are not known, and those abbreviated, are read unlike. `gc_sections` is that option given
    besides: with it lld drops sections that only the symbols of their beginning and end hold.
    """
    found = {"gc"} if gc_sections else set[str]()
    words = iter([*_for_linker(options)])
    for word in words:
        if word[:1] != "-" or word[:2] in ("-l", "-L"):
            continue
        name = word.removeprefix("-").removeprefix("-").partition("=")[0]
        if word[:2] == "-z":
            value = word[2:] or next(words, "")
            found.add("alike" if value.partition("=")[0] in _ALIKE_Z else "unlike")
            continue
        if name not in _ALIKE and name[:1] in "uehoRm" and not word.startswith("--"):
            name = name[:1]  # its value follows at once
        elif _is_unknown_to_mold(word, name):
            found.add("unlike")
        if not found.isdisjoint(_ENDS.get(name, ())):
            found.add("exports")
        if name in _STATES:
            found.add(name)
        if name == "R" and os.path.isfile(word[2:] or next(words, "")):
            found.add("unlike")  # to GNU ld `--just-symbols`; lld refuses it
        if name in _OF_LLVM:
            found.add("llvm")
        if name == "gc-sections":
            found.add("gc")
        if name in ("defsym", "wrap"):
            if "defsym" in found or (name == "defsym" and "wrap" in found):
                found.add("unlike")  # mold 1.10 does not follow one to another, and such images crash
            found.add(name)
        if name in _EXPORTS:
            found.add("exports")
        elif name not in _ALIKE:
            found.add("unlike")
    if "unlike" in found or {"exports", "gc"} <= found:
        return "llvm" if "llvm" in found else "unlike"
    return "exports" if "exports" in found else "alike"


def _is_unknown_to_mold(word: str, name: str) -> bool:
    """Whether mold 1.10 knows an option in other forms only, of those that are alike."""
    if name in ("entry", "undefined"):
        return word == "-" + name  # to mold that is `-e ntry`
    return name == "sort-common" and "=" in word


def _for_linker(options: Iterable[str]) -> Iterator[str]:
    """The words that reach the linker, those of files that it reads too."""
    words = iter([*expanded_words(options)])
    for word in words:
        if word.startswith("-Wl,"):
            yield from expanded_words(word.split(",")[1:])
        elif word in ("-Xlinker", "--for-linker", "-Zlinker-input"):
            yield from expanded_words([next(words, "")])
        elif word.startswith("--for-linker="):
            yield word.partition("=")[2]
        elif word == "-rdynamic":
            yield "-E"
        elif word == "-t":
            yield word
        elif word.startswith(_HANDED_ON):
            yield word
            if word in _HANDED_ON:
                yield next(words, "")
