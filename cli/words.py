"""Reads the words of a build: which are inputs, which go to clang, which to the linker, which are ours.

There is one reader for all who ask, so that they cannot differ. This module is loaded before anything else,
to answer in no time when nothing has changed: it imports nothing.

How clang's options take their values was read off clang 22's driver by asking it for each option that it
knows (`clang -### OPTION` says how many values are missing); what is not listed here as taking a word of its
own is one word.
"""

import os

from nativecache.cache.files import read_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: Where a word goes: to clang, to the link where it stands, to both, to us; an input; how dependencies are
#: noted; nowhere.
INPUT, CLANG, LINK, BOTH, OURS, DEPENDENCIES, DROPPED = (
    *("input", "clang", "link", "both", "ours", "dependencies", "dropped"),
)

#: Ours, whose value is a word of its own, or stands behind an equals sign (or at once, after one letter).
VALUED: "Final" = frozenset(
    (
        *("-o", "--output", "--import-limit", "--target", "--cpu", "--features", "--emit", "-j", "--threads"),
        *("--cache-dir", "--cache-mode", "--store", "--fallback-dir", "--stats-json", "--linker", "--cc"),
        *("--clang", "--compiler-check", "--llvm"),
    )
)
_FLAGS: "Final" = frozenset(
    (
        *("--no-opt", "--no-cache", "--trust-cache-dir", "--timings", "--compress-debug", "-v", "--verbose"),
        *("-q", "--quiet", "-h", "--help"),
    )
)
#: Other spellings of ours.
_SAME: "Final" = {
    "-c": "--emit=object",
    "--compile": "--emit=object",
    "-r": "--emit=object",
    "-shared": "--emit=shared",
    "--shared": "--emit=shared",
    "--verify": "--verify=10",
}

#: Options whose value is the next word; where they go.
_PAIRS: "Final" = {
    **dict.fromkeys(
        (
            *("-I", "-D", "-U", "--include-directory", "--define-macro", "--undefine-macro", "-A", "-F"),
            *("-isystem", "-isystem-after", "-iquote", "-idirafter", "-iprefix", "-iwithprefix"),
            *("-iwithprefixbefore", "-include", "-include-pch", "-imacros", "-imultilib", "-iframework"),
            *("-iframeworkwithsysroot", "-cxx-isystem", "-ivfsoverlay"),
            *("-vfsoverlay", "--include", "--imacros"),
            *("--include-directory-after", "--include-prefix", "--include-with-prefix"),
            *("--include-with-prefix-after", "--include-with-prefix-before", "--assert", "--param"),
            *("-Xclang", "-Xpreprocessor", "-Xassembler", "-Xanalyzer", "-Xarch_host", "-Xarch_device"),
            *("-Xopenmp-target", "-Xcuda-fatbinary", "-Xcuda-ptxas"),
            *("-mllvm", "-mmlir"),
            *("-working-directory", "-serialize-diagnostics"),
            *("--serialize-diagnostics", "-dependency-dot", "-dependency-file"),
            *("-module-dependency-dir", "-dumpdir", "-meabi", "--config"),
            *("-fexperimental-openacc-macro-override", "-ftrapv-handler", "-object-file-name"),
            *("-stdlib++-isystem", "-fdebug-compilation-dir", "-fnew-alignment"),
            *("-fmodule-implementation-of", "-iapinotes-modules"),
            *("-fmodules-user-build-path", "-iwithsysroot", "--vfsoverlay", "--system-header-prefix"),
            *("--no-system-header-prefix", "-mthread-model", "--analyzer-output", "-Xclangas"),
        ),
        CLANG,
    ),
    **dict.fromkeys(
        (
            *("-l", "-L", "-Xlinker", "-z", "-T", "-u", "-e", "-rpath", "-framework", "-weak_framework"),
            *("-b", "-Xoffload-linker", "--for-linker", "--library-directory", "--force-link"),
            *("-G", "-filelist", "-sectcreate"),
        ),
        LINK,
    ),
    **dict.fromkeys(
        (
            *("-B", "--prefix", "--sysroot", "-isysroot", "--stdlib", "--rtlib", "-specs", "--specs"),
            *("-resource-dir", "--unwindlib"),
        ),
        BOTH,
    ),
    **dict.fromkeys(("-MF", "-MT", "-MQ"), DEPENDENCIES),
}
#: Those that take more than one word.
_WORDS: "Final" = {"-sectcreate": 3}

