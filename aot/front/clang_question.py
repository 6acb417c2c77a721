"""A run of clang as a question, and the keys under which its manifest and its answers are kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from nativecache.aot.front import clang
from nativecache.aot.key import own_record
from nativecache.aot.request import folder_of, told_of
from nativecache.cache.dependencies import Dependency
from nativecache.cache.recipe import Recipe
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

#: Flags with which IR and messages are the same wherever clang runs, as long as the files that it reads by
#: names relative to there are the same: none of debug information, profiles or files made before.
_ANYWHERE: Final = re.compile(
    r"-(?:[DIU].+|(?:isystem|iquote|idirafter).+|std=.+|O[0-3gsz]?|Ofast|W(?![apl],).+|w|pedantic(?:-errors)?"
    r"|ansi|pthread|pipe|g0|nostdinc(?:\+\+)?|trigraphs|stdlib=.+|m[\w.=+-]+"
    r"|f(?:no-)?(?:PIC|pic|PIE|pie|plt|common|builtin|freestanding|exceptions|rtti|inline|fast-math|math-errno"
    r"|strict-aliasing|wrapv|signed-char|unsigned-char|omit-frame-pointer|(?:function|data)-sections"
    r"|visibility=\w+|visibility-inlines-hidden|(?:asynchronous-)?unwind-tables|stack-protector(?:-\w+)?"
    r"|threadsafe-statics|semantic-interposition|trapping-math|fp-contract=\w+|short-enums|char8_t))"
)
#: Those of them that another word follows.
_WITH_WORD: Final = frozenset(("-D", "-I", "-U", "-isystem", "-iquote", "-idirafter"))


#: Flags that say nothing about where clang looks for headers.
_ELSEWHERE_NONE: Final = re.compile(r"-[DU].+|-O\w*|-W[\w=+-]*")


@dataclass(frozen=True, slots=True)
class Question:
    """A run of clang: to a native object if `whole`, else to printed IR."""

    clang: clang.Clang
    source: Path
    level: int
    flags: tuple[str, ...]
    whole: bool
    key: str
    #: The key of what is asked but for the source; "" where what clang makes may show where it ran.
    anywhere: str = ""

    def place(self, name: str) -> str:
        """Where we find what clang finds under a name."""
        return os.path.join(folder_of(self.source), name)


def _host(flags: Sequence[str]) -> str:
    """The machine's own CPU, where a flag asks for it."""
    if not any("native" in flag for flag in flags):
        return ""
    from nativecache.aot.codegen import llvm

    return str(llvm.host())


def rests_on_folder(front: clang.Clang, flags: Sequence[str], *, whole: bool) -> bool:
    """Whether what clang makes may show in which folder it ran; with an unknown flag it may.

    ccache's `hash_dir` asks for debug information alone; here what is not known not to show it does.
    """
    if whole or any("/" in word and not os.path.isabs(word) for word in front.command):
        return True
    return next(unknown_flags(flags), None) is not None


def unknown_flags(flags: Sequence[str]) -> Iterator[str]:
    """The flags that are none of those with which the same comes of the same files, wherever clang runs."""
    words = iter(flags)
    for flag in words:
        if flag in _WITH_WORD:
            next(words, "")
        elif not _ANYWHERE.fullmatch(flag):
            yield flag


def run_recipe(
    front: clang.Clang,
    program: Sequence[str],
    level: int,
    flags: Sequence[str],
    *,
    whole: bool,
    environ: Sequence[str],
    folder: str,
    beside: Sequence[str] = (),
) -> Recipe:
    """What a run of clang is but for its source, of which `source_fields` come behind.

    `program`: what tells it from another clang.

    `environ`: the variables that clang looks at, as NAME=VALUE. `folder`: where it runs, if what it makes
    may show that. `beside`: what its answer shows besides, as of a depfile.
    """
    if not folder:
        environ = [variable for variable in environ if not variable.startswith("PWD=")]
    return Recipe(
        *own_record("manifest"),
        ("clang", str(front.version)),
        *(("command", word) for word in front.command),
        *(("program", word) for word in program),
        ("host", _host(flags)),
        *(("variable", variable) for variable in environ),
        ("folder", folder),
        ("encoding", sys.getfilesystemencoding()),  # other ones cannot say the names that are noted
        ("level", str(level)),
        ("output", "object" if whole else "IR"),
        *(("flag", flag) for flag in flags),
        *(("beside", word) for word in beside),
    )


def source_fields(source: Path) -> tuple[tuple[str, str], ...]:
    """What a run of clang is on, before anything is read."""
    return ("language", clang.language(source)), ("source", os.fspath(source)), ("told", told_of(source))


def search_recipe(
    front: clang.Clang,
    program: Sequence[str],
    language: str,
    flags: Sequence[str],
    environ: Sequence[str],
    folder: str = "",
) -> Recipe:
    """What decides where clang looks for headers, as far as it is no file or folder.

    `folder`: where clang is run, if not in the current folder.
    """
    return Recipe(
        *own_record("search"),
        *(("command", word) for word in front.command),
        *(("program", word) for word in program),
        *(("variable", variable) for variable in environ),
        ("folder", folder or os.getcwd()),
        ("encoding", sys.getfilesystemencoding()),
        ("language", language),
        *(("flag", flag) for flag in flags if not _ELSEWHERE_NONE.fullmatch(flag)),
    )


def result_recipe(question: str, dependencies: Iterable[Dependency]) -> Recipe:
    """What clang's answer to a question, given by its key, rests on."""
    return Recipe(
        *own_record("answer"),
        ("question", question),
        *(("dependency", repr(tuple(dependency))) for dependency in dependencies),
    )
