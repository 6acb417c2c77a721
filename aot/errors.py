"""The errors a build reports to its user, one clear line each."""

from __future__ import annotations


class BuildError(Exception):
    """The input cannot be built: one line per problem, each naming file, function, reason and remedy."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UsageError(BuildError):
    """The options or inputs do not fit together."""