#: Whole words.
_WORDS_ALONE: "Final" = {
    **dict.fromkeys(
        (
            *("-w", "-ansi", "-pedantic", "-pedantic-errors", "--pedantic", "--pedantic-errors", "-undef"),
            *("-trigraphs", "--trigraphs", "-traditional", "-traditional-cpp", "-nostdinc", "-nostdinc++"),
            *("-nobuiltininc", "-nostdlibinc", "-nogpuinc", "-nogpulib"),
            *("-integrated-as", "-no-integrated-as"),
            *("-Qunused-arguments", "-Qn", "-Qy", "-H", "-EL", "-EB", "--no-standard-includes", "--ansi"),
            *("-no-canonical-prefixes", "-canonical-prefixes", "-emit-llvm-uselists", "-relocatable-pch"),
            *("-no-integrated-cpp", "-integrated-cpp", "-save-temps=cwd", "-save-temps", "--save-temps"),
            *("--save-temps=cwd", "--no-integrated-cpp", "--warn-", "--all-warnings", "--extra-warnings"),
            *("-no-pthread", "-noprebind", "--analyze-auto", "--no-default-config", "-fno-profile-arcs"),
            *("--no-warnings", "-C", "-CC", "-P", "-print-ivar-layout", "-time", "-Q", "-remap", "-combine"),
            *("--signed-char", "--unsigned-char", "--trace-includes", "--traditional-cpp", "--comments"),
            *("--no-pedantic", "-no-pedantic", "--no-line-commands", "--relocatable-pch", "-dA"),
        ),
        CLANG,
    ),
    **dict.fromkeys(
        (
            *("-static", "--static", "-static-pie", "-rdynamic", "-no-pie", "-nopie", "-pie", "--pie", "-s"),
            *("-nostdlib", "-nodefaultlibs", "-nostartfiles", "-nolibc", "-nostdlib++", "-t", "-d"),
            *("-static-libgcc", "-shared-libgcc", "-static-libstdc++", "-static-libsan", "-shared-libsan"),
            *("-static-libasan", "-static-openmp", "-noseglinkedit", "--no-standard-libraries", "-Z"),
            *("-shared-libasan", "-no-pipe"),
        ),
        LINK,
    ),
    **dict.fromkeys(
        ("-pthread", "-pthreads", "--coverage", "-coverage", "-pg", "-p", "--profile", "-m32", "-mx32"), BOTH
    ),
    **dict.fromkeys(("-MD", "-MMD", "-MP", "-MG", "-MV", "--write-dependencies"), DEPENDENCIES),
    **dict.fromkeys(("--write-user-dependencies",), DEPENDENCIES),
    **dict.fromkeys(("-pipe", "--pipe"), DROPPED),
}

#: Beginnings of words with a value run together, the longer before the shorter.
_JOINED: "Final" = (
    *(
        (start, BOTH)
        for start in (
            *("-stdlib=", "--stdlib=", "-rtlib=", "--rtlib=", "-unwindlib=", "--unwindlib=", "--sysroot="),
            *("-isysroot", "-fsanitize", "-fno-sanitize", "-fprofile-", "-fcs-profile-", "-fcoverage"),
            *("-fopenmp", "-fno-openmp", "-fxray-", "-ffast-math", "-funsafe-math-opt"),
            *("-fmemory-profile", "-fsplit-stack", "-specs=", "--specs="),
            *("--gcc-toolchain=", "-resource-dir="),
            *("--gcc-install-dir=", "--gcc-triple=", "-B", "--prefix="),
        )
    ),
    *(
        (start, LINK)
        for start in (
            *("-Wl,", "-l", "-L", "-T", "-u", "-z", "-rpath=", "--library-directory="),
            *("--for-linker=", "--force-link=", "-Xoffload-linker", "-G", "-static-libgfortran", "-y"),
        )
    ),
    *((start, DEPENDENCIES) for start in ("-MF", "-MT", "-MQ")),
    *(
        (start, CLANG)
        for start in (
            *("-std=", "--std=", "-f", "-m", "-W", "-g", "-I", "-D", "-U", "-i", "-A", "--param=", "-dwarf-"),
            *("--include-directory=", "--define-macro=", "--undefine-macro=", "--include=", "--imacros="),
            *("--embed-dir=", "-cxx-isystem", "-stdlib++-isystem", "-ivfsoverlay", "-working-directory="),
            *("--start-no-unused-arguments", "--end-no-unused-arguments", "-Xarch_", "--for-assembler="),
            *("--config=", "-R", "--assert=", "--include-prefix=", "--include-with-prefix"),
            *("--system-header-prefix=", "--no-system-header-prefix=", "--warning-suppression-mappings="),
            *("-cl-", "-cuid=", "-Xclang=", "--include-directory-after="),
            *("--language-standard=", "-Xcuda", "--warn-", "--debug", "--optimize"),
            *("-ObjC", "-objcmt", "-mllvm=", "-nohipwrapperinc", "-tune-cpu", "-mmlir="),
        )
    ),
)

