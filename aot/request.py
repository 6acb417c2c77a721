"""What is asked of a build. Light to import: clang is started before the rest is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PosixPath
from typing import Final, Literal

from nativecache.aot.errors import BuildError, UsageError
from nativecache.cache.lookup import EntryStore
from nativecache.linker.values import dataclass, field

#: What a build writes.
EmitKind = Literal["exe", "shared", "object", "archive", "asm", "bitcode"]
#: What is compiled and kept in one piece: `auto` is files at -O0, where nothing is inlined, else functions.
Granularity = Literal["auto", "function", "file"]
EMIT_KINDS: Final[tuple[EmitKind, ...]] = ("exe", "shared", "object", "archive", "asm", "bitcode")


class Input(PosixPath):
    """An input under the very name that the user gave it, for a path of Python's forgets about `./`.

    `./-x.c` is a file where `-x.c` would be an option, and `__FILE__` is what clang was told. `language` is
    what its `-x` calls the input's language, empty where the name tells, `link` for what only linkers know.
    `ending` is the name's suffix, which is asked for a dozen times. `flags` are clang's for this one input,
    behind those for all, `level` is the -O level that it is compiled at if that is its own. `folder` is where
    clang is run for it, absolute, empty for the current one; what clang is `told` is its name from there.

    Inputs of one name are equal, whatever their flags: that is what a file system knows of them.
    """

    __slots__ = ("ending", "flags", "folder", "given", "language", "level", "told")

    given: str
    language: str
    ending: str
    flags: tuple[str, ...]
    level: int | None
    folder: str
    told: str

    @classmethod
    def named(
        cls,
        given: str,
        language: str = "",
        *,
        flags: tuple[str, ...] = (),
        level: int | None = None,
        folder: str = "",
    ) -> Input:
        """The input of a name, which may hold bytes that are no text (`surrogateescape`)."""
        told = given
        while folder and given.startswith("./"):  # as clang has it in depfiles
            given = given[2:].lstrip("/")
        given = os.path.join(folder, given)
        path = cls(given)
        path.given, path.language, path.ending = given, language, path.suffix
        path.flags, path.level, path.folder, path.told = flags, level, folder, told
        return path

    @property
    def suffix(self) -> str:
        """As compilers have it: `.c` is all suffix."""
        return super().suffix or (self.name if self.name[:1] == "." else "")

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.name[: len(self.name) - len(self.suffix)]

    def __str__(self) -> str:
        return getattr(self, "given", "") or super().__str__()

    def __fspath__(self) -> str:
        return str(self)


def labels_of(inputs: Iterable[Path]) -> list[str]:
    """What each input is called in messages and where lines are noted: its name.

    A file that comes again, which it does with other flags, has a number behind it.
    """
    seen: dict[str, int] = {}
    labels = []
    for name in map(str, inputs):
        seen[name] = seen.get(name, 0) + 1
        labels.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return labels


def own_flags(path: Path) -> tuple[str, ...]:
    """Clang's flags that are an input's own."""
    return getattr(path, "flags", ())


def level_of(path: Path, level: int) -> int:
    """The -O level that an input is compiled at in a build at a `level`."""
    own: int | None = getattr(path, "level", None)
    return level if own is None else own


def folder_of(path: Path) -> str:
    """The folder in which clang is run for an input, empty for the current one."""
    return getattr(path, "folder", "")


def told_of(path: Path) -> str:
    """What clang is told an input is called."""
    return getattr(path, "told", "") or os.fspath(path)


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Depfiles to write: with system headers or without, further flags, and where clang's own names differ.

    `output` is the one that the user named, if any; `file` the depfile, `targets` words with `-MT`, `-MQ`.
    """

    system: bool
    flags: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    file: str | None = None
    output: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asks of a build. `linker` and `driver` are names or paths; None lets us choose.

    `line`: inputs, as paths, and words for the link, in the order in which they were written.
    """

    line: tuple[Path | str, ...]
    output: Path
    store: EntryStore
    emit: EmitKind = "exe"
    level: int = 2
    optimize: bool = True
    target: str | None = None
    cpu: str | None = None
    features: str = ""
    threads: int = 1
    clang: str | None = None
    #: What tells one compiler from another: see compiler_check.py.
    compiler_check: str = "auto"
    clang_flags: tuple[str, ...] = ()
    #: The flags by which units are compiled, as far as IR does not tell; None for `clang_flags`. Sources
    #: whose own flags have code generated in another way are compiled whole.
    unit_flags: tuple[str, ...] | None = None
    granularity: Granularity = "auto"
    #: Sources that clang is to compile alone, whatever the flags say.
    whole: frozenset[Path] = frozenset()
    linker: str = "auto"
    driver: str | None = None
    engine: str = "auto"
    #: The longest function, in simplified lines, that is inlined across units; None for the default.
    import_lines: int | None = None
    verify_percent: float = 0.0  # of the hits, to be compiled again and compared
    #: Whether heads of sources are precompiled where that pays.
    preambles: bool = True
    environ: Mapping[str, str] = field(default_factory=dict)
    dependencies: Dependencies | None = None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The inputs of a build, in order."""
        return tuple(item for item in self.line if isinstance(item, Path))

    @property
    def code_flags(self) -> tuple[str, ...]:
        """The flags by which units are compiled."""
        return self.clang_flags if self.unit_flags is None else self.unit_flags

    @property
    def all_flags(self) -> tuple[str, ...]:
        """Clang's flags for any of the inputs, each of those that are one input's own once."""
        own = (flag for path in self.inputs for flag in own_flags(path))
        return (*self.clang_flags, *dict.fromkeys(own))

    def flags_of(self, path: Path) -> tuple[str, ...]:
        """Clang's flags for an input: those for all, then its own."""
        return (*self.clang_flags, *own_flags(path))

    def level_of(self, path: Path) -> int:
        """The -O level that an input is compiled at."""
        return level_of(path, self.level)

    @property
    def by_file(self) -> bool:
        """Whether clang compiles each of its files in one piece, which is kept as one.

        At -O0 that costs a quarter of cutting a file up, and an edit no more than that.
        """
        if self.emit in ("asm", "bitcode") or self.granularity == "function":
            return False
        return self.granularity == "file" or (self.level == 0 and not self.features)

    @property
    def link_options(self) -> tuple[str, ...]:
        """What the link is told besides inputs, in order."""
        return tuple(item for item in self.line if isinstance(item, str))


def check(request: Request) -> None:
    """Raises BuildError or UsageError where the output cannot be written."""
    if request.output.is_dir():
        raise BuildError(f"{request.output}: is a directory; name a file with -o")
    if not request.output.absolute().parent.is_dir():
        raise BuildError(f"{request.output}: its folder does not exist")
    if request.by_file and request.features:
        raise UsageError("--features: is not for files in one piece; use clang's own -m flags for them")
    for path in request.inputs:
        if path.exists() and request.output.exists() and path.samefile(request.output):
            raise UsageError(f"{path}: is an input and the output; name another file with -o")
