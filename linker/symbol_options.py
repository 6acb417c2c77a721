"""Reads from link options and linker scripts what decides which definition a symbol's users reach.

`--wrap`, `--defsym` and assignments in scripts give a name another meaning than the program's own definition
has, but only for what is still a reference when the linker sees it; `-u`, `-e` and lists of symbols name what
must be there. Options that are not known are taken for the first kind, with every word of their values.

Sources: the manuals of GNU ld 2.40 and gold, `ld.lld --help` of LLVM 22, `mold --help` of 1.10.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Literal

from nativecache.linker import lazy_re as re
from nativecache.linker.files import read_plain
from nativecache.linker.scripts import Script, find_file, is_object, read_script, symbol_words
from nativecache.linker.values import dataclass

Kind = Literal[
    "assigns", "names", "script", "list", "exports", "export list", "archives", "remaps", "plain", "flag",
    "multiple", "shared", "folder", "library", "z", "order", "sections", "section",
]  # fmt: skip

#: What options say, by their names without dashes. `flag`, `exports`, `multiple`, `shared` and `sections`
#: have no value, or one behind `=`; that of others may be the next word. `list`: a file of names; `export
#: list`: one that also makes symbols visible outside of the image; `order`: one that sections are ordered by.
#: `sections`, `section`: where sections go, by their names or one by one.
_LONG: dict[str, Kind] = {
    **dict.fromkeys(("wrap", "defsym"), "assigns"),
    **dict.fromkeys(
        ("undefined", "require-defined", "undefined-glob", "entry", "init", "fini", "trace-symbol",
         "keep-unique", "export-dynamic-symbol", "ignore-unresolved-symbol"),
        "names",
    ),
    **dict.fromkeys(("script", "default-script", "dT", "mri-script", "just-symbols"), "script"),
    **dict.fromkeys(
        ("symbol-ordering-file", "section-ordering-file", "call-graph-ordering-file"),
        "order",
    ),
    "retain-symbols-file": "list",
    **dict.fromkeys(("sort-section", "section-start"), "section"),
    **dict.fromkeys(
        ("unique", "split-by-file", "split-by-reloc", "shuffle-sections", "reverse-sections",
         "bp-startup-sort", "bp-compression-sort", "bp-compression-sort-startup-functions",
         "randomize-section-padding"),
        "sections",
    ),
    **dict.fromkeys(
        ("version-script", "dynamic-list", "export-dynamic-symbol-list"),
        "export list",
    ),
    **dict.fromkeys(
        ("export-dynamic", "rdynamic", "dynamic-list-data", "dynamic-list-cpp-new", "gc-keep-exported",
         "dynamic-list-cpp-typeinfo", "export-all-symbols"),
        "exports",
    ),
    **dict.fromkeys(("remap-inputs", "remap-inputs-file"), "remaps"),
    **dict.fromkeys(("allow-multiple-definition", "noinhibit-exec"), "multiple"),
    **dict.fromkeys(("shared", "Bshareable"), "shared"),
    **dict.fromkeys(
        ("soname", "rpath", "rpath-link", "dynamic-linker", "Map", "dependency-file", "plugin", "plugin-opt",
         "oformat", "output", "Ttext", "Tdata", "Tbss", "Ttext-segment", "Trodata-segment",
         "Tldata-segment", "filter", "auxiliary", "audit", "depaudit", "architecture",
         "format", "mllvm", "image-base", "target"),
        "plain",
    ),
    **dict.fromkeys(
        ("static", "static-pie", "pthread", "pie", "no-pie", "nostdlib", "nodefaultlibs", "nostartfiles",
         "nolibc", "gc-sections", "as-needed", "no-as-needed", "whole-archive", "no-whole-archive",
         "start-group", "end-group", "push-state", "pop-state", "Bstatic", "Bdynamic", "start-lib", "end-lib",
         "Bsymbolic", "Bsymbolic-functions", "strip-all", "strip-debug", "no-undefined", "eh-frame-hdr",
         "hash-style", "build-id", "compress-debug-sections", "sysroot", "unresolved-symbols", "threads",
         "thread-count", "icf", "sort-common", "error-limit", "color-diagnostics", "orphan-handling",
         "pack-dyn-relocs", "thinlto-jobs", "thinlto-cache-dir", "lto-O", "fuse-ld", "ld-path", "stdlib",
         "rtlib", "unwindlib", "march", "mcpu", "mtune", "gcc-toolchain"),
        "flag",
    ),
    "exclude-libs": "archives",
    "library": "library",
    "library-path": "folder",
}  # fmt: skip
#: What options of one letter say about symbols, whose value may follow at once.
_SHORT: dict[str, Kind] = {
    **dict.fromkeys("uey", "names"),
    **dict.fromkeys("TR", "script"),
    **dict.fromkeys("oh", "plain"),
    "E": "exports",
    "L": "folder",
    "l": "library",
    "z": "z",
}
_TAKES_NOTHING = frozenset(("flag", "exports", "multiple", "shared", "sections"))
#: What `--wrap` and, between two names or for a number, `--defsym` say in the simplest case.
_PLAIN = re.compile(r"[\w.$@]+(?:=[\w.$@]+)?")
_GLOB = re.compile(r"[*?\[]")
#: Symbols that GNU ld's own scripts assign whether or not the program defines them (`ld --verbose`).
_ALWAYS_ASSIGNED = frozenset(("_edata", "_end", "__bss_start"))
#: What dynamic loaders call where it is defined, without being told.
_ALWAYS_NAMED = frozenset(("_init", "_fini"))


@dataclass(frozen=True, kw_only=True)
class SymbolOptions:
    """What a link line, with the scripts that it names, says about symbols.

    `assigned`: names whose users may be led elsewhere than to the program's definition; `any_assigned`: any
    may be, for something could not be read. `named` and `patterns` (globs): what must be there if the program
    defines it. `exports`: all that is exported must be. `multiple`: the first of several definitions wins.
    `scripted`: not every linker takes the scripts and expressions. `loose`: archives are treated unlike
    objects, or objects are known by their file names. `by_section`: sections are placed by their names, or
    one by one. `lists`: a file lists symbols of which some may be local. `shared`: the image is a shared
    library. `inputs`: objects and libraries that the line or its scripts name, `libraries` those that scripts
    name as `-lNAME`. `files`: all scripts and lists that were read.
    """

    assigned: frozenset[str] = frozenset()
    any_assigned: bool = False
    named: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()
    exports: bool = False
    multiple: bool = False
    scripted: bool = False
    loose: bool = False
    by_section: bool = False
    lists: bool = False
    shared: bool = False
    inputs: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def names(self, symbol: str) -> bool:
        """Whether the link line asks for a symbol of this name, by itself or by a glob."""
        return symbol in self.named or any(fnmatchcase(symbol, pattern) for pattern in self.patterns)


def linker_words(options: Iterable[str]) -> Iterator[str]:
    """The words of link options, as given to a compiler driver, as the linker sees them.

    Response files (`@FILE`) are replaced by what is in them, the driver's own and those in `-Wl,@FILE`.
    """
    for word in expanded_words(_driver_words(expanded_words(options))):
        if word:
            yield word


def _driver_words(options: Iterable[str]) -> Iterator[str]:
    words = iter(options)
    for word in words:
        if word.startswith("-Wl,"):
            yield from word.split(",")[1:]
        elif word in ("-Xlinker", "--for-linker", "-Zlinker-input"):
            yield next(words, "")
        elif word.startswith("--for-linker="):
            yield word.partition("=")[2]
        else:
            yield word


def expanded_words(words: Iterable[str], depth: int = 0) -> Iterator[str]:
    """A command line's words, with those of response files (`@FILE`) in their places."""
    for word in words:
        if word[:1] == "@" and depth < 16 and os.path.isfile(word[1:]):
            import shlex

            try:
                inside = shlex.split(os.fsdecode(read_plain(word[1:])))
            except (OSError, ValueError):
                inside = []
            yield from expanded_words(inside, depth + 1)
        else:
            yield word