#: Options of the linker itself that no compiler driver knows by these names; `-Wl,` takes them there.
_LINKERS_OWN: "Final" = frozenset(
    (
        *("--start-group", "--end-group", "-(", "-)", "--start-lib", "--end-lib"),
        *("--whole-archive", "-whole-archive", "--no-whole-archive", "-no-whole-archive"),
        *("--as-needed", "--no-as-needed"),
        *("--push-state", "--pop-state", "--gc-sections", "--no-gc-sections"),
        *("--export-dynamic", "-export-dynamic"),
    )
)

#: What cannot be done here, and what to do instead.
_REFUSED: "Final" = {
    **dict.fromkeys(
        (
            *("-E", "--preprocess", "-M", "-MM", "--dependencies", "--user-dependencies"),
            *("-dM", "-dD", "-dI", "-dU"),
        ),
        "nothing is preprocessed alone here; run clang itself for it (-MD writes a depfile beside a build)",
    ),
    "-MJ": "no entry of a compilation database is written here; run clang itself for it",
    **dict.fromkeys(
        ("-S", "--assemble"),
        "assembly is written by --emit asm, LLVM's IR by --emit bitcode, a file for all inputs",
    ),
    "-emit-llvm": "LLVM's IR is written by --emit bitcode",
    **dict.fromkeys(
        (
            *("-fsyntax-only", "--analyze", "-verify-pch", "-emit-ast", "-emit-interface-stubs"),
            *("-module-file-info", "--precompile"),
        ),
        "nothing is built by it; run clang itself for it",
    ),
    **dict.fromkeys(
        ("-###", "-dumpmachine", "-dumpversion", "-dumpspecs", "--version", "-help", "--help-hidden"),
        "it asks clang about itself; run clang itself for it",
    ),
    **dict.fromkeys(
        ("-save-temps=obj", "--save-temps=obj"),
        "there is no folder for it; -save-temps=cwd writes into the folder that you are in",
    ),
    "-arch": "one target at a time is built: --target names it; for clang alone, --cflag=-arch --cflag=NAME",
}
_REFUSED_JOINED: "Final" = (
    ("-print-", "it asks clang about itself; run clang itself for it"),
    ("--print-", "it asks clang about itself; run clang itself for it"),
    ("-ccc-", "it changes clang's driver; run clang itself for it"),
)


_LANGUAGES: "Final" = (
    *("c", "c++", "cpp-output", "c++-cpp-output", "assembler", "assembler-with-cpp", "ir", "none"),
)


class BadWords(Exception):
    """Words that cannot be read: one line of what, why, and what to write instead."""


class Word:
    """An option with its value, or an input: where it goes, how it was written, what it is called here.

    `name` and `value` of an option of ours, of one about dependencies, and of clang's `-I -D -U --std
    --cflag`, which the environment can give as well; `--` of what stands behind that. `words` are what clang
    or the link driver is told. `language` is what `-x` said of an input, empty where its name tells.
    """

    __slots__ = ("language", "name", "place", "value", "words")

    def __init__(
        self, place: str, words: "tuple[str, ...]", name: str = "", value: str = "", language: str = ""
    ) -> None:
        self.place, self.words, self.name, self.value, self.language = place, words, name, value, language

    def __repr__(self) -> str:
        return f"Word({self.place}, {self.words}, {self.name}, {self.value}, {self.language})"


def read_words(given: "list[str]") -> "list[Word]":
    """Reads what stands behind `build`, in order. What stands behind `--` goes to the link, behind the rest.

    Raises BadWords.
    """
    words = expand(given)
    cut = words.index("--") if "--" in words else len(words)
    reader = _Reader(words[:cut])
    found = reader.read()
    return [*found, *_behind(words[cut + 1 :])]


