"""The errors a build reports to its user, one clear line each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class BuildError(Exception):
    """The input cannot be built: one line per problem, each naming file, function, reason and remedy."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UsageError(BuildError):
    """The options or inputs do not fit together."""


@contextmanager
def temporary_files() -> Iterator[None]:
    """Raises BuildError, which says where temporary files are, for an OSError: a full disk names no file."""
    try:
        yield
    except OSError as error:
        import tempfile

        folder = tempfile.tempdir or "the folders for temporary files"
        raise BuildError(f"{folder}: cannot be written: {error.strerror or error}") from None
