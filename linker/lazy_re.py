"""`re` with patterns that are compiled when they are first used; to be imported as `re`.

Modules have some 180 of them, which take 20 ms to compile; a build uses a part of them.
"""

from re import (
    ASCII,
    DOTALL,
    IGNORECASE,
    MULTILINE,
    VERBOSE,
    Match,
    S,
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


__all__ = [
    "ASCII",
    "DOTALL",
    "IGNORECASE",
    "MULTILINE",
    "VERBOSE",
    "Match",
    "S",
    "compile",
    "escape",
    "findall",
    "finditer",
    "fullmatch",
    "match",
    "search",
    "split",
    "sub",
]
