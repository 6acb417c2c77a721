"""Reads a compiler's command line: which compile of one source it asks for, if that may be kept.

Flags are taken by an allow-list of how they begin. Whatever else stands on the line, the real compiler gets
the line untouched, and the reason is counted: nothing here is to guess what an unknown word means.

This module is loaded before anything else, to answer in no time when nothing has changed: it imports nothing.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: What clang calls the language of a source by its suffix, of those that are kept.
LANGUAGES: "Final" = {
    ".c": "c",
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".c++", ".C"), "c++"),
    ".S": "assembler-with-cpp",
}

#: Words that ask for something else than an object, and what.
_OTHER_JOBS: "Final" = {
    **dict.fromkeys(("-E", "-M", "-MM", "-MG", "-MV", "-MJ", "-C", "-CC", "-P", "-H"), "preprocessing"),
    **dict.fromkeys(("-dM", "-dD", "-dI", "-dU", "--preprocess", "-M-"), "preprocessing"),
    **dict.fromkeys(("-S", "--assemble", "-emit-llvm", "-emit-ast", "--precompile"), "another_output"),
    **dict.fromkeys(("-fsyntax-only", "--analyze", "-###", "-v", "--version", "-"), "another_output"),
    **dict.fromkeys(("-save-temps", "--save-temps"), "more_outputs"),
    "-Xclang": "inner_option",
    "-mllvm": "inner_option",
    "-x": "language",
}
#: How words begin with which clang reads or writes more files, or passes of its own run.
_DENIED: "Final" = (
    *(
        (start, "instrumented")
        for start in (
            *("-fsanitize", "-fno-sanitize", "-fprofile-", "-fcs-profile", "-fcoverage", "-ftest-coverage"),
            *("-fauto-profile", "-fmemory-profile", "-fxray"),
        )
    ),
    *(
        (start, "modules")
        for start in (
            "-fmodule",
            "-fprebuilt",
            "-fimplicit-module",
            "-fcxx-modules",
            "-fpch",
            "-fbuiltin-module",
        )
    ),
    *(
        (start, "more_outputs")
        for start in (
            *("-gsplit-dwarf", "-save-temps", "--save-temps", "-ftime-", "-fsave-optimization"),
            *("-foptimization-rec", "-fstack-usage", "-fdump", "-fproc-stat", "-save-stats", "-dump"),
        )
    ),
    *(
        (start, "unknown_flag")
        for start in (
            *("-fplugin", "-fpass-plugin", "-fthin", "-gmodules", "-gen-", "-fembed-", "-fbuild-session"),
            *("-fopenmp-targets", "-fsycl", "-fcas", "-fdepscan", "-foffload", "-fno-integrated-as"),
            *("-frecord-", "-grecord-", "-fapinotes", "-mmlir", "-mllvm", "-ftrapv-handler", "-gcc"),
            *(
                "-include-",
                "-fexperimental-openacc",
                "-fmodule",
                "-mthread-model",
                "-meabi",
                "-gcodeview",  # names the output, and with more words the whole command line
                "-objc",
                "-ObjC",
            ),
            *("-stdlib++", "-fintegrated-cc1", "-fno-integrated-cc1", "-fdriver", "-fcrash", "-fgen-"),
        )
    ),
)
#: With a word of its own as value.
_PAIRS: "Final" = frozenset(
    (
        *("-I", "-D", "-U", "-isystem", "-iquote", "-idirafter", "-include", "-imacros", "-isysroot"),
        *("--sysroot", "-target", "--param", "-L"),
    )
)
#: Whole words.
_ALONE: "Final" = frozenset(
    (
        *("-w", "-ansi", "-pedantic", "-pedantic-errors", "-nostdinc", "-nostdinc++", "-nobuiltininc"),
        *(
            "-nostdlibinc",
            "-undef",
            "-trigraphs",
            "-traditional-cpp",
            "-pthread",
            "-pipe",
            "-Qunused-arguments",
        ),
        *("-integrated-as", "--no-default-config", "-static", "-no-pie", "-pie", "-rdynamic", "-W"),
    )
)
#: How flags begin that clang's object depends on by their words alone, and by files that are noted.
_JOINED: "Final" = (
    *("-I", "-D", "-U", "-isystem", "-iquote", "-idirafter", "-isysroot", "-std=", "--std=", "-O", "-W"),
    *("-f", "-m", "-g", "--sysroot=", "--target=", "-stdlib=", "--gcc-toolchain=", "--gcc-install-dir="),
    *("-Wa,", "-Wl,", "-l", "-L"),
)
#: Clang's options that begin like those, and take a word of their own.
_LONGER_PAIRS: "Final" = frozenset(
    (
        *("-fdebug-compilation-dir", "-fnew-alignment", "-isystem-after", "-iwithsysroot", "-fuse-ld"),
        *("-framework", "-filelist", "-l", "-lazy_framework", "-lazy_library"),
        "-module-dependency-dir",
    )
)
#: Architectures that clang has another program's assembler for, which it looks for on PATH.
_OTHER_ASSEMBLERS: "Final" = ("nvptx", "xcore")


class Passed(Exception):
    """A command line is the real compiler's alone; `reason` says why, in a word for the counters."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Call:
    """A compile of one source to an object, in a form of its own.

    `flags` are all words but those for the output, the depfile and the source. `depends` is `-MD`, `-MMD` or
    "", `targets` the words that name the depfile's, `depfile` its path: clang's defaults are filled in.
    """

    def __init__(
        self,
        source: str,
        language: str,
        output: str,
        flags: "list[str]",
        depends: str,
        depfile: str,
        targets: "list[str]",
        phony: bool,
    ) -> None:
        self.source, self.language, self.output, self.flags = source, language, output, flags
        self.depends, self.depfile, self.targets, self.phony = depends, depfile, targets, phony

    def rule(self) -> "list[str]":
        """The words that say what is in the depfile."""
        if not self.depends:
            return []
        return [self.depends, *(["-MP"] if self.phony else []), *self.targets]