def _behind(words: "list[str]") -> "list[Word]":
    """What is for the link alone is taken as it is, a value of an option with it."""
    found = []
    at = 0
    while at < len(words):
        size = 1 + (_PAIRS.get(words[at]) in (LINK, BOTH))
        found.append(Word(LINK, _for_driver(words[at : at + size]), "--"))
        at += size
    return found


def _for_driver(words: "list[str]") -> "tuple[str, ...]":
    return (f"-Wl,{words[0]}",) if words[0] in _LINKERS_OWN else tuple(words)


class _Reader:
    def __init__(self, words: "list[str]") -> None:
        self.words, self.at, self.language = words, 0, ""
        self.foreign = False  # whether the linker was told that files are of another format

    def read(self) -> "list[Word]":
        found = []
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            one = self._option(word) if word[:1] == "-" and word != "-" else self._input(word)
            if one is not None:
                found.append(one)
                if one.place == LINK:
                    self._note_format(",".join(one.words).split(","))
        return found

    def _note_format(self, parts: "list[str]") -> None:
        before = ""
        for part in parts:
            value = part.partition("=")[2] if part.startswith(("--format=", "-format=")) else ""
            if before in ("-b", "--format", "-format"):
                value = part
            if value:
                self.foreign = value != "default" and not value.startswith("elf")
            before = part

    def _input(self, word: str) -> Word:
        if not word:
            raise BadWords("an input's name is empty: name a file")
        if word == "-" and not self.language:
            raise BadWords("'-': standard input is of an unknown language; put -x c before it")
        return Word(INPUT, (word,), language=LINK if self.foreign else self.language)

    def _value(self, option: str) -> str:
        if self.at >= len(self.words):
            raise BadWords(f"Option '{option}' requires an argument.")
        self.at += 1
        return self.words[self.at - 1]

    def _option(self, word: str) -> "Word | None":
        if word in _SAME:
            name, _, value = _SAME[word].partition("=")
            # A partial link takes what else the linker is told.
            return Word(OURS, (word,), name, value)
        ours = self._ours(word)
        if ours is not None:
            return ours
        if word.startswith(("-fuse-ld=", "--ld-path=")):
            return Word(OURS, (word,), "--linker", word.partition("=")[2])
        if word in ("-Wp,-MD", "-Wp,-MMD") or word.startswith(("-Wp,-MD,", "-Wp,-MMD,")):
            # As clang's driver has it: of more than a file nothing is taken.
            _, kind, *rest = word.split(",")
            words = (kind, "-MF", *rest) if len(rest) == 1 else (kind,)
            return Word(DEPENDENCIES, words, kind, *words[2:])
        if word == "-x" or word[:2] == "-x" or word[:10] == "--language":
            value = word[2:] if word[:2] == "-x" else word[11:]
            language = value or self._value(word)
            if language not in _LANGUAGES:
                raise BadWords(
                    f"'-x {language}' is not taken: languages are {', '.join(_LANGUAGES)}; "
                    "compile others with clang, and name its objects"
                )
            self.language = "" if language == "none" else language
            return None
        if word[:2] == "-O" and word[:5] != "-ObjC":
            return Word(OURS, (word,), "-O", word[2:])
        if word in _REFUSED or word.startswith(tuple(start for start, _ in _REFUSED_JOINED)):
            raise BadWords(f"'{self._in_full(word)}' is not taken: {_remedy(word)}")
        if word in _LINKERS_OWN:
            return Word(LINK, (f"-Wl,{word}",))
        place = _WORDS_ALONE.get(word)
        if place is not None:
            return Word(place, (word,), word if place == DEPENDENCIES else "")
        place = _PAIRS.get(word)
        if place is not None:
            values = [self._value(word) for _ in range(_WORDS.get(word, 1))]
            return _pair(place, word, values)
        for start, place in _JOINED:
            if word.startswith(start):
                return _joined(place, start, word)
        raise BadWords(
            f"No such option '{word}': {_meant(word)}clang takes it as --cflag={word}, the linker behind -- "
            "at the end"
        )

    def _ours(self, word: str) -> "Word | None":
        if word in _FLAGS:
            return Word(OURS, (word,), word)
        if word in VALUED:
            return Word(OURS, (word,), word, self._value(word))
        name, equals, value = word.partition("=")
        if equals and (name in VALUED or name == "--verify"):
            return Word(OURS, (word,), name, value)
        if word in ("--cflag", "--std"):
            name, value, equals = word, self._value(word), "="
        if equals and name in ("--cflag", "--std"):
            words = (value,) if name == "--cflag" else (f"-std={value}",)
            return Word(CLANG, words, name)
        if word[:2] in ("-o", "-j"):
            return Word(OURS, (word,), word[:2], word[2:])
        if word in ("-target", "--target"):
            return Word(OURS, (word,), "--target", self._value(word))
        if len(word) > 2 and not word[1:].strip("vqh"):
            return Word(OURS, (word,), word)
        return None

    def _in_full(self, word: str) -> str:
        value = self.words[self.at : self.at + (word in _PAIRS or word in ("-MJ", "-arch"))]
        return " ".join((word, *value))


