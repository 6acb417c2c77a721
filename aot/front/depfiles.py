"""Writes the depfiles that a build was asked for (`-MD`, `-MMD`): what `clang -c` would for the same names.

clang is asked beside the build, for what is kept of a source file does not tell system headers from others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nativecache.aot.errors import UsageError
from nativecache.aot.front import clang
from nativecache.aot.request import Request, folder_of
from nativecache.aot.threads import Call
from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class Depfile:
    """A depfile to write, and the rules in it, one for each source."""

    path: str
    rules: tuple[Call[str], ...]

    def write(self) -> None:
        """Writes the depfile in place of what is there. Raises BuildError, also where clang tells no rule."""
        from nativecache.aot.write import write_file

        text = "".join(rule.result() for rule in self.rules)
        if self.path == "-":
            sys.stdout.write(text)
        else:
            write_file(Path(self.path), text.encode("utf-8", "surrogateescape"))


def depfile_names(request: Request) -> dict[str, list[tuple[Path, str]]]:
    """The depfiles that are asked for: by path the sources, each with the target of its rule.

    Names are those of clang's driver (clang/lib/Driver/ToolChains/Clang.cpp): beside the output that was
    named, else one for each source in the working folder.
    """
    asked = request.dependencies
    found: dict[str, list[tuple[Path, str]]] = {}
    for path in filter(clang.is_preprocessed, request.inputs if asked else ()):
        assert asked
        stem = path.stem
        beside = asked.output and os.path.splitext(asked.output)[0] + ".d"
        found.setdefault(asked.file or beside or f"{stem}.d", []).append((path, asked.output or f"{stem}.o"))
    return found


def check_depfiles(request: Request) -> None:
    """Raises UsageError where a depfile would overwrite an input or the output, or be of no use."""
    away = next(filter(folder_of, request.inputs), None)
    if request.dependencies and away:
        raise UsageError(
            f"{away}: is compiled in another folder, from which a depfile would name files; no -MD"
        )
    for name in depfile_names(request):
        for path in (*request.inputs, request.output):
            there = os.path.exists(name) and os.path.exists(path) and os.path.samefile(name, path)
            if there or os.path.abspath(name) == os.path.abspath(path):
                raise UsageError(f"{name}: would be the depfile, and is {path}; name another with -MF")


def ask_for_depfiles(
    request: Request,
    command: clang.Clang,
    flags: Callable[[Path], Sequence[str]],
    scratch: Path,
    submit: Callable[[Callable[[], str]], Call[str]],
    running: clang.Running,
) -> tuple[Depfile, ...]:
    """Has clang preprocess the sources for the depfiles, by `submit`; `running` may end it.

    `flags`: what each source is compiled with.
    """
    asked = request.dependencies
    if asked is None:
        return ()

    def rule(source: Path, target: str, n: int) -> Call[str]:
        targets = asked.targets or ("-MQ", target)
        words = ["-M" if asked.system else "-MM", *asked.flags, *targets]
        place = scratch / f"asked-{n}.d"
        asks = (*flags(source), *words)
        return submit(lambda: clang.preprocess_for_rule(command, source, asks, place, running))

    depfiles = []
    n = 0
    for path, sources in depfile_names(request).items():
        rules = []
        for source, target in sources:
            rules.append(rule(source, target, n))
            n += 1
        depfiles.append(Depfile(path, tuple(rules)))
    return tuple(depfiles)
