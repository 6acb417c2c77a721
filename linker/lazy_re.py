"""`re` with patterns that are compiled when they are first used; to be imported as `re`.

Modules have some 180 of them, which take 20 ms to compile; a build uses a part of them.
"""

from contextlib import suppress
from re import (
    ASCII,
    DOTALL,
    IGNORECASE,
    MULTILINE,
    VERBOSE,
    Match,
    S,
    error,
    escape,
    findall,
    finditer,
    fullmatch,
    match,
    search,
    split,
    sub,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import compile
else:
    from re import compile as _compile

    class _Lazy:
        """Stands for a pattern, and has all that it has once something of it is asked for."""

        def __init__(self, pattern, flags):
            self.pattern, self._flags = pattern, flags

        def __getattr__(self, name):
            compiled = _compile(self.pattern, self._flags)
            vars(self).update((own, getattr(compiled, own)) for own in dir(compiled) if own[:2] != "__")
            return getattr(compiled, name)

        def __repr__(self):
            return f"lazy_re.compile({self.pattern!r})"

    def compile(pattern, flags=0):
        """A pattern, to be compiled when it is first used."""
        return _Lazy(pattern, flags)


def compile_all() -> None:
    """Compiles all patterns that there are: for a process that will have many children."""
    import gc

    for pattern in gc.get_objects():  # a list of them would keep those that functions make for once
        if type(pattern).__name__ == "_Lazy":
            with suppress(error):
                getattr(pattern, "search")  # noqa: B009 - only a compiled one has it


__all__ = [
    "ASCII",
    "DOTALL",
    "IGNORECASE",
    "MULTILINE",
    "VERBOSE",
    "Match",
    "S",
    "compile",
    "compile_all",
    "escape",
    "findall",
    "finditer",
    "fullmatch",
    "match",
    "search",
    "split",
    "sub",
]
