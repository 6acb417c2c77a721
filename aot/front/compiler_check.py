"""Tells one compiler from another, so that what another made of a source is not taken for this one's.

Modelled on ccache's `compiler_check`. What is asked, by default (`auto`), is the content of the compiler,
and names, sizes and times of LLVM's libraries beside it. A compiler that is no ELF program is a script, which
may run and read anything: it is asked besides what it would have clang do (`-###`), so that another clang,
other flags or variables show. What it does otherwise remains unknown.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nativecache.aot.errors import UsageError
from nativecache.aot.front import clang
from nativecache.cache.dependencies import Dependency, StatCache, digest_file, measure, observe, say
from nativecache.cache.entry import Entry
from nativecache.cache.files import open_plain
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.linker import lazy_re as re
from nativecache.linker.tools import find_program

#: What stands for the compiler's name in a command.
_COMPILER: Final = "%compiler%"

_LLVM_LIBRARY: Final = re.compile(r"lib(?:clang-cpp|LLVM)\b.*\.(?:so\b.*|dylib)$")

#: What keeps clang from telling that it met the time of day, if a script says it.
_HUSHING: Final = re.compile(rb'"(?:-w|-Wno-date-time|-Wno-everything|--?warning-suppression-mappings.*?)"')

#: Up to this size a program is read each time; a larger one's digest is kept, by its status.
_SMALL: Final = 1 << 20


def check_words(check: str) -> None:
    """Raises UsageError unless the words are ones for `--compiler-check`."""
    if not check.strip():
        raise UsageError("--compiler-check: auto, content, mtime, none, string:TEXT or a command is wanted")


class Compilers:
    """Asks compilers who they are, each once per build. `programs` can be noted as dependencies.

    `said` is what scripts answered to which words; `hushing`, that it would keep clang from warning. `doubts`
    says why nothing can be noted of a compiler that would hold as long as it does the same, or "".
    """

    def __init__(self, check: str, store: EntryStore) -> None:
        check_words(check)
        self._check, self._store = check, store
        self._outputs: dict[str, str] = {}
        self.said: dict[tuple[str, ...], str] = {}
        self.hushing = False
        self._memo: StatCache = {}
        self._known: dict[tuple[object, ...], tuple[str, ...]] = {}
        self._in_full: dict[str, bool] = {}
        self.programs: dict[str, None] = {}
        self.doubts = ""

    def identity(self, front: clang.Clang, source: Path, level: int, flags: Sequence[str]) -> tuple[str, ...]:
        """What tells a compiler from another. Raises UsageError where a command that tells it fails."""
        asked = (front.command, clang.language(source), level, tuple(flags))
        known = self._known.get(asked)
        if known is None:
            known = self._known[asked] = self._identify(front, source, level, flags)
        return known

    def _identify(
        self, front: clang.Clang, source: Path, level: int, flags: Sequence[str]
    ) -> tuple[str, ...]:
        path = _which(front.command[0])
        how, _, text = self._check.partition(":")
        if self._check == "none":
            return ("none",)
        if how == "string":
            return ("string", text)
        self.programs[path] = None
        if self._check == "mtime":
            return ("mtime", measure("program", (path,), self._memo))
        if self._check in ("auto", "content"):
            asked = ("content", os.path.realpath(path), self._content(path), *self._libraries(path))
            if self._check == "auto" and _is_script(path):
                words = (*front.command, "-x", clang.language(source), f"-O{level}", *flags)
                asked += (self._answer((*words, "-fsyntax-only", "-###", os.devnull)),)
            return asked
        self.doubts = "a command tells one compiler from another (--compiler-check)"
        return ("command", self._output(self._check.replace(_COMPILER, path)))

    def known_in_full(self, front: clang.Clang) -> bool:
        """Whether a compiler is told by its content: a program, no script, which may look at anything."""
        path = _which(front.command[0])
        known = self._in_full.get(path)
        if known is None:
            known = self._in_full[path] = self._check in ("auto", "content") and not _is_script(path)
        return known

    def dependencies(self, program: str, memo: StatCache) -> list[Dependency]:
        """The dependencies on the program that really compiles, which may be another than was called."""
        if self._check == "none" or self._check.startswith("string:"):
            return []
        dependencies = [observe("program", (program,), memo)]
        if self._check != "mtime" and _size(program) <= _SMALL:
            dependencies.append(observe("file", (program,), memo))
        return dependencies

    def _content(self, path: str) -> str:
        if _size(path) <= _SMALL:
            return measure("file", (path,), self._memo)
        key = content_recipe(path, measure("stat", (path,), self._memo)).key()
        known = self._store.load(key)
        if known:
            return known.payload.decode("ascii", "replace")
        digest = digest_file(path)
        if digest:
            self._store.save(Entry(key, digest.encode(), {}))
        return digest

    def _libraries(self, path: str) -> list[str]:
        folder = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(path))), "lib")
        try:
            names = sorted(filter(_LLVM_LIBRARY.match, os.listdir(folder)))
        except OSError:
            return []
        found = [os.path.join(folder, name) for name in names]
        self.programs.update(dict.fromkeys(found))
        return [measure("program", (library,), self._memo) for library in found]

    def _answer(self, words: tuple[str, ...]) -> str:
        """A digest of what a script says that it would do."""
        if words not in self.said:
            said = say(words)
            self.hushing |= bool(_HUSHING.search(said))
            self.said[words] = hashlib.sha256(said).hexdigest()
        return self.said[words]

    def _output(self, command: str) -> str:
        if command not in self._outputs:
            said = say(("/bin/sh", "-c", command))
            status, _, output = said.partition(b"\n")
            if status != b"0":
                raise UsageError(f"--compiler-check: this failed: {command}")
            self._outputs[command] = hashlib.sha256(output).hexdigest()
        return self._outputs[command]


def content_recipe(path: str, status: str) -> Recipe:
    """What the digest of a program's content is kept under: where it really is, and its `stat` dependency."""
    return Recipe(("kind", "content"), ("path", os.path.realpath(path)), ("stat", status))


def _which(program: str) -> str:
    return find_program(program, os.environ) or program


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _is_script(path: str) -> bool:
    try:
        with open_plain(path) as file:
            return file.read(4) != b"\x7fELF"
    except OSError:
        return True