def _remedy(word: str) -> str:
    return _REFUSED.get(word) or next(why for start, why in _REFUSED_JOINED if word.startswith(start))


#: Their value can stand behind an equals sign, and gcc knows no other way.
_EQUALS: "Final" = frozenset(("--stdlib", "--rtlib", "--unwindlib", "-specs", "--specs"))
_ENVIRONMENT_TOO: "Final" = ("-I", "-D", "-U")


def _meant(word: str) -> str:
    """The option of ours that a word may be a misspelling of, for a message; empty if none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word.partition("=")[0], sorted(VALUED | _FLAGS | {"--std", "--cflag"}), 1, 0.75)
    return f"did you mean {near[0]}? Else " if near else ""


def _pair(place: str, word: str, values: "list[str]") -> Word:
    if word in _ENVIRONMENT_TOO:
        return Word(place, (word + values[0],), word, values[0])
    if place == DEPENDENCIES:
        return Word(place, (word, *values), word, values[0])
    if word in _EQUALS:
        return Word(place, (f"{word}={values[0]}",))
    return Word(place, _linkers_spelling(word, values) if place == LINK else (word, *values))


def _joined(place: str, start: str, word: str) -> Word:
    if start in _ENVIRONMENT_TOO:
        return Word(place, (word,), start)
    if start in ("-std=", "--std="):
        return Word(place, ("-std=" + word[len(start) :],), "--std")
    if place == DEPENDENCIES:
        return Word(place, (word,), start, word[len(start) :])
    if start in ("-rpath=", "--for-linker=", "--force-link=", "--library-directory="):
        return Word(place, _linkers_spelling(start[:-1], [word[len(start) :]]))
    return Word(place, (word,))


def _linkers_spelling(option: str, values: "list[str]") -> "tuple[str, ...]":
    """As both gcc and clang take it."""
    if option == "-rpath":
        return ("-Xlinker", option, "-Xlinker", *values)
    if option == "--for-linker":
        return ("-Xlinker", *values)
    if option in ("--library-directory", "--force-link"):
        return ({"--library-directory": "-L", "--force-link": "-u"}[option], *values)
    return (option, *values)


def expand(words: "list[str]", within: "tuple[str, ...]" = ()) -> "list[str]":
    """Puts the words of `@FILE` in its place, as clang does; where there is no such file it is a word.

    Raises BadWords for a file that cannot be read or holds itself.
    """
    if not any(word[:1] == "@" for word in words):
        return words
    found = []
    for word in words:
        path = word[1:]
        if word[:1] != "@" or not os.path.exists(path):
            found.append(word)
            continue
        real = os.path.realpath(path)
        if real in within:
            raise BadWords(f"'{word}': the file holds itself; take it out of {within[-1]}")
        try:
            content, _ = read_plain(
                path
            )  # twice, by whoever asks for an up-to-date record first: a pipe could not be
            text = os.fsdecode(content.removeprefix(b"\xef\xbb\xbf"))
        except OSError as error:
            raise BadWords(f"'{word}': the file cannot be read: {error.strerror}") from None
        found += expand(split(text), (*within, real))
    return found


def split(text: str) -> "list[str]":
    """The words of a file of options (LLVM's TokenizeGNUCommandLine): quotes group, backslashes escape."""
    words = []
    word = ""
    at = 0
    while at < len(text):
        letter = text[at]
        if letter == "\\" and at + 1 < len(text):
            at += 1
            word += text[at]
        elif letter in "'\"":
            at += 1
            while at < len(text) and text[at] != letter:
                if text[at] == "\\" and at + 1 < len(text):
                    at += 1
                word += text[at]
                at += 1
        elif letter in " \t\r\n":
            if word:
                words.append(word)
            word = ""
        else:
            word += letter
        at += 1
    return [*words, word] if word else words