def read_call(words: "list[str]", *, cplusplus: bool) -> Call:
    """The compile that a compiler's words, without its name, ask for. Raises Passed."""
    if any(word[:1] == "@" for word in words):
        words = _expanded(words)
    if "-c" not in words:
        raise Passed(_why_no_object(words))
    return _Reader(words).read(cplusplus=cplusplus)


def _expanded(words: "list[str]") -> "list[str]":
    from nativecache.cli.words import BadWords, expand

    try:
        words = expand(words)
    except BadWords:
        raise Passed("response_file") from None
    # There is no such file, or it holds what cannot be handed on as words.
    if any(word[:1] == "@" or "\0" in word for word in words):
        raise Passed("response_file")
    return words


def _why_no_object(words: "list[str]") -> str:
    reasons = [_OTHER_JOBS[word] for word in words if word in _OTHER_JOBS]
    if reasons:
        return reasons[0]
    return "link" if any(word[:1] != "-" for word in words) else "another_output"


def _check_target(target: str) -> None:
    if target.startswith(_OTHER_ASSEMBLERS):
        raise Passed("unknown_flag")


class _Reader:
    """Reads words one after the other."""

    def __init__(self, words: "list[str]") -> None:
        self._words = iter(words)
        self._sources: list[str] = []
        self._flags: list[str] = []
        self._output = self._depends = self._depfile = ""
        self._targets: list[str] = []
        self._phony = False

    def read(self, *, cplusplus: bool) -> Call:
        for word in self._words:
            if word[:1] != "-":
                self._sources.append(word)
            elif not (self._outputs(word) or self._dependencies(word)):
                self._flag(word)
        if len(self._sources) != 1:
            raise Passed("several_sources" if self._sources else "no_source")
        return self._call(self._sources[0], cplusplus=cplusplus)

    def _value(self) -> str:
        value = next(self._words, "")
        if not value:
            raise Passed("unknown_flag")
        return value

    def _outputs(self, word: str) -> bool:
        if word == "-c":
            return True
        if word != "-o":
            return False
        if self._output:
            raise Passed("unknown_flag")
        self._output = self._value()
        return True

    def _dependencies(self, word: str) -> bool:
        if word in ("-MD", "-MMD"):
            self._depend(word)
        elif word == "-MP":
            self._phony = True
        elif word in ("-MT", "-MQ"):
            self._targets += (word, self._value())
        elif word == "-MF":
            self._depfile = self._value()
        elif word[:3] in ("-MT", "-MQ"):
            self._targets += (word[:3], word[3:])
        elif word[:3] == "-MF":
            self._depfile = word[3:]
        elif word[:7] == "-Wp,-MD" or word[:8] == "-Wp,-MMD":
            # Clang's driver reads the two as -MD -MF (Driver::TranslateInputArgs).
            _, depends, *rest = word.split(",")
            if depends not in ("-MD", "-MMD") or len(rest) > 1:
                raise Passed("unknown_flag")
            self._depend(depends)
            self._depfile = rest[0] if rest else self._depfile
        else:
            return False
        return True

    def _depend(self, word: str) -> None:
        if self._depends not in ("", word):  # clang warns that it does not use one of them
            raise Passed("unknown_flag")
        self._depends = word

    def _flag(self, word: str) -> None:
        if word in _OTHER_JOBS:
            raise Passed(_OTHER_JOBS[word])
        if word in _PAIRS:
            value = self._value()
            if word == "-target":
                _check_target(value)
            self._flags += (word, value)
            return
        for start, reason in _DENIED:
            if word.startswith(start):
                raise Passed(reason)
        if word in _LONGER_PAIRS or not (word in _ALONE or word.startswith(_JOINED)):
            raise Passed("unknown_flag")
        if word.startswith("-Wp,") and not all(part[:2] in ("-D", "-U") for part in word.split(",")[1:]):
            raise Passed("unknown_flag")
        if word.startswith("--target="):
            _check_target(word.partition("=")[2])
        if word.endswith("native") or "=native+" in word:  # the machine's own CPU
            raise Passed("native_cpu")
        self._flags.append(word)

    def _call(self, source: str, *, cplusplus: bool) -> Call:
        name = os.path.basename(source)
        stem, suffix = os.path.splitext(name)
        language = LANGUAGES.get(suffix, "")
        if not language:
            raise Passed("language")
        if cplusplus and language == "c":
            language = "c++"
        if stem[-1:] == "." or "\n" in source:  # where clang cuts a suffix off otherwise
            raise Passed("language")
        output = self._output or stem + ".o"
        rest, ending = os.path.splitext(output)
        if self._depends and not self._depfile and not ending:
            raise Passed("unknown_flag")
        if (self._depfile or self._targets or self._phony) and not self._depends:
            raise Passed("unknown_flag")
        # Clang's defaults (clang/lib/Driver/ToolChains/Clang.cpp).
        depfile = (self._depfile or (rest if self._output else stem) + ".d") if self._depends else ""
        targets = self._targets or ["-MQ", output]
        return Call(
            source,
            language,
            output,
            self._flags,
            self._depends,
            depfile,
            targets if self._depends else [],
            self._phony,
        )