def read_symbol_options(
    options: Sequence[str], scripts: Sequence[str] = (), folders: Sequence[str] = ()
) -> SymbolOptions:
    """Read what a link line and the scripts that it names say about symbols.

    `options` as a compiler driver takes them. `scripts`: further files that the linker reads as such, as
    a `libNAME.so` may be, and `folders` where it looks besides those of `-L`. What cannot be found or read
    makes `any_assigned` true: the linker may find it.
    """
    reader = _Reader([*linker_words(options)])
    reader.read()
    reader.folders += folders
    for path in scripts:
        reader.script(path)
    return reader.result()


class _Reader:
    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.folders = [
            word[2:] or following
            for word, following in zip(words, [*words[1:], ""], strict=False)
            if word.startswith("-L")
        ]
        self.assigned: set[str] = set(_ALWAYS_ASSIGNED)
        self.named: set[str] = set(_ALWAYS_NAMED)
        self.patterns: dict[str, None] = {}
        self.flags: set[str] = set()
        self.inputs: dict[str, None] = {}
        self.libraries: dict[str, None] = {}
        self.files: dict[str, None] = {}

    def read(self) -> None:
        at = 0
        while at < len(self.words):
            word = self.words[at]
            at += 1
            if word[:1] != "-" or word == "-":
                self._input(word)
                continue
            kind, name, value = parse_option(word)
            if kind is None:
                self._assign(value or "")
                continue
            if value is None and kind not in _TAKES_NOTHING:
                value = self.words[at] if at < len(self.words) else ""
                at += 1
            self._option(kind, name, value or "")

    def _option(self, kind: Kind, name: str, value: str) -> None:
        match kind:
            case "assigns":
                self._assign(value)
                if not _PLAIN.fullmatch(value):
                    self.flags.add("scripted")
                if name == "wrap":
                    self.named.add(f"__wrap_{value}")
                    self.assigned.add(f"__real_{value}")
            case "names":
                self._name(value)
            case "script":
                # `-R FOLDER` is `-rpath FOLDER`.
                self.script(value, must_be=name != "R" or not os.path.isdir(value))
            case "list" | "order" | "export list":
                found = self._read(value)
                self._add(found, self.named)
                self.patterns.update(dict.fromkeys(w for w in sorted(found.words) if _GLOB.search(w)))
                self.flags.add("exports" if kind == "export list" else "lists")
                if kind == "order":
                    self.flags.add("by section")
            case "sections" | "section":
                self.flags.add("by section")
            case "exports" | "multiple" | "shared":
                self.flags.add(kind)
            case "archives":
                self.flags.add("loose")
            case "remaps":
                self.flags |= {"any assigned", "exports"}
            case "z" if value == "muldefs":
                self.flags.add("multiple")
            case _:
                pass

    def script(self, value: str, *, must_be: bool = True) -> None:
        """Notes what a script may do to symbols; if it `must_be` there and is not, it may do anything."""
        found = self._read(value)
        self._add(found, self.assigned)
        self.named |= found.words
        if found.acts:
            self.flags |= {"scripted", "by section"}
        if found.lays_out:
            self.flags |= {"loose", "exports"}
        if found.missing and must_be:
            self.flags |= {"any assigned", "exports", "by section"}
        if (
            found.inputs and not found.files
        ):  # `--just-symbols` of an image, whose symbols are where it has them
            self.flags |= {"any assigned", "exports"}

    def _read(self, value: str) -> Script:
        return read_script(value, self.folders)

    def _add(self, found: Script, words: set[str]) -> None:
        words |= found.words
        self.files.update(dict.fromkeys(found.files))
        self.inputs.update(dict.fromkeys(found.inputs))
        self.libraries.update(dict.fromkeys(found.libraries))

    def _assign(self, text: str) -> None:
        words = symbol_words(text)
        self.assigned |= words
        self.named |= words

    def _name(self, text: str) -> None:
        self.named |= symbol_words(text)
        if _GLOB.search(text):
            self.patterns[text] = None

    def _input(self, word: str) -> None:
        """An object, an archive, a shared library, a script, or the value of an option that is not known."""
        path = find_file(word, ())
        if path is None:
            self._assign(word)
            return
        try:
            if is_object(path):
                self.inputs[path] = None
            else:
                self.script(path)
        except OSError:
            self._assign(word)

    def result(self) -> SymbolOptions:
        return SymbolOptions(
            assigned=frozenset(self.assigned),
            any_assigned="any assigned" in self.flags,
            named=frozenset(self.named),
            patterns=tuple(self.patterns),
            exports="exports" in self.flags,
            multiple="multiple" in self.flags,
            scripted="scripted" in self.flags,
            loose="loose" in self.flags,
            by_section="by section" in self.flags,
            lists="lists" in self.flags,
            shared="shared" in self.flags,
            inputs=tuple(self.inputs),
            libraries=tuple(self.libraries),
            files=tuple(self.files),
        )


def parse_option(word: str) -> tuple[Kind | None, str, str | None]:
    """Kind, name and value of an option; linkers take long ones with one dash or two, and abbreviated."""
    body = word.removeprefix("-").removeprefix("-")
    name, equals, after = body.partition("=")
    value = after if equals else None
    if name in _LONG:
        return _LONG[name], name, value
    if not word.startswith("--") and body[:1] in _SHORT:
        short = _SHORT[body[0]]
        return short, body[0], body[1:] or (None if short not in _TAKES_NOTHING else "")
    meant = [long for long in _LONG if len(name) > 1 and long.startswith(name)]
    meant.sort(key=lambda long: _LONG[long] in ("plain", "flag"))  # what matters first
    return (_LONG[meant[0]], meant[0], value) if meant else (None, name, value)
