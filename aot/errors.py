"""The errors a build reports to its user, one clear line each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nativecache.linker.shown import shown
from nativecache.linker.temporary import temporary_parent


class BuildError(Exception):
    """The input cannot be built: one line per problem, each naming file, function, reason and remedy."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Said(str):
    """A problem that begins with lines in which another tool says more about it."""

    __slots__ = ()

    def __new__(cls, words: str, problem: str) -> Said:
        """`words` is what the tool said, `problem` our one line about it."""
        return super().__new__(cls, f"{words.rstrip()}\n{shown(problem)}".lstrip())


class Unread(BuildError):
    """An older clang's IR is none that LLVM reads today; that clang can still compile the sources whole."""

    def __init__(self, sources: frozenset[Path], *problems: str) -> None:
        super().__init__(*problems)
        self.sources = sources


class Lumped(Exception):
    """Units of sources have in one section what flags ask to keep apart: clang has to compile these whole."""

    def __init__(self, sources: frozenset[Path]) -> None:
        super().__init__(*sorted(map(str, sources)))
        self.sources = sources


class UsageError(BuildError):
    """The options or inputs do not fit together."""


@contextmanager
def temporary_files() -> Iterator[None]:
    """Raises BuildError, which says where temporary files are, for an OSError: a full disk names no file."""
    try:
        yield
    except OSError as error:
        nowhere = isinstance(error, FileNotFoundError)
        folder = "the folders for temporary files" if nowhere else temporary_parent()
        raise BuildError(f"{folder}: cannot be written: {error.strerror or error}") from None


class Configured(Exception):
    """Clang reads configuration files that nobody named: their words are to be read as those of the build.

    Words for the back end, and for the link, would be lost otherwise.
    """

    def __init__(self, files: tuple[str, ...]) -> None:
        super().__init__(f"clang reads {', '.join(files)}; name them with --config, or --no-default-config")
        self.files = files


class PlanLost(Exception):
    """Something that the last build of an output had cannot be had any more: all is to be planned anew."""
